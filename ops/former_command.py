"""The command `former`: tells whether a stack still needs the stores and engines of its earlier deployments."""

from __future__ import annotations

import argparse
from typing import Any

from ops.command import SUCCESS, add_command, client_of
from ops.console import Console
from ops.dead_letter import OWN_PRIORITIES
from ops.deployed_stack import DeployedStack, find_deployed_stack
from ops.stats import FormerStore

LONGEST_LIFE_DAYS = 8
"""The longest life of a task: a delay of a day and a time to live of a week (`MAX_DELAY_SECONDS` and `MAX_TTL_SECONDS`
of `worker/task.js`)."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    add_command(commands, common, "former", _former, "tell which former stores and engines the stack still needs")


def _former(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        stores = client.stats().former
    stack = find_deployed_stack(options.stack, options.state)
    engines = [_engine(name, stack) for name in stack.outputs.get("former_engines") or ()]
    lines = [_store_line(each) for each in stores] + [_engine_line(*each) for each in engines]
    if stack.outputs.get("former_shards"):
        lines.append(f"former_shards: {LONGEST_LIFE_DAYS} days after the change no task is where they say")
    described = [
        {"store": each.store, "unfinished": each.unfinished, "ended": each.ended, "complete": each.complete}
        for each in stores
    ]
    held = {"engines": [{"engine": name, "held": count} for name, count in engines], "stores": described}
    console.result(held, lines or ["this stack has no former stores or engines"])
    return SUCCESS


def _store_line(former: FormerStore) -> str:
    at_least = "" if former.complete else "at least "
    if former.unfinished:
        return f"{former.store} is needed: {at_least}{former.unfinished} of its tasks have not ended"
    if former.ended:
        return f"{former.store} is needed to read {at_least}{former.ended} tasks, which have ended, until they expire"
    return f"{former.store} is empty: take it out of former_state_stores"


def _engine(name: str, stack: DeployedStack) -> tuple[str, int]:
    """Return what an engine still has: messages and dead letters, or Workflow instances that have not ended."""
    if name == "queue":
        outputs = ("queue_ids", *(f"{priority}_queue_ids" for priority in OWN_PRIORITIES))
        queue_ids: list[str] = [each for output in outputs for each in stack.outputs.get(output) or ()]
        queue_ids.append(stack["dlq_id"])
        return name, sum(stack.get(f"queues/{each}/metrics")["backlog_count"] for each in queue_ids)
    instances: dict[str, int] = stack.get(f"workflows/{stack['workflow_name']}")["instances"]
    return name, sum(instances.get(state) or 0 for state in ("queued", "running", "paused", "waiting"))


def _engine_line(name: str, held: int) -> str:
    what = "messages and dead letters" if name == "queue" else "instances"
    if held:
        return f"{name} is needed: it has {held} {what}"
    return f"{name} is empty: take it out of former_engines"

"""The commands `deploy` and `teardown`: preview, ask, act, verify, and write a report of the live state."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ops.acceptance import Check, run_acceptance, run_smoke_test
from ops.client import TaskRunnerClient
from ops.command import FAILURE, SUCCESS, add_command
from ops.console import Console
from ops.deployed_stack import TOKEN_VARIABLE, DeployedStack, NotReadyError, find_deployed_stack, task_runner_token
from ops.deployer import Deployer, find_deployer, stack_values
from ops.gate import confirmed, require_somebody, show
from ops.leftovers import left_over
from ops.live_state import (
    Confirmation,
    LiveState,
    commit_of_program,
    program_version,
    resolved_settings,
    resources_of,
    write_report,
)
from ops.planned_change import VERIFY, WAIT, PlannedChange, Step, counted, plan
from ops.running_code import wait_for_objects, wait_for_worker


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    text = "show what would change, ask, deploy, wait for it to answer, run the acceptance suite, write live/NAME.md"
    deploy = add_command(commands, common, "deploy", _deploy, text)
    _add_options(deploy)
    deploy.add_argument("--delete-data", action="store_true", help="with --yes: also where stores go with their data")
    deploy.add_argument(
        "--smoke",
        metavar="COMMAND",
        help="a shell command that must succeed as well; it has TASK_RUNNER_URL and TASK_RUNNER_TOKEN",
    )
    text = "show what the stack has, ask, delete all of it, verify that nothing is left, write live/NAME.md"
    _add_options(add_command(commands, common, "teardown", _teardown, text))


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask; needed where nobody can be asked")
    parser.add_argument(
        "--confirmed-by", default="", metavar="WHO", help="who says yes, for the report (default: this machine's user)"
    )
    parser.add_argument(
        "--pulumi", action="store_true", help="take the Pulumi CLI for a stack of the local Cloudflare, too"
    )


def _deployer(options: argparse.Namespace) -> Deployer:
    return find_deployer(options.stack, options.state, with_pulumi=options.pulumi, output_to_stderr=bool(options.json))


def _deploy(options: argparse.Namespace, console: Console) -> int:
    require_somebody(options)
    deployer = _deployer(options)
    before = _main_version(options)
    pinned = stack_values(options.stack).get("ephemera:rollback_to")
    if pinned:
        console.note(f"rollback_to is set: this deploys version {pinned}, whatever the code is; unset it to go forward")
    console.note(f"{WAIT} preview of stack {options.stack}, by {deployer.name}")
    steps = deployer.preview()
    changes = plan(steps, has_objects=_has_objects(deployer.resources()))
    show(console, changes)
    confirmation = confirmed(options, console, changes)
    if confirmation is None:
        console.note("nothing was touched")
        return FAILURE
    if any(step.is_change for step in steps):
        console.note(f"{WAIT} deploying")
        try:
            deployer.up(delete_data=options.delete_data or any(change.loses_data for change in changes))
        except NotReadyError:
            _write(
                options, console, deployer, confirmation, "failed", f"deploy — stopped by an error: {counted(changes)}"
            )
            raise
    stack = find_deployed_stack(options.stack, options.state)
    checks = _verified(options, console, stack)
    passed = all(check.passed for check in checks)
    status, remarks = ("live", []) if passed else _rolled_back(options, console, deployer, before, stack)
    action = f"deploy — {counted(changes)}"
    report = _write(
        options, console, deployer, confirmation, status, action, stack=stack, checks=checks, remarks=remarks
    )
    _tell(options, console, changes, checks, report, stack.url)
    return SUCCESS if passed else FAILURE


def _main_version(options: argparse.Namespace) -> str | None:
    """Return the version with the most traffic; None if the stack is not deployed."""
    try:
        versions = find_deployed_stack(options.stack, options.state).deployed_versions
    except NotReadyError:
        return None
    return max(versions, key=versions.__getitem__, default=None)


def _rolled_back(
    options: argparse.Namespace, console: Console, deployer: Deployer, before: str | None, stack: DeployedStack
) -> tuple[str, list[str]]:
    """Roll back to the version deployed before, by the stack's settings; return the outcome.

    The setting ``rollback_to`` stays, because it says what is deployed: the user unsets it after correcting the code.
    """
    if before is None or list(stack.deployed_versions) == [before]:
        return "failed", ["A check failed, and there is no other version to go back to."]
    console.note(f"{WAIT} a check failed: back to version {before}")
    former_percent = stack_values(options.stack).get("ephemera:rollout_percent")
    _set_rollout(deployer, before, None if former_percent is None else "100")
    try:
        deployer.preview()
        deployer.up(delete_data=False)
        with TaskRunnerClient(stack.url, task_runner_token(options.stack)) as client:
            wait_for_worker(client, stack["worker_name"], before)
    except NotReadyError as error:
        _set_rollout(deployer, "", None if former_percent is None else str(former_percent))
        console.note(f"the rollback did not succeed: {error}")
        return "failed", [f"A check failed, and version {before} could not be brought back: {error}"]
    remark = f"A check failed, and version {before} is back: `rollback_to` is set in Pulumi.{options.stack}.yaml."
    return "rolled-back", [
        f"{remark} Unset it once the code is mended. Settings outside of the Worker stay as they are."
    ]


def _set_rollout(deployer: Deployer, rollback_to: str, rollout_percent: str | None) -> None:
    deployer.set_config("rollback_to", rollback_to)
    if rollout_percent is not None:
        deployer.set_config("rollout_percent", rollout_percent)


def _verified(options: argparse.Namespace, console: Console, stack: DeployedStack) -> list[Check]:
    """Wait until the new deployment answers, and check it."""
    token = task_runner_token(options.stack)
    with TaskRunnerClient(stack.url, token) as client:
        for version_id in stack.deployed_versions:
            console.note(f"{WAIT} version {version_id} at {stack.url}")
            wait_for_worker(client, stack["worker_name"], version_id)
        if "durable-object" in (stack["state_store"], *stack.outputs.get("former_state_stores", ())):
            console.note(f"{WAIT} its Durable Objects, which keep their former code for up to 5 minutes")
            wait_for_objects(client, stack.deployed_versions)
    console.note(f"{VERIFY} acceptance")
    checks = run_acceptance(options.stack, options.state, output_to_stderr=bool(options.json))
    if options.smoke:
        variables = {"TASK_RUNNER_URL": stack.url, "TASK_RUNNER_STACK": options.stack}
        variables |= {TOKEN_VARIABLE: token} if token else {}
        checks.append(run_smoke_test(options.smoke, variables, output_to_stderr=bool(options.json)))
    return checks


def _teardown(options: argparse.Namespace, console: Console) -> int:
    require_somebody(options)
    deployer = _deployer(options)
    resources = deployer.resources()
    if not resources:
        raise NotReadyError(f"stack {options.stack} has nothing: there is nothing to tear down")
    stack = find_deployed_stack(options.stack, options.state)
    changes = plan((Step("delete", each["urn"]) for each in resources), has_objects=_has_objects(resources))
    show(console, changes)
    confirmation = confirmed(options, console, changes, is_teardown=True)
    if confirmation is None:
        console.note("nothing was touched")
        return FAILURE
    console.note(f"{WAIT} destroying")
    deployer.destroy()
    left = left_over(stack, resources)
    checks = [
        Check(f"{each.kind} {each.name}", "gone", "still there" if each.is_there else "gone", not each.is_there)
        for each in left
    ]
    passed = all(check.passed for check in checks)
    action = f"teardown — {counted(changes)}"
    report = _write(
        options,
        console,
        deployer,
        confirmation,
        "gone" if passed else "failed",
        action,
        outputs=_chosen(stack),
        checks=checks,
    )
    _tell(options, console, changes, checks, report, None)
    return SUCCESS if passed else FAILURE


def _has_objects(resources: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the Worker in a stack's state has a Durable Object class."""
    inputs: list[dict[str, Any]] = [
        each["inputs"] for each in resources if str(each["type"]).endswith(":WorkerVersion")
    ]
    return any(each.get("exports") for each in inputs)


def _write(
    options: argparse.Namespace,
    console: Console,
    deployer: Deployer,
    confirmation: Confirmation,
    status: str,
    action: str,
    *,
    stack: DeployedStack | None = None,
    outputs: Mapping[str, Any] | None = None,
    checks: Sequence[Check] = (),
    remarks: Sequence[str] = (),
) -> Path:
    known: Mapping[str, Any] = outputs or (stack.outputs if stack else {})
    split = stack.deployed_versions if stack else {}
    versions = {
        "worker_versions": ", ".join(f"{version_id} ({share:g} %)" for version_id, share in split.items()),
        "task_runner_version": program_version(),
        "commit": commit_of_program(),
        "deployed_by": deployer.name,
    }
    plain = {name: known[name] for name in sorted(known) if known[name] not in (None, [], ())}
    chosen = {name: plain.pop(name) for name in CHOSEN if name in plain}
    path = write_report(
        LiveState(
            options.stack,
            status,
            action,
            confirmation,
            {**chosen, **resolved_settings(options.stack)},
            plain,
            resources_of(deployer.resources()),
            checks,
            {name: value for name, value in versions.items() if value},
            remarks,
        )
    )
    console.note(f"wrote {path}")
    return path


CHOSEN = ("account_id", "env", "state_store", "engine")
"""Outputs that repeat inputs: the stack's settings, or their defaults."""


def _chosen(stack: DeployedStack) -> dict[str, Any]:
    return {name: stack.outputs[name] for name in CHOSEN if name in stack.outputs}


def _tell(
    options: argparse.Namespace,
    console: Console,
    changes: Sequence[PlannedChange],
    checks: Sequence[Check],
    report: Path,
    url: str | None,
) -> None:
    result = {
        "stack": options.stack,
        "url": url,
        "changes": [{**asdict(change), "effect": change.effect.name.lower()} for change in changes],
        "checks": [asdict(check) for check in checks],
        "report": str(report),
    }
    shown = [f"{'✔' if check.passed else '✘'} {check.name}: {check.observed}" for check in checks]
    console.result(result, [*shown, *([url] if url else [])])

"""`python -m ops task` shows all about a task, its attempts included; `python -m ops payload` shows its payload."""

from __future__ import annotations

import argparse
import base64
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ops.attempt import Attempt, AttemptError
from ops.command import SUCCESS, add_command, client_of
from ops.console import Console, duration, excerpt
from ops.errors import ForbiddenError, PayloadNotKeptError
from ops.json_object import to_json
from ops.options import name
from ops.task_commands import facts_of, moment_of

T = TypeVar("T")

SHOWN_CHILDREN = 20
SHOWN_PAYLOAD_LENGTH = 2_000
"""How many characters of a payload are shown with the other facts."""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    text = "tell all of a task: its attempts with errors and log lines, its parameters, its payload, its children"
    task = add_command(commands, common, "task", _task, text)
    task.add_argument("task_id", type=name, metavar="ID")
    payload = add_command(commands, common, "payload", _payload, "write a task's payload to standard output")
    payload.add_argument("task_id", type=name, metavar="ID")


def _task(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        task = client.get(options.task_id)
        attempts = client.attempts(options.task_id)
        parameters, no_parameters = _unless_refused(lambda: client.parameters(options.task_id))
        payload, no_payload = _unless_refused(lambda: client.payload(options.task_id))
        children = client.page(parent=options.task_id, limit=SHOWN_CHILDREN)
    story = {
        "task": to_json(task),
        "attempts": to_json(attempts),
        "parameters": parameters,
        **_payload_json(payload),
        "children": to_json(children.tasks),
    }
    lines = [
        *facts_of(task),
        *_parameter_lines(parameters, no_parameters),
        *_payload_lines(payload, no_payload),
        *(line for attempt in attempts for line in _attempt_lines(attempt)),
        *(f"child {moment_of(child)}" for child in children.tasks),
        *([f"more of them: list --parent {options.task_id}"] if children.cursor else []),
    ]
    console.result(story, lines)
    return SUCCESS


def _payload(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        payload = client.payload(options.task_id)
    if console.as_json:
        console.result({"taskId": options.task_id, **_payload_json(payload)}, [])
        return SUCCESS
    sys.stdout.flush()
    sys.stdout.buffer.write(payload)
    sys.stdout.buffer.flush()
    return SUCCESS


def _unless_refused(ask: Callable[[], T]) -> tuple[T | None, str]:
    """Return the answer, or the reason why it is not shown."""
    try:
        return ask(), ""
    except ForbiddenError:
        return None, "not shown: a token with the role operate sees it"
    except PayloadNotKeptError:
        return None, "not kept: it was dropped when the task had completed"


def _payload_json(payload: bytes | None) -> dict[str, str | None]:
    """Return a payload as JSON: text as it is, other bytes in base64."""
    if payload is None:
        return {"payload": None}
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payloadBase64": base64.b64encode(payload).decode()}


def _parameter_lines(parameters: Mapping[str, str] | None, refusal: str) -> Iterator[str]:
    if parameters is None:
        yield f"parameters {refusal}"
    else:
        yield from (f"parameter {key}={excerpt(value, length=None)}" for key, value in parameters.items())


def _payload_lines(payload: bytes | None, refusal: str) -> Iterator[str]:
    if payload is None:
        yield f"payload {refusal}"
        return
    text = payload[: 4 * SHOWN_PAYLOAD_LENGTH].decode(errors="replace")
    is_text = "payload" in _payload_json(payload)
    shown = excerpt(text, SHOWN_PAYLOAD_LENGTH) if is_text else "no text"
    yield f"payload, {len(payload):,} bytes: {shown}"


def _attempt_lines(attempt: Attempt) -> Iterator[str]:
    times = [to_json(attempt.started_at)] if attempt.started_at else []
    if attempt.started_at and attempt.ended_at:
        times.append(f"for {duration((attempt.ended_at - attempt.started_at).total_seconds())}")
    yield " ".join([f"attempt {attempt.attempt} of run {attempt.run} {attempt.outcome}", *times])
    yield from _error_lines(attempt.error)
    if attempt.log_dropped:
        yield f"    {attempt.log_dropped} earlier lines are not kept"
    for line in attempt.log:
        fields = f" {excerpt(line.fields, length=None)}" if line.fields else ""
        yield f"    {to_json(line.at)} {line.level:5} {excerpt(line.message, length=None)}{fields}"


def _error_lines(error: AttemptError | None) -> Iterator[str]:
    caused = ""
    while error:
        yield excerpt(f"    {caused}{error.name}: {error.message}", length=None)
        yield from (f"      {excerpt(call, length=None)}" for call in (error.stack or "").splitlines())
        error, caused = error.cause, "caused by "

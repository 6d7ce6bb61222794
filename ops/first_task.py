"""Follows one real task on the local stack from POST to completed, and says what to do next: the end of `make up`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from local import DEFAULT_STATE_DIR
from ops.client import TaskRunnerClient
from ops.deployed_stack import NotReadyError, connect, task_runner_token
from ops.errors import TaskRunnerError
from ops.task import Status

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.02


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.first_task", description=__doc__)
    parser.add_argument("--stack", default="local")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE_DIR)
    options = parser.parse_args()
    try:
        with connect(options.stack, options.state) as client:
            completed = _follow_one_task(client)
    except (NotReadyError, TaskRunnerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if completed:
        print(next_steps(client.url, asks_for_token=task_runner_token(options.stack) is not None))
    return 0 if completed else 1


def next_steps(url: str, *, asks_for_token: bool) -> str:
    """Return what the user can type next, with explanations."""
    header = ' -H "Authorization: Bearer $token"' if asks_for_token else ""
    token = ", with $token one of api_tokens" if asks_for_token else ""
    steps = {
        f'curl{header} {url}/task -d \'{{"work": "yours"}}\'': f"a task of your own{token}",
        f"curl{header} {url}/task/ID": "where it is, by the taskId that was answered",
        "source .venv/bin/activate": "for what follows:",
        "python -m ops --help": "the same, and lists, retries, statistics, dead letters",
        "python -m local logs --follow": "what the Worker warns of",
        "make down": "destroy all of it and stop",
    }
    width = max(map(len, steps))
    return "\n".join(["", "Next:", *(f"  {step:<{width}}  {purpose}" for step, purpose in steps.items())])


def _follow_one_task(client: TaskRunnerClient) -> bool:
    started = time.monotonic()
    submission = client.submit({"work": "the first task"})
    task_id, status = submission.task_id, submission.status
    print(f"\nPOST {client.url}/task\n  {task_id} {status}")
    while not status.has_ended and time.monotonic() < started + PATIENCE_SECONDS:
        time.sleep(POLL_SECONDS)
        seen = client.get(task_id).status
        if seen != status:
            print(f"  {task_id} {seen} after {(time.monotonic() - started) * 1000:.0f} ms")
        status = seen
    if status is not Status.COMPLETED:
        expected = f"expected completed within {PATIENCE_SECONDS} s, got {status}"
        print(f"{expected}: see `python -m local logs`", file=sys.stderr)
    return status is Status.COMPLETED


if __name__ == "__main__":
    sys.exit(main())

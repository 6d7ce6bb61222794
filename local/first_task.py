"""Follows one real task on the local stack from POST to completed, and says what to do next: the end of `make up`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import httpx

from local.deploy.errors import DeployError
from local.deploy.outputs import read_outputs
from local.instance import DEFAULT_STATE_DIR

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.02
REQUEST_SECONDS = 10

NEXT_STEPS = """
Next:
  curl -X POST {url}/task -d '{{"work": "yours"}}'     submit a task of your own; then curl {url}/task/<taskId>
  python -m local logs --follow                        what the Worker warns of (first: source .venv/bin/activate)
  make down                                            destroy all of it and stop"""


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.first_task", description=__doc__)
    parser.add_argument("--stack", default="local")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE_DIR)
    options = parser.parse_args()
    try:
        url = str(read_outputs(options.state, options.stack)["url"])
        completed = _follow_one_task(url)
    except (DeployError, httpx.HTTPError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if completed:
        print(NEXT_STEPS.format(url=url))
    return 0 if completed else 1


def _follow_one_task(url: str) -> bool:
    started = time.monotonic()
    with httpx.Client(base_url=url, timeout=REQUEST_SECONDS, trust_env=False) as client:
        task = client.post("/task", json={"work": "the first task"}).raise_for_status().json()
        print(f"\nPOST {url}/task\n  {task['taskId']} {task['status']}")
        status = task["status"]
        while status not in {"completed", "failed"} and time.monotonic() < started + PATIENCE_SECONDS:
            time.sleep(POLL_SECONDS)
            seen = client.get(f"/task/{task['taskId']}").raise_for_status().json()["status"]
            if seen != status:
                print(f"  {task['taskId']} {seen} after {(time.monotonic() - started) * 1000:.0f} ms")
            status = seen
    if status != "completed":
        expected = f"expected completed within {PATIENCE_SECONDS} s, got {status}"
        print(f"{expected}: see `python -m local logs`", file=sys.stderr)
    return status == "completed"


if __name__ == "__main__":
    sys.exit(main())

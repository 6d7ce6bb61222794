"""The stack under test, chosen by ``--stack``."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from tests.acceptance.deployed_stack import DeployedStack, NotReadyError, find_deployed_stack

FIRST_ANSWER_SECONDS = 60
"""A new workers.dev address takes a while until every location knows it."""


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> DeployedStack:
    """The deployed stack; ends the run with one line when it cannot be tested."""
    name = str(request.config.getoption("--stack"))
    state_dir = Path(str(request.config.getoption("--state")))
    try:
        stack = find_deployed_stack(name, state_dir)
        _wait_for_first_answer(stack)
    except NotReadyError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
    return stack


def _wait_for_first_answer(stack: DeployedStack) -> None:
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    said = "nothing"
    while time.monotonic() < deadline:
        try:
            reply = requests.get(f"{stack.url}/task/none", timeout=FIRST_ANSWER_SECONDS)
            if reply.headers.get("Content-Type", "").startswith("application/json"):
                return
            said = f"{reply.status_code} {reply.text[:100]!r}"
        except requests.RequestException as error:
            said = type(error).__name__
        time.sleep(1)
    raise NotReadyError(f"the Worker at {stack.url} does not answer as a task runner: {said}")

"""The stack under test, chosen by ``--stack``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.client import TaskRunnerClient
from ops.deployed_stack import TOKEN_VARIABLE, DeployedStack, NotReadyError, find_deployed_stack, task_runner_token
from ops.errors import TaskNotFoundError, TaskRunnerError, UnauthorizedError

FIRST_ANSWER_SECONDS = 60
"""A new workers.dev address takes a while until every location knows it."""


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> DeployedStack:
    """The deployed stack; ends the run with one line when it cannot be tested."""
    name = str(request.config.getoption("--stack"))
    state_dir = Path(str(request.config.getoption("--state")))
    try:
        return find_deployed_stack(name, state_dir)
    except NotReadyError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest, stack: DeployedStack) -> Iterator[TaskRunnerClient]:
    """A client of its task runner; ends the run with one line when that does not answer."""
    token = task_runner_token(str(request.config.getoption("--stack")))
    with TaskRunnerClient(stack.url, token) as client:
        try:
            _wait_for_first_answer(client)
        except NotReadyError as error:
            pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
        yield client


def _wait_for_first_answer(client: TaskRunnerClient) -> None:
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    said = "nothing"
    while time.monotonic() < deadline:
        try:
            client.get("none")
        except TaskNotFoundError:
            return
        except UnauthorizedError as error:
            raise NotReadyError(
                f"the Worker at {client.url} refuses the request ({error}): "
                f"set {TOKEN_VARIABLE} to one of the stack's api_tokens"
            ) from error
        except TaskRunnerError as error:
            said = str(error)
        time.sleep(1)
    raise NotReadyError(f"the Worker at {client.url} does not answer as a task runner: {said}")

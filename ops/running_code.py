"""Waits until the new deployment answers: Cloudflare needs a while to roll it out to all locations."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from ops.client import TaskRunnerClient
from ops.deployed_stack import TOKEN_VARIABLE, NotReadyError
from ops.errors import ForbiddenError, TaskRunnerError, UnauthorizedError

WORKER_SECONDS = 60
"""A new workers.dev address takes a while to reach every location, a new version some seconds."""

OBJECTS_SECONDS = 330
"""A busy Durable Object keeps its old code for up to 300 s after a deployment, unless another time is set
(https://developers.cloudflare.com/workers/versions-and-deployments/gradual-deployments/with-durable-objects/)."""

ANSWERS_IN_A_ROW = 3
POLL_SECONDS = 1


def wait_for_worker(client: TaskRunnerClient, worker: str, version_id: str) -> None:
    """Return when a version has answered several times in a row.

    Raises:
        NotReadyError: it does not answer in time, or another version answers instead.
    """
    answers = 0

    def answers_so() -> str | None:
        nonlocal answers
        found = client.health(of_version=(worker, version_id))
        answers = answers + 1 if found == version_id else 0
        return None if answers >= ANSWERS_IN_A_ROW else f"version {found}"

    _wait(answers_so, WORKER_SECONDS, f"version {version_id} of the Worker at {client.url} to answer")


def wait_for_objects(client: TaskRunnerClient, versions: Collection[str]) -> None:
    """Return when each Durable Object runs one of these versions.

    Raises:
        NotReadyError: an object does not in time, or the token's role does not allow the question.
    """

    def former_ones() -> str | None:
        former = [each.name for each in client.stats().objects if each.version not in versions]
        return f"former code in {', '.join(former)}" if former else None

    _wait(former_ones, OBJECTS_SECONDS, f"the Durable Objects of {client.url} to run what is deployed")


def _wait(found: Callable[[], str | None], seconds: float, what: str) -> None:
    """Ask until nothing is left to wait for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            said = found()
        except (UnauthorizedError, ForbiddenError) as error:
            raise NotReadyError(f"{error}: set {TOKEN_VARIABLE} to one of the stack's api_tokens") from error
        except TaskRunnerError as error:
            said = str(error)
        if said is None:
            return
        if time.monotonic() > deadline:
            raise NotReadyError(f"expected {what} within {seconds:.0f} s, got {said}")
        time.sleep(POLL_SECONDS)

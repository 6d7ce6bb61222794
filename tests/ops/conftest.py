"""A task runner that says what a test tells it, and a real local Cloudflare."""

from collections.abc import Generator

import pytest

from ops.client import TaskRunnerClient
from tests.local.conftest import cloud, rest  # pyright: ignore[reportUnusedImport]
from tests.ops.stand_in import StandIn, stand_in

__all__ = ["cloud", "rest"]

TOKEN = "t" * 32


@pytest.fixture
def runner() -> Generator[StandIn]:
    with stand_in() as runner:
        yield runner


@pytest.fixture
def client(runner: StandIn) -> Generator[TaskRunnerClient]:
    with TaskRunnerClient(runner.url, TOKEN) as client:
        yield client

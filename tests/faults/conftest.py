"""A local Cloudflare of its own for each test, with task runners deployed, and chance that can be repeated."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.cli import instance
from local.pulumi.outputs import read_outputs
from tests.faults.cloud import Cloud
from tests.faults.events import Events
from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.runners import HANDLERS, Runner
from tests.faults.victims import Victims
from tests.journey.project import Project

MAX_RETRIES = 100
"""A kill uses up an attempt of every task that is in work; here they come by the second."""

STACKS: dict[str, dict[str, Any]] = {
    "d1-queue": {"env": "dev", "state_store": "d1", "engine": "queue"},
    "kv-queue": {"env": "stg", "state_store": "kv", "engine": "queue"},
    "durable-object-queue": {"env": "uat", "state_store": "durable-object", "engine": "queue", "public": True},
    "d1-workflow": {"env": "prod", "state_store": "d1", "engine": "workflow", "public": True},
}
"""Every store and every engine, each in an environment of its own, so that one account has them all."""

STACK = "d1-queue"

_DEPLOYS_AT_ONCE = 2


def configure(project: Project, stack: str, **settings: Any) -> None:
    """Write a stack's config."""
    retries = {"max_retries": MAX_RETRIES, "retry_max_delay_seconds": 1}
    project.configure(stack, **{**STACKS[stack], **retries, **settings})


def deploy_all(project: Project, stacks: list[str]) -> list[str]:
    """Run ``up`` for each stack; what they printed."""
    with ThreadPoolExecutor(_DEPLOYS_AT_ONCE) as pool:
        deploys = [pool.submit(project.deploy, "up", stack) for stack in stacks]
        return [deploy.result() for deploy in deploys]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    events = item.funcargs.get("events")
    if call.when == "call" and report.failed and isinstance(events, Events):
        seed = item.config.getoption("--fault-seed")
        report.sections.append((f"the last seconds, with --fault-seed {seed}", events.last()))
    return report


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = int(str(request.config.getoption("--fault-seed")))
    print(f"seed: {seed}")
    return random.Random(seed)  # noqa: S311 it is to be repeatable


@pytest.fixture
def fault_seconds(request: pytest.FixtureRequest) -> float:
    return float(str(request.config.getoption("--fault-seconds")))


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def victims(tmp_path: Path, events: Events) -> Iterator[Victims]:
    state = tmp_path / "cloudflare"
    instance.start(state, port=0)
    try:
        yield Victims(state, events)
    finally:
        instance.stop(state)


@pytest.fixture
def project(tmp_path: Path, victims: Victims) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, victims.state, HANDLERS)
    for stack in STACKS:
        configure(project, stack)
    return project


@pytest.fixture
def stacks() -> list[str]:
    return list(STACKS)


@pytest.fixture
def load(project: Project, cloud: Cloud, stacks: list[str]) -> Load:
    deploy_all(project, stacks)
    runners = [Runner(stack, str(read_outputs(project.state, stack)["url"]), cloud.ledger) for stack in stacks]
    return Load(cloud, runners, "load")


@pytest.fixture
def cloud(victims: Victims, events: Events) -> Iterator[Cloud]:
    cloud = Cloud(victims.restart(), Ledger(events))
    yield cloud
    cloud.close()

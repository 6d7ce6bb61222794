"""A local Cloudflare of its own for each test, with the task runner deployed, and chance that can be repeated."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import instance
from local.deploy.outputs import read_outputs
from tests.faults.ledger import Ledger
from tests.faults.load import Cloud, Load
from tests.faults.victims import Victims
from tests.journey.project import Project

STACK = "faults"

MAX_RETRIES = 100
"""A kill uses up an attempt of every task that is in work; here they come by the second."""


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = int(str(request.config.getoption("--fault-seed")))
    print(f"seed: {seed}")
    return random.Random(seed)  # noqa: S311 it is to be repeatable


@pytest.fixture
def fault_seconds(request: pytest.FixtureRequest) -> float:
    return float(str(request.config.getoption("--fault-seconds")))


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    state = tmp_path / "cloudflare"
    instance.start(state, port=0)
    try:
        yield Victims(state)
    finally:
        instance.stop(state)


@pytest.fixture
def project(tmp_path: Path, victims: Victims) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    project = Project(folder, victims.state)
    project.configure(STACK, state_store="d1", engine="queue", max_retries=MAX_RETRIES, retry_max_delay_seconds=1)
    return project


@pytest.fixture
def load(project: Project, cloud: Cloud) -> Load:
    project.deploy("up", STACK)
    return Load(cloud, str(read_outputs(project.state, STACK)["url"]), "load")


@pytest.fixture
def cloud(victims: Victims) -> Iterator[Cloud]:
    cloud = Cloud(victims.restart().base_url, Ledger())
    yield cloud
    cloud.close()

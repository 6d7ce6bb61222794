"""A local Cloudflare for each file, on free ports and in a temporary folder."""

from collections.abc import Generator
from pathlib import Path

import pytest

from local.cli import instance
from local.cli.instance import Instance
from tests.local.rest import Rest


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    state_dir: Path = tmp_path_factory.mktemp("cloudflare") / "state"
    running, started = instance.start(state_dir, port=0)
    assert started
    try:
        yield running
    finally:
        instance.stop(state_dir)


@pytest.fixture(scope="module")
def rest(cloud: Instance) -> Generator[Rest]:
    with Rest(cloud) as rest:
        yield rest

"""One local Cloudflare for the whole suite, on free ports and in a temporary folder."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from cloudflare import Cloudflare

from local.cli import instance, log_file
from local.cli.instance import Instance
from tests.local import coverage
from tests.local.rest import Rest


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    state_dir: Path = tmp_path_factory.mktemp("cloudflare") / "state"
    running, started = instance.start(state_dir, port=0)
    assert started
    try:
        yield running
    finally:
        instance.stop(state_dir)
        if folder := os.environ.get(coverage.RECORD_VARIABLE):
            coverage.record(log_file.log_path(state_dir), Path(folder))


@pytest.fixture(scope="session")
def rest(cloud: Instance) -> Generator[Rest]:
    with Rest(cloud) as rest:
        yield rest


@pytest.fixture(scope="session")
def sdk(cloud: Instance) -> Generator[Cloudflare]:
    with Cloudflare(api_token=cloud.api_token, base_url=cloud.base_url, max_retries=0) as sdk:
        yield sdk

"""The default combination: its acceptance suite and all features, in the time that `make test` has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.features import deployment
from tests.journey.project import Project, failures, local_cloudflare
from tests.journey.receiver import receiver

STACK = "default"


@pytest.fixture(scope="module")
def receiver_port() -> Iterator[int]:
    with receiver() as port:
        yield port


@pytest.fixture(scope="module")
def project(receiver_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    handlers = {file.name: file.read_text() for file in deployment.HANDLERS}
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cloudflare"), handlers)
    project.configure(STACK, env="dev", **deployment.settings(receiver_port))
    with local_cloudflare(project.state):
        project.deploy("up", STACK)
        yield project


def test_the_acceptance_suite_passes(project: Project) -> None:
    assert failures({STACK: project.start_acceptance(STACK)}) == []


def test_every_feature_works(project: Project, receiver_port: int) -> None:
    assert failures({STACK: project.start_features(STACK, f"http://127.0.0.1:{receiver_port}")}) == []

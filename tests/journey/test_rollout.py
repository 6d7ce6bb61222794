"""A split of the traffic, a rollback, and a deployment that rolls itself back, on the local Cloudflare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from ops.client import TaskRunnerClient
from ops.deployed_stack import DeployedStack
from tests.journey.project import Project, local_cloudflare
from tests.journey.test_deploy import Operator

TELLING_HANDLER = """
/** Tells which version it ran in. */
import { env } from 'cloudflare:workers';

export default async function telling() {
  return { version: env.CF_VERSION_METADATA.id };
}
"""
TASKS = 60
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield state


class Rolled:
    """A stack whose settings change from deployment to deployment."""

    def __init__(self, folder: Path, state: Path, name: str, **settings: Any) -> None:
        self.project = Project(folder, state, handlers={"telling.js": TELLING_HANDLER})
        self.name = name
        self.settings = settings

    def up(self, expect: int = 0, **settings: Any) -> str:
        self.project.configure(self.name, **self.settings, **settings)
        return self.project.deploy("up", self.name, expect=expect)

    @property
    def stack(self) -> DeployedStack:
        instance = Instance.find(self.project.state)
        assert instance is not None
        return DeployedStack(read_outputs(self.project.state, self.name), instance.base_url, instance.api_token)

    @property
    def newest(self) -> str:
        return self.stack["version_id"]

    def client(self) -> TaskRunnerClient:
        return TaskRunnerClient(self.stack.url)


def versions_of_tasks(client: TaskRunnerClient) -> Counter[str]:
    """Run many tasks, each in a batch of its own; tell which version each of them ran in."""
    task_ids = [client.submit(handler="telling").task_id for _ in range(TASKS)]
    results: list[Any] = [client.wait(task_id, timeout_seconds=PATIENCE_SECONDS).result for task_id in task_ids]
    return Counter(result["version"] for result in results)


@pytest.fixture(scope="module")
def split(state: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rolled, str]:
    """A stack with Durable Objects and a queue, three quarters of whose traffic the former version has."""
    settings = {"env": "dev", "state_store": "durable-object", "batch_size": 1, "max_concurrency": 2}
    rolled = Rolled(tmp_path_factory.mktemp("project"), state, "split", **settings)
    rolled.up()
    former = rolled.newest
    rolled.up(max_retries=6, rollout_percent=25)
    return rolled, former


def test_each_request_goes_to_either_version_by_chance_or_to_the_one_it_names(split: tuple[Rolled, str]) -> None:
    rolled, former = split
    stack = rolled.stack
    assert stack.deployed_versions == {rolled.newest: 25, former: 75}
    with rolled.client() as client:
        assert {client.health() for _ in range(TASKS)} == {former, rolled.newest}
        for version in (former, rolled.newest):
            assert {client.health(of_version=(stack["worker_name"], version)) for _ in range(5)} == {version}


def test_each_batch_of_messages_goes_to_either_version_by_chance(split: tuple[Rolled, str]) -> None:
    rolled, former = split
    with rolled.client() as client:
        counts = versions_of_tasks(client)
    assert counts.keys() == {former, rolled.newest}
    assert counts[former] > counts[rolled.newest]


def test_here_all_objects_run_the_version_with_the_greater_share(split: tuple[Rolled, str]) -> None:
    """At Cloudflare each object is given one of the two, and keeps it until the next deployment."""
    rolled, former = split
    with rolled.client() as client:
        assert {each.version for each in client.stats().objects} == {former}


def test_the_rest_of_the_traffic_follows_and_the_former_version_can_come_back(split: tuple[Rolled, str]) -> None:
    rolled, former = split
    rolled.up(max_retries=6)
    newest = rolled.newest
    assert list(rolled.stack.deployed_versions) == [newest]
    with rolled.client() as client:
        assert {each.version for each in client.stats().objects} == {newest}
        rolled.up(max_retries=6, rollback_to=former)
        assert rolled.stack.deployed_versions == {former: 100}
        assert client.health() == former
        assert versions_of_tasks(client).keys() == {former}
    assert "nothing changed" in rolled.up(max_retries=6, rollback_to=former)


def test_what_does_not_fit_is_refused_and_nothing_is_touched(split: tuple[Rolled, str]) -> None:
    rolled, former = split
    before = rolled.stack.deployed_versions
    printed = rolled.up(expect=1, max_retries=6, rollback_to=former, api_tokens="t" * 40)
    assert f"rollback_to: version {former} does not fit what the stack has now: api_tokens are others since" in printed
    changed = {"former_state_stores": ["durable-object"], "max_retries": 6, "rollout_percent": 10}
    rolled.settings["state_store"] = "d1"
    printed = rolled.up(expect=1, **changed)
    rolled.settings["state_store"] = "durable-object"
    assert "it was made for other stores and engines" in printed
    assert rolled.stack.deployed_versions == before


def test_a_deployment_whose_check_fails_rolls_itself_back(
    state: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rolled = Rolled(tmp_path_factory.mktemp("project"), state, "undone", env="stg", max_retries=1)
    rolled.up()
    former = rolled.newest
    rolled.project.configure("undone", **rolled.settings, retry_delay_seconds=2)
    operator = Operator(rolled.project, "undone")
    _, told = operator.does("deploy", "--smoke", "exit 1", expect=1)
    assert rolled.stack.deployed_versions == {former: 100}
    with rolled.client() as client:
        assert client.health() == former
    assert "status: rolled-back" in operator.report
    assert f"version {former} is back: `rollback_to` is set in Pulumi.undone.yaml" in operator.report
    file = rolled.project.folder / "Pulumi.undone.yaml"
    assert yaml.safe_load(file.read_text())["config"]["ephemera:rollback_to"] == former
    assert "Traceback" not in told
    rolled.project.configure("undone", **rolled.settings, retry_delay_seconds=3)
    operator.does("deploy")
    assert list(rolled.stack.deployed_versions) == [rolled.newest] != [former]

"""The main job from beginning to end, as a user runs it, by Python itself: start, up, a suite, destroy, stop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from tests.commands.command import real_processes, run
from tests.journey.project import local_cloudflare


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a Cloudflare with the local stack deployed; all of it is gone afterwards."""
    state = tmp_path_factory.mktemp("cloudflare")
    with real_processes(), local_cloudflare(state):
        run("local", "up", "--stack", "local", "--state", state)
        yield state


@pytest.fixture
def api(state: Path) -> Iterator[httpx.Client]:
    instance = Instance.find(state)
    assert instance is not None
    headers = {"Authorization": f"Bearer {instance.api_token}"}
    with httpx.Client(base_url=f"{instance.base_url}/accounts/{instance.account_id}", headers=headers) as client:
        yield client


def test_one_real_task_runs_to_completed(state: Path) -> None:
    printed = run("ops.first_task", "--state", state)
    assert " completed after " in printed


def test_outputs(state: Path) -> None:
    outputs = read_outputs(state)
    assert {key: outputs[key] for key in ("worker_name", "env", "state_store", "engine", "account_id")} == {
        "worker_name": "task-runner-dev",
        "env": "dev",
        "state_store": "d1",
        "engine": "queue",
        "account_id": "0" * 32,
    }
    assert set(outputs) - {"worker_name", "env", "state_store", "engine", "account_id"} == {
        "url",
        "database_name",
        "database_id",
        "database_ids",
        "queue_name",
        "queue_id",
        "queue_ids",
        "dlq_name",
        "dlq_id",
        "code_bytes",
        "version_id",
        "deployment_id",
        "former_state_stores",
        "former_engines",
        "former_shards",
    }


def test_a_second_up_changes_nothing(state: Path) -> None:
    assert "nothing changed" in run("local", "up", "--stack", "local", "--state", state)


def test_refresh_sees_no_drift(state: Path) -> None:
    run("local", "refresh", "--stack", "local", "--state", state)
    assert "nothing changed" in run("local", "up", "--stack", "local", "--state", state)


def test_the_acceptance_suite_passes(state: Path) -> None:
    run("pytest", "-p", "no:cacheprovider", "tests/acceptance", "--stack", "local", "--state", state)


def test_a_wrong_token_is_one_clear_line(state: Path) -> None:
    token = state / "api_token"
    right = token.read_text()
    token.write_text("wrong" * 10)
    try:
        printed = run(
            "pytest", "-p", "no:cacheprovider", "tests/acceptance", "--stack", "local", "--state", state, expect=4
        )
    finally:
        token.write_text(right)
    assert "refuses the API token" in printed
    assert "Traceback" not in printed


def test_a_stack_that_is_not_deployed_is_one_clear_line(tmp_path: Path) -> None:
    printed = run("pytest", "-p", "no:cacheprovider", "tests/acceptance", "--state", tmp_path, expect=4)
    assert "stack local is not deployed: run `make up` first" in printed
    assert "Traceback" not in printed


def test_destroy_leaves_nothing(state: Path, api: httpx.Client) -> None:
    run("local", "destroy", "--stack", "local", "--state", state, "--delete-data")
    for path in ("d1/database", "queues", "workers/workers"):
        assert api.get(path).json()["result"] == [], path
    run("local", "up", "--stack", "local", "--state", state)

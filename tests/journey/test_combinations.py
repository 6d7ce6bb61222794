"""Every store with every engine: the same suite, with the environments side by side in one account."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from components.state_store import read_caveat
from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from tests.commands.command import run
from tests.features import deployment
from tests.journey.project import Project, failures, local_cloudflare
from tests.journey.receiver import receiver

COMBINATIONS = list(itertools.product(["d1", "kv", "durable-object"], ["queue", "workflow"]))
ENVIRONMENTS = ["dev", "stg", "uat", "prod"]


def stack_name(store: str, engine: str) -> str:
    return f"{store}-{engine}"


@pytest.fixture(scope="module")
def receiver_port() -> Iterator[int]:
    with receiver() as port:
        yield port


@pytest.fixture(scope="module")
def projects(receiver_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Project]]:
    """Each combination deployed, by its stack: four in one account, one an environment, and two in another."""
    projects: dict[str, Project] = {}
    for number, group in enumerate((COMBINATIONS[:4], COMBINATIONS[4:])):
        state = tmp_path_factory.mktemp(f"cloudflare-{number}")
        handlers = {file.name: file.read_text() for file in deployment.HANDLERS}
        project = Project(tmp_path_factory.mktemp(f"project-{number}"), state, handlers)
        for env, (store, engine) in zip(ENVIRONMENTS, group, strict=False):
            stack = stack_name(store, engine)
            settings = deployment.settings(receiver_port, engine, store)
            project.configure(stack, state_store=store, engine=engine, env=env, **settings)
            projects[stack] = project
    with ExitStack() as running:
        for state in {project.state for project in projects.values()}:
            running.enter_context(local_cloudflare(state))
        for stack, project in projects.items():
            project.deploy("up", stack)
        yield projects


def test_the_acceptance_suite_passes_on_every_combination(projects: dict[str, Project]) -> None:
    running = {stack: project.start_acceptance(stack) for stack, project in projects.items()}
    assert failures(running) == []


def test_every_feature_works_on_every_combination(projects: dict[str, Project], receiver_port: int) -> None:
    url = f"http://127.0.0.1:{receiver_port}"
    running = {stack: project.start_features(stack, url) for stack, project in projects.items()}
    assert failures(running) == []


@pytest.mark.parametrize(("store", "engine"), COMBINATIONS)
def test_a_second_up_changes_nothing_and_refresh_sees_no_drift(
    projects: dict[str, Project], store: str, engine: str
) -> None:
    stack = stack_name(store, engine)
    project = projects[stack]
    project.deploy("refresh", stack)
    assert "nothing changed" in project.deploy("up", stack)


def test_users_of_kv_are_told_what_it_cannot_promise(projects: dict[str, Project]) -> None:
    printed = " ".join(projects["kv-queue"].deploy("preview", "kv-queue").split())
    caveat = read_caveat("kv")
    assert caveat is not None
    assert " ".join(caveat.split()) in printed


@pytest.mark.parametrize("stack", ["kv-queue", "kv-workflow"])
def test_the_store_of_uat_and_prod_cannot_be_destroyed_by_accident(projects: dict[str, Project], stack: str) -> None:
    printed = projects[stack].deploy("destroy", stack, expect=1)
    assert "protect" in printed
    assert "task-runner-kv" in printed
    url = str(read_outputs(projects[stack].state, stack)["url"])
    assert httpx.get(f"{url}/health").status_code == httpx.codes.OK


def test_destroying_one_environment_leaves_the_others_alone(projects: dict[str, Project]) -> None:
    project = projects["d1-queue"]
    before = deployed_workers(project.state)
    project.deploy("destroy", "d1-queue", "--delete-data")
    assert deployed_workers(project.state) == before - {"task-runner-dev"}
    assert " completed after " in run(
        "ops.first_task", "--stack", "d1-workflow", "--state", project.state, cwd=project.folder
    )


def deployed_workers(state: Path) -> set[str]:
    instance = Instance.find(state)
    assert instance is not None
    url = f"{instance.base_url}/accounts/{instance.account_id}/workers/workers"
    reply = httpx.get(url, headers={"Authorization": f"Bearer {instance.api_token}"})
    return {worker["name"] for worker in reply.json()["result"]}

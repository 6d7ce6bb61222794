"""`ops deploy` and `ops teardown` from beginning to end, without the Pulumi CLI and with a stand-in for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli.instance import Instance
from tests.commands.command import ROOT, start
from tests.journey.project import Project, local_cloudflare
from tests.ops.pulumi_stand_in import STATE_VARIABLE

COMMAND_SECONDS = 300
STAND_IN = ROOT / "tests" / "ops" / "pulumi_stand_in.py"


class Operator:
    """Somebody who deploys a stack of a project, without a terminal."""

    def __init__(self, project: Project, stack: str, with_pulumi: Path | None = None) -> None:
        """Get ready.

        Args:
            project: where the program is.
            stack: the stack.
            with_pulumi: a folder with a Pulumi CLI; it knows the state, and the command does not.
        """
        self.project = project
        self.stack = stack
        self._options = ["--state", str(project.state)]
        self._environment = dict(os.environ)
        if with_pulumi:
            instance = Instance.find(project.state)
            assert instance is not None
            self._options = ["--state", str(project.folder / "none"), "--pulumi"]
            self._environment |= {
                "PATH": f"{with_pulumi}{os.pathsep}{os.environ['PATH']}",
                STATE_VARIABLE: str(project.state),
                "CLOUDFLARE_API_TOKEN": instance.api_token,
            }

    def does(self, command: str, *options: str, expect: int = 0) -> tuple[Any, str]:
        """Run ``deploy`` or ``teardown``; give the document and what people are told."""
        words = ["ops", command, "--stack", self.stack, "--json", "--yes", "--confirmed-by", "ada", *options]
        words = [*words, *self._options]
        with start(*words, cwd=self.project.folder, env=self._environment, stderr=subprocess.PIPE) as running:
            output, errors = running.communicate(timeout=COMMAND_SECONDS)
        assert running.returncode == expect, output + errors
        return (json.loads(output) if output else None), errors

    @property
    def report(self) -> str:
        return (self.project.folder / "live" / f"{self.stack}.md").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield Project(tmp_path_factory.mktemp("project"), state)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `pulumi`."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "pulumi").write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} "$@"\n')
    (folder / "pulumi").chmod(0o700)
    return folder


@pytest.fixture(scope="module")
def operator(project: Project) -> Operator:
    project.configure("own", env="dev", max_retries=1)
    return Operator(project, "own")


CHECKS = ["schema of d1 applied", "queue + DLQ exist", "`POST /task` -> taskId", "poll `GET /task/:id` -> status"]


def test_a_first_deployment_is_verified_and_written_down(operator: Operator) -> None:
    told, _ = operator.does(
        "deploy", "--smoke", 'test "$(curl -s $TASK_RUNNER_URL/nope -o /dev/null -w "%{http_code}")" = 404'
    )
    assert [check["name"] for check in told["checks"]][:4] == CHECKS
    assert len(told["checks"]) == 6
    assert all(check["passed"] for check in told["checks"])
    assert {change["effect"] for change in told["changes"]} == {"create", "publish"}
    report = operator.report
    for line in ("status: live", "resolved_by: ada", "max_retries: 1", f"| url | {told['url']} |"):
        assert line in report
    assert report.count("| ✔ |") == 6


def test_a_second_deployment_changes_nothing_and_verifies_again(operator: Operator) -> None:
    told, _ = operator.does("deploy")
    assert told["changes"] == []
    assert len(told["checks"]) == 5
    assert "resolved_how: nothing was to be done" in operator.report


def test_a_database_is_not_deleted_by_a_plain_yes(operator: Operator) -> None:
    operator.project.configure("own", env="stg", max_retries=1)
    _, told = operator.does("deploy", expect=1)
    operator.project.configure("own", env="dev", max_retries=1)
    assert "is in use, and this change would delete it" in told


def test_a_failed_check_is_the_command_s_failure(operator: Operator) -> None:
    told, _ = operator.does("deploy", "--smoke", "exit 3", expect=1)
    assert told["checks"][-1] == {
        "name": "smoke test: exit 3",
        "expected": "exit code 0",
        "observed": "exit code 3",
        "passed": False,
    }
    assert "status: failed" in operator.report


def test_a_teardown_leaves_nothing_and_says_what_it_looked_for(operator: Operator) -> None:
    told, _ = operator.does("teardown")
    assert {(check["name"].split()[0], check["observed"]) for check in told["checks"]} == {
        ("Worker", "gone"),
        ("Queue", "gone"),
        ("D1Database", "gone"),
    }
    assert "status: gone" in operator.report
    assert names(operator.project, "workers/workers", "name") == []
    _, told = operator.does("teardown", expect=1)
    assert "has nothing: there is nothing to tear down" in told


def test_the_pulumi_cli_deploys_durable_objects_and_takes_them_away(project: Project, cli: Path) -> None:
    configure(project, "cli", env="stg", state_store="durable-object", engine="workflow", max_retries=0)
    operator = Operator(project, "cli", with_pulumi=cli)
    told, said = operator.does("deploy")
    assert "preview of stack cli, by pulumi v3.274.1" not in said  # nothing but errors beside the document
    assert all(check["passed"] for check in told["checks"])
    assert "deployed_by | pulumi v3.274.1" in operator.report
    configure(project, "cli", env="stg", state_store="durable-object", engine="workflow", max_retries=1)
    told, _ = operator.does("deploy")
    assert [(change["effect"], change["kind"]) for change in told["changes"]] == [
        ("create", "WorkerVersion"),
        ("publish", "WorkersDeployment"),
    ]
    told, _ = operator.does("teardown")
    assert {check["name"] for check in told["checks"]} == {
        "Worker task-runner-stg",
        "Workflow task-runner-workflow-stg",
        "Durable Object class TaskObject",
    }
    assert names(project, "workflows", "name") == []


def configure(project: Project, stack: str, **settings: Any) -> None:
    """Write a stack's config, with the address that the CLI would read there."""
    project.configure(stack, **settings)
    file = project.folder / f"Pulumi.{stack}.yaml"
    instance = Instance.find(project.state)
    assert instance is not None
    file.write_text(file.read_text().replace("http://127.0.0.1:9780/client/v4", instance.base_url))


def names(project: Project, path: str, key: str) -> list[str]:
    """List what there is in the account."""
    instance = Instance.find(project.state)
    assert instance is not None
    url = f"{instance.base_url}/accounts/{instance.account_id}/{path}"
    reply = httpx.get(url, headers={"Authorization": f"Bearer {instance.api_token}"})
    return [each[key] for each in reply.json()["result"]]

"""Dead letters by the Worker's own API, on a real local Cloudflare: looked at, one redriven, the rest purged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.cli.instance import Instance
from local.core.credentials import read_token
from local.pulumi.outputs import read_outputs
from tests.journey.project import Project, local_cloudflare
from tests.local.rest import eventually

STACK = "letters"
SECONDS = 30

FAILS_FIRST = """
const seen = new Set();
export default function failsFirst(payload, { taskId }) {
  if (seen.has(taskId)) return 'done';
  seen.add(taskId);
  throw new RangeError('not yet');
}
"""
OTHER_TOKEN = "another-token-of-cloudflare-which-is-unknown"  # noqa: S105 it opens nothing


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    handlers = {"fails_first.js": FAILS_FIRST}
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cloudflare"), handlers)
    project.configure(STACK, env="dev")
    with local_cloudflare(project.state):
        project.deploy("up", STACK)
        yield project


def ask(project: Project, method: str, path: str, body: Any = None) -> requests.Response:
    url = str(read_outputs(project.state, STACK)["url"])
    return requests.request(method, url + path, json=body, timeout=SECONDS)


def letters(project: Project, count: int) -> list[dict[str, Any]]:
    """Wait until so many are there."""

    def there() -> list[dict[str, Any]] | None:
        reply = ask(project, "GET", "/dead-letters")
        assert reply.ok, reply.text
        found: list[dict[str, Any]] = reply.json()["deadLetters"]
        return found if len(found) == count else None

    return eventually(there)


def test_one_is_redriven_and_the_rest_is_purged(project: Project) -> None:
    submit = "/task?handler=fails_first&maxRetries=0"
    task_ids = [ask(project, "POST", submit, {}).json()["taskId"] for _ in range(3)]
    cloud, outputs = Instance.find(project.state), read_outputs(project.state, STACK)
    assert cloud
    requests.post(
        f"{cloud.base_url}/accounts/{cloud.account_id}/queues/{outputs['dlq_id']}/messages",
        json={"body": {"poison": 1}},
        headers={"Authorization": f"Bearer {cloud.api_token}"},
        timeout=SECONDS,
    ).raise_for_status()

    found = letters(project, 4)
    by_task = {each["taskId"]: each for each in found}
    assert by_task.keys() == {*task_ids, None}
    assert by_task[None]["body"] == '{"poison":1}'
    first = by_task[task_ids[0]]
    assert (first["state"], first["run"], first["attempts"]) == ("failed", 1, 0)
    assert (first["task"]["status"], first["task"]["error"]["message"]) == ("failed", "not yet")

    redriven = ask(project, "POST", "/dead-letters/redrive", {"ids": [first["letterId"]]}).json()
    assert (redriven["redriven"], redriven["missing"], redriven["more"]) == (1, 0, False)
    task = ask(project, "GET", f"/task/{task_ids[0]}?wait={SECONDS}").json()
    if task["status"] == "failed":  # it has not begun yet
        task = eventually(lambda: _completed(project, task_ids[0]))
    assert (task["status"], task["run"], task["result"]) == ("completed", 2, "done")
    assert len(letters(project, 3)) == 3

    all_of_them = ask(project, "POST", "/dead-letters/redrive", {"all": True}).json()
    assert (all_of_them["redriven"], all_of_them["malformed"]) == (2, 1)
    assert [each["state"] for each in letters(project, 1)] == ["malformed"]
    assert ask(project, "POST", "/dead-letters/purge", {"all": True}).json() == {
        "purged": 1,
        "missing": 0,
        "more": False,
    }
    letters(project, 0)


def _completed(project: Project, task_id: str) -> dict[str, Any] | None:
    task: dict[str, Any] = ask(project, "GET", f"/task/{task_id}").json()
    return task if task["status"] == "completed" else None


def test_the_token_is_a_secret_and_changes_nothing_at_the_next_up(project: Project) -> None:
    printed = project.deploy("preview", STACK) + project.deploy("up", STACK)
    assert "nothing changed" in printed
    token = read_token(project.state)
    assert token not in printed
    logs = [file.read_text(errors="replace") for file in (project.state / "logs").iterdir()]
    assert logs
    assert not any(token in log for log in logs)


def test_another_token_is_refused_with_what_to_do(project: Project) -> None:
    project.configure(STACK, env="dev", dead_letter_api_token=OTHER_TOKEN)
    printed = project.deploy("preview", STACK) + project.deploy("up", STACK)
    assert "DEAD_LETTER_API_TOKEN" in printed
    assert OTHER_TOKEN not in printed
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/redrive", {"all": True}),
        ("POST", "/purge", {"all": True}),
    ):
        reply = ask(project, method, f"/dead-letters{path}", body)
        assert (reply.status_code, reply.json()["code"]) == (502, "dead_letter_token_refused")
        assert "dead_letter_api_token" in reply.json()["error"]
        assert OTHER_TOKEN not in reply.text


def test_a_workflow_has_none(project: Project) -> None:
    project.configure("flow", env="stg", engine="workflow", dead_letter_api_token=OTHER_TOKEN, batch_size=0)
    printed = project.deploy("up", "flow", expect=1)
    assert "2 problems" in printed
    assert "dead_letter_api_token: expected to be unset with engine workflow" in printed
    assert OTHER_TOKEN not in printed

"""An operator's day on a real stack with tokens: every command of `python -m ops`, and the typed client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from ops.client import TaskRunnerClient
from ops.deployed_stack import DeployedStack
from ops.errors import UnauthorizedError
from ops.task import NewTask, Status, Submission
from tests.commands.command import Process, run, start
from tests.journey.project import Project, local_cloudflare
from tests.ops.stand_in import Reply, StandIn, stand_in

PATIENCE_SECONDS = 60
TOKENS = "first-token-0123456789-0123456789-012345 second-token-0123456789-0123456789-01234"

MOODY_HANDLER = """
/** Does its work only when its switch is on. */

export const parameters = { switch: 'a URL that answers 200 when the work may be done' };

export default async function moody(payload, { parameters, progress, signal }) {
  progress(50, 'half way');
  const reply = await fetch(parameters.switch, { signal });
  if (!reply.ok) throw new Error('the switch is off');
  return { did: payload };
}
"""


@dataclass
class Operator:
    """Somebody at a terminal in the project's folder."""

    project: Project
    switch: StandIn
    stack: str = "ops"

    def types(self, *words: str, expect: int = 0, **environment: str) -> str:
        """Type a command; give what it prints to stdout, or to stderr when it is to fail."""
        with self.starts(*words, **environment) as command:
            output, errors = command.communicate(timeout=PATIENCE_SECONDS)
        assert command.returncode == expect, output + errors
        return errors if expect and errors else output

    def asks(self, *words: str, expect: int = 0) -> Any:
        """Type a command with --json; give its only document."""
        return json.loads(self.types(*words, "--json", expect=expect))

    def starts(self, *words: str, **environment: str) -> Process:
        """Start a command."""
        known = ("--stack", self.stack, "--state", self.project.state)
        env = {**os.environ, **environment}
        return start("ops", *words, *known, cwd=self.project.folder, env=env, stderr=subprocess.PIPE)

    def submits_moody(self) -> str:
        """Submit a task that minds the switch."""
        words = ("submit", "--data", "moody", "--handler", "moody", "--param", f"switch={self.switch.url}")
        return self.asks(*words)["taskId"]

    def sees_dead_letters(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many are there."""

        def found() -> list[dict[str, Any]] | None:
            letters = self.asks("dlq", "list")["deadLetters"]
            return letters if len(letters) == count else None

        return eventually(found)

    def turns_switch(self, *, on: bool) -> None:
        self.switch.replies = [Reply({}, 200 if on else 503)]


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        project = Project(tmp_path_factory.mktemp("project"), state, handlers={"moody.js": MOODY_HANDLER})
        project.configure("ops", state_store="d1", engine="queue", api_tokens=TOKENS, max_retries=1)
        project.deploy("up", "ops")
        with stand_in() as switch:
            yield Operator(project, switch)


@pytest.fixture
def stack(operator: Operator) -> DeployedStack:
    instance = Instance.find(operator.project.state)
    assert instance is not None
    return DeployedStack(read_outputs(operator.project.state, "ops"), instance.base_url, instance.api_token)


@pytest.fixture
def client(stack: DeployedStack) -> Iterator[TaskRunnerClient]:
    with TaskRunnerClient(stack.url, TOKENS.split()[1]) as client:
        yield client


def shell(command: str, **variables: str) -> str:
    return subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", command],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def eventually(probe: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := probe()) is None:
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.2)
    return found


def test_a_task_from_a_file_is_followed_to_its_result(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "payload.bin"
    file.write_bytes(b"\x00\xff")
    task = operator.asks("submit", str(file), "--wait", "--timeout", "30s")
    assert task["status"] == "completed"
    assert task["result"]["bytes"] == 2
    assert operator.asks("get", task["taskId"]) == task
    assert operator.asks("wait", task["taskId"])["status"] == "completed"
    assert operator.types("watch", task["taskId"]).splitlines()[1].split() == ["status", "completed"]
    assert task["taskId"] in operator.types("list", "--status", "completed", "--handler", "default")


def test_what_make_up_says_to_type_next_works_with_tokens(operator: Operator) -> None:
    project = operator.project
    printed = run("ops.first_task", "--stack", "ops", "--state", project.state, cwd=project.folder)
    submit, look = (line.split("  ")[1] for line in printed.splitlines() if line.startswith("  curl "))
    task = json.loads(shell(submit, token=TOKENS.split()[0]))
    assert task["status"] == "pending"
    seen = shell(look.replace("ID", task["taskId"]), token=TOKENS.split()[0])
    assert json.loads(seen)["taskId"] == task["taskId"]


def test_the_same_key_gives_the_same_task(operator: Operator) -> None:
    first = operator.asks("submit", "--data", "once", "--idempotency-key", "key")
    again = operator.asks("submit", "--data", "once", "--idempotency-key", "key")
    assert (again["taskId"], first["isReplay"], again["isReplay"]) == (first["taskId"], False, True)
    refused = operator.asks("submit", "--data", "other", "--idempotency-key", "key", expect=1)
    assert (refused["code"], refused["taskId"]) == ("idempotency_conflict", first["taskId"])


def test_a_task_that_waits_is_cancelled_and_retried(operator: Operator) -> None:
    task_id = operator.asks("submit", "--delay", "1h")["taskId"]
    assert operator.asks("get", task_id)["nextAttemptAt"] is not None
    assert operator.types("cancel", task_id) == f"{task_id} cancelled\n"
    assert operator.types("retry", task_id) == f"{task_id} pending\n"
    assert operator.asks("wait", task_id)["run"] == 2
    refused = operator.asks("cancel", task_id, expect=1)
    assert (refused["code"], refused["taskId"], refused["status"]) == ("wrong_status", task_id, "completed")


def test_a_wrong_token_says_what_to_set(operator: Operator) -> None:
    printed = operator.types("stats", expect=1, TASK_RUNNER_TOKEN="x" * 40)
    assert printed.startswith("error: ")
    assert "TASK_RUNNER_TOKEN" in printed
    assert printed.count("\n") == 1


def test_statistics_count_what_was_done(operator: Operator) -> None:
    stats = operator.asks("stats")
    assert stats["counts"]["completed"] >= 3
    assert stats["deadLetters"]["count"] == 0
    assert "dead letters" in operator.types("stats")


def test_dead_letters_are_seen_redriven_and_purged(operator: Operator, stack: DeployedStack) -> None:
    operator.turns_switch(on=False)
    task_ids = {operator.submits_moody() for _ in range(3)}
    assert operator.asks("wait", min(task_ids), expect=1)["error"]["message"] == "the switch is off"
    stack.post(f"queues/{stack['queue_id']}/messages", {"body": {"poison": 1}, "content_type": "json"})
    letters = operator.sees_dead_letters(4)
    assert {letter["taskId"] for letter in letters} == {*task_ids, None}
    shown = operator.asks("dlq", "show", min(task_ids))
    assert (shown["taskId"], shown["run"], shown["taskStatus"]) == (min(task_ids), 1, "failed")

    operator.turns_switch(on=True)
    counts = operator.asks("dlq", "redrive", "--task", min(task_ids))
    assert (counts["redriven"], counts["interrupted"]) == (1, False)
    counts = operator.asks("dlq", "redrive")
    assert (counts["redriven"], counts["gone"], counts["repeated"]) == (2, 0, 0)
    assert [letter["body"] for letter in counts["malformed"]] == ['{"poison":1}']
    for task_id in task_ids:
        task = operator.asks("wait", task_id)
        assert (task["status"], task["run"], task["result"]) == ("completed", 2, {"did": "moody"})

    [malformed] = operator.sees_dead_letters(1)
    assert malformed["malformed"]
    assert "none: the letter is malformed" in operator.types("dlq", "show", malformed["letterId"])
    assert "--yes" in operator.types("dlq", "purge", "--malformed", expect=2)
    assert operator.types("dlq", "purge", "--malformed", "--yes") == "deleted 1 dead letter\n"
    assert operator.types("dlq", "list") == "no dead letters\n"


def test_a_redrive_is_interrupted_in_good_order(operator: Operator) -> None:
    operator.turns_switch(on=False)
    task_ids = {operator.submits_moody() for _ in range(5)}
    operator.sees_dead_letters(5)
    operator.turns_switch(on=True)
    with operator.starts("dlq", "redrive", "--rate", "0.2", "--json") as redrive:
        eventually(lambda: len(operator.asks("dlq", "list")["deadLetters"]) <= 4 or None)
        redrive.send_signal(signal.SIGINT)
        printed, _ = redrive.communicate(timeout=PATIENCE_SECONDS)
    assert redrive.returncode == 130
    counts = json.loads(printed)
    assert counts["interrupted"]
    assert 1 <= counts["redriven"] < 5
    operator.sees_dead_letters(5 - counts["redriven"])
    assert operator.asks("dlq", "redrive", "--limit", "1")["redriven"] == 1
    assert operator.asks("dlq", "redrive")["redriven"] == 5 - counts["redriven"] - 1
    assert {operator.asks("wait", task_id)["status"] for task_id in task_ids} == {"completed"}


def test_what_failed_is_run_again_without_its_dead_letter(operator: Operator) -> None:
    operator.turns_switch(on=False)
    task_ids = {operator.submits_moody() for _ in range(2)}
    operator.sees_dead_letters(2)
    operator.turns_switch(on=True)
    retried = operator.types("retry", "--status", "failed", "--handler", "moody", "--json").splitlines()
    assert {json.loads(line)["taskId"] for line in retried} == task_ids
    assert {operator.asks("wait", task_id)["status"] for task_id in task_ids} == {"completed"}
    first = min(task_ids)
    assert {letter["state"] for letter in operator.sees_dead_letters(2)} == {"stale"}
    assert operator.asks("dlq", "show", first)["state"] == "stale"
    assert f"no dead letter was redriven of {first}" in operator.types("dlq", "redrive", "--task", first, expect=1)
    counts = operator.asks("dlq", "redrive")
    assert (counts["redriven"], counts["stale"]) == (0, 2)
    assert operator.asks("get", first)["run"] == 2, "a redrive of what has completed since does nothing"
    assert operator.asks("dlq", "purge", "--task", first, "--yes") == {"purged": 1}
    assert operator.asks("dlq", "purge", "--stale", "--yes") == {"purged": 1}
    assert operator.asks("dlq", "purge", "--all", "--yes") == {"purged": 0}


def test_a_task_that_failed_again_is_redriven_once(operator: Operator) -> None:
    """Failed, retried by hand, failed again: it has two letters, and the first that is pulled is stale."""
    operator.turns_switch(on=False)
    task_id = operator.submits_moody()
    operator.sees_dead_letters(1)
    operator.types("retry", task_id)
    letters = operator.sees_dead_letters(2)
    assert {(letter["run"], letter["state"]) for letter in letters} == {(1, "stale"), (2, "failed")}
    operator.turns_switch(on=True)
    counts = operator.asks("dlq", "redrive", "--rate", "1", "--task", task_id)
    assert (counts["redriven"], counts["stale"]) == (1, 1)
    task = operator.asks("wait", task_id)
    assert (task["status"], task["run"]) == ("completed", 3)
    assert operator.types("dlq", "purge", "--stale", "--yes") == "deleted 1 dead letter\n"


def test_the_client_does_all_that_the_commands_do(client: TaskRunnerClient) -> None:
    client.health()
    assert client.openapi()["openapi"].startswith("3.")
    submissions = client.submit_many([NewTask({"n": n}, handler="none" if n == 1 else None) for n in range(3)])
    assert [isinstance(each, Submission) for each in submissions] == [True, False, True]
    last = client.submit(b"", delay_seconds=1)
    statuses = [task.status for task in client.watch(last.task_id)]
    assert statuses[0] is Status.PENDING
    assert statuses[-1] is Status.COMPLETED
    assert client.wait(last.task_id).status is Status.COMPLETED
    assert client.page(limit=1).tasks[0].task_id == last.task_id
    assert {task.status for task in client.tasks(status=Status.COMPLETED, limit=5)} == {Status.COMPLETED}


def test_without_a_token_nothing_is_told(stack: DeployedStack) -> None:
    with TaskRunnerClient(stack.url) as stranger:
        stranger.health()
        with pytest.raises(UnauthorizedError):
            stranger.stats()


def test_the_acceptance_suite_needs_a_token_of_the_stack(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = operator.project.start_acceptance("ops")
    printed, _ = suite.communicate(timeout=2 * PATIENCE_SECONDS)
    assert suite.returncode == 0, printed
    monkeypatch.setenv("TASK_RUNNER_TOKEN", "x" * 40)
    suite = operator.project.start_acceptance("ops")
    printed, _ = suite.communicate(timeout=2 * PATIENCE_SECONDS)
    assert suite.returncode == pytest.ExitCode.USAGE_ERROR
    assert "set TASK_RUNNER_TOKEN to one of the stack's api_tokens" in printed


def test_an_engine_without_dead_letters_says_what_to_do(operator: Operator) -> None:
    operator.project.configure("flow", env="stg", state_store="d1", engine="workflow", api_tokens=TOKENS)
    operator.project.deploy("up", "flow")
    operator = Operator(operator.project, operator.switch, "flow")
    printed = operator.types("dlq", "list", expect=1)
    assert "engine workflow has no dead-letter queue" in printed
    assert operator.asks("stats")["deadLetters"] is None
    assert operator.asks("submit", "--wait")["status"] == "completed"

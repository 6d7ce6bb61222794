"""The command line: what it asks for, what it prints, and with which code it ends."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops import command, deployed_stack, live_commands, task_commands
from ops.client import TaskRunnerClient
from ops.command_line import main
from ops.console import duration, excerpt
from tests.ops.conftest import TOKEN
from tests.ops.stand_in import PENDING, TASK, Reply, StandIn, event
from tests.ops.test_client import ALERTS, HISTORY, STATS, refused

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(runner: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs a command on the stand-in: exit code, stdout and stderr."""
    connected = list[tuple[str, Path]]()

    def connect(name: str, state_dir: Path) -> TaskRunnerClient:
        connected.append((name, state_dir))
        return TaskRunnerClient(runner.url, TOKEN)

    monkeypatch.setattr(command, "connect", connect)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["get"],
        ["get", ""],
        ["get", "t1", "--wait", "61"],
        ["submit", "--delay", "soon"],
        ["submit", "--param", "novalue"],
        ["submit", "--max-retries", "101"],
        ["submit", "file", "--data", "x"],
        ["submit", "/no/such/file"],
        ["list", "--status", "done"],
        ["list", "--limit", "0"],
        ["retry"],
        ["retry", "t1", "--status", "failed"],
        ["retry", "t1", "--handler", "http"],
        ["retry", "--status", "completed"],
        ["dlq"],
        ["dlq", "purge"],
        ["dlq", "purge", "--all", "--malformed"],
        ["dlq", "redrive", "--rate", "0"],
        ["dlq", "redrive", "--rate", "inf"],
        ["dlq", "list", "--limit", "101"],
    ],
)
def test_wrong_usage_is_one_line(run: Run, runner: StandIn, words: list[str]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    code, out, err = run(*words, "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["code"] == "usage"
    assert runner.requests == []


def test_submit_sends_what_it_is_told(run: Run, runner: StandIn, tmp_path: Path) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "pending"})]
    file = tmp_path / "payload"
    file.write_bytes(b"\x00\xff")
    words = ["submit", str(file), "--handler", "http", "--param", "url=https://a/?b=c", "--param", "method=PUT"]
    words += ["--delay", "2h", "--ttl", "1d", "--max-retries", "0", "--idempotency-key", "k"]
    assert run(*words) == (0, "t1 pending\n", "")
    [request] = runner.requests
    assert request.body == b"\x00\xff"
    assert request.query == {
        "handler": ["http"],
        "param.url": ["https://a/?b=c"],
        "param.method": ["PUT"],
        "delaySeconds": ["7200"],
        "ttlSeconds": ["86400"],
        "maxRetries": ["0"],
    }
    assert request.headers["Idempotency-Key"] == "k"


def test_submit_takes_text_and_standard_input(run: Run, runner: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "pending"}, headers={"Idempotent-Replayed": "true"})]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    assert run("submit", "--data", "ü")[1] == "t1 pending (it was submitted before)\n"
    run("submit", "-")
    run("submit")
    assert [request.body for request in runner.requests] == ["ü".encode(), b"from a pipe", b""]
    printed = json.loads(run("submit", "--json")[1])
    assert printed == {"taskId": "t1", "status": "pending", "isReplay": True, "isReplaced": False}


def test_a_priority_is_given_and_shown(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(PENDING), Reply(PENDING | {"priority": "high"}), Reply(PENDING)]
    run("submit", "--priority", "high")
    assert re.search(r"^priority +high$", run("get", "t1")[1], re.MULTILINE)
    assert "priority" not in run("get", "t1")[1]
    assert runner.requests[0].query["priority"] == ["high"]
    assert run("submit", "--priority", "urgent")[0] == 2


def test_a_group_is_given_shown_and_listed(run: Run, runner: StandIn) -> None:
    waiting = TASK | {"status": "pending", "group": "customer-1", "waitingFor": "group", "expiresAt": None}
    runner.replies = [Reply(waiting), Reply(waiting), Reply({"tasks": [], "cursor": None})]
    run("submit", "--group", "customer-1")
    assert re.search(r"^group +customer-1 \(waits for its turn\)$", run("get", "t1")[1], re.MULTILINE)
    run("list", "--group", "customer-1")
    assert [request.query.get("group") for request in runner.requests] == [["customer-1"], None, ["customer-1"]]


def test_alerts_are_shown_and_one_that_fires_is_a_failure(run: Run, runner: StandIn) -> None:
    quiet = ALERTS | {"alerts": ALERTS["alerts"][1:], "untold": 0}
    runner.replies = [Reply(ALERTS), Reply(quiet), Reply({"url": None, "alerts": [], "untold": 0}), Reply(ALERTS)]
    code, told, _ = run("alerts")
    assert code == 1
    assert re.search(r"^dead_letters +firing +3 +1, resolved below 0.8 +since 2026-11-22 09:00:00 UTC", told, re.M)
    assert re.search(r"^database_percent +ok +unknown +80, resolved below 64", told, re.M)
    assert "1 posts to https://hooks.example have not arrived yet" in told
    assert run("alerts")[0] == 0
    assert run("alerts") == (0, "the stack has no alerts: the setting alerts makes some\n", "")
    assert json.loads(run("alerts", "--json")[1]) == ALERTS


def test_tags_are_given_shown_and_listed(run: Run, runner: StandIn) -> None:
    tagged = TASK | {"tags": {"customer": "acme", "zone": "a:b"}}
    runner.replies = [Reply(tagged), Reply(tagged), *(Reply({"tasks": [], "cursor": None}) for _ in range(2))]
    run("submit", "--tag", "customer:acme", "--tag", "zone:a:b")
    assert re.search(r"^tags +customer:acme, zone:a:b$", run("get", "t1")[1], re.MULTILINE)
    run("list", "--tag", "customer:acme", "--tag", "zone:a:b")
    run("retry", "--status", "failed", "--tag", "customer:acme")
    both = ["customer:acme", "zone:a:b"]
    assert [request.query.get("tag") for request in runner.requests] == [both, None, both, ["customer:acme"]]


def test_an_action_takes_tags(run: Run, runner: StandIn) -> None:
    action = {
        "id": "a",
        "action": "cancel",
        "dryRun": False,
        "state": "completed",
        "matched": 1,
        "done": 1,
        "skipped": 0,
    }
    runner.replies = [Reply(action | {"createdAt": "2026-11-23T08:00:00.000Z", "finishedAt": None})]
    assert run("actions", "cancel", "--tag", "customer:acme")[0] == 0
    (request,) = runner.requests
    assert json.loads(request.body) == {
        "action": "cancel",
        "filter": {"tags": {"customer": "acme"}},
        "dryRun": False,
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--tag", "customer"), "expected KEY:VALUE, got 'customer'"),
        (("list", "--tag", "a:1", "--tag", "a:2"), "expected each key of --tag once, got a again"),
        (("retry", "t1", "--tag", "a:1"), "--handler, --group and --tag go with --status"),
    ],
)
def test_tags_that_are_no_use_are_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    code, _, told = run(*arguments)
    assert code == 2
    assert message in told


def test_submit_replaces_a_pending_task(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "pending", "replaced": True})]
    assert run("submit", "--idempotency-key", "k", "--replace", "pending") == (0, "t1 pending (replaced)\n", "")
    assert runner.requests[0].query == {"replace": ["pending"]}


@pytest.mark.parametrize(("status", "expected"), [("completed", 0), ("failed", 1), ("cancelled", 1)])
def test_waiting_tells_how_it_ended(run: Run, runner: StandIn, status: str, expected: int) -> None:
    submitted = Reply({"taskId": "t1", "status": "pending"})
    runner.replies = [submitted, Reply(PENDING), Reply(TASK | {"status": status})]
    code, out, err = run("submit", "--wait", "--json")
    assert (code, err) == (expected, "")
    assert json.loads(out)["status"] == status
    runner.replies = [Reply(TASK), Reply(TASK | {"status": status})]
    code, out, _ = run("wait", "t1", "t2", "--json")
    assert code == expected
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["completed", status]


def test_waiting_no_longer_than_it_should(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(PENDING)]
    code, _, err = run("wait", "t1", "--timeout", "0")
    assert code == 1
    assert "has not ended within 0 s" in err


def test_get_tells_all(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(TASK | {"run": 2, "error": {"name": "Error", "message": "a\x1b[31m\nb"}})]
    code, out, _ = run("get", "t1", "--wait", "5")
    assert code == 0
    assert runner.requests[0].query == {"wait": ["5"]}
    facts = dict(line.split("  ", 1) for line in out.splitlines())
    assert {key: value.strip() for key, value in facts.items()} == {
        "task": "t1",
        "status": "completed",
        "handler": "default",
        "attempts": "1 of 6, run 2",
        "progress": "50 % half",
        "error": "Error: a [31m b",
        "created": "2026-11-22T10:00:00.000Z",
        "started": "2026-11-22T10:00:01.000Z",
        "finished": "2026-11-22T10:00:02.500Z",
        "expires": "2026-11-23T10:00:00.000Z",
        "result": '{"camelCase": 1, "snake_case": [2]}',
    }
    assert json.loads(run("get", "t1", "--json")[1])["result"] == TASK["result"]
    runner.replies = [Reply(TASK | {"crashes": 1}), Reply(TASK | {"crashes": 2, "run": 2})]
    assert "attempts  1 of 6, 1 crash\n" in run("get", "t1")[1]
    assert "attempts  1 of 6, 2 crashes, run 2\n" in run("get", "t1")[1]


def test_a_batch_and_a_task_after_others(run: Run, runner: StandIn) -> None:
    statuses = ["pending", "processing", "completed", "failed", "cancelled", "expired"]
    batch = {
        "batchId": "t1",
        "startWhen": "completed",
        "counts": dict.fromkeys(statuses, 0) | {"completed": 2, "expired": 1},
        "tasks": [{"taskId": "a", "status": "completed"}, {"taskId": "b", "status": None}],
        "then": PENDING,
    }
    after = {"taskIds": ["a", "b"], "startWhen": "ended", "waitsFor": ["b"]}
    runner.replies = [
        Reply(batch),
        Reply({"taskId": "t1", "status": "pending"}),
        Reply({**PENDING, "after": after, "expiresAt": None}),
    ]
    code, out, _ = run("batch", "t1")
    assert code == 0
    assert "2 completed, 1 expired" in out
    assert "then        pending" in out
    assert run("submit", "--after", "a", "--after", "b", "--start-when", "ended")[0] == 0
    assert runner.requests[1].query == {"after": ["a,b"], "startWhen": ["ended"]}
    assert "2 tasks, when they have ended, waits for 1" in run("get", "t1")[1]


@pytest.mark.usefixtures("run")
def test_a_payload_is_written_byte_for_byte(runner: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = bytes(range(256))
    runner.replies = [Reply(body=payload)]
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written))
    assert main(["payload", "t1"]) == 0
    assert written.getvalue() == payload
    assert runner.requests[0].path == "/task/t1/payload"


def test_list_shows_a_row_for_each_task(run: Run, runner: StandIn) -> None:
    summary = {key: value for key, value in TASK.items() if key != "result"}
    failed = summary | {"taskId": "t2", "status": "failed", "error": {"name": "E", "message": "broken"}}
    working = summary | {"taskId": "t3", "status": "processing"}
    runner.replies = [Reply({"tasks": [summary, failed, working], "cursor": "more"})]
    code, out, _ = run("list", "--status", "failed", "--handler", "http", "--limit", "3")
    assert code == 0
    heading, first, second, third = out.splitlines()
    assert heading.split() == ["TASK", "STATUS", "HANDLER", "RUN", "ATTEMPTS", "AGE"]
    assert first.split()[:6] == ["t1", "completed", "default", "1", "1", "of"]
    assert second.endswith("E: broken")
    assert third.endswith("50 % half")
    assert runner.requests[0].query == {"status": ["failed"], "handler": ["http"], "limit": ["3"]}
    printed = json.loads(run("list", "--limit", "3", "--json")[1])
    assert [task["taskId"] for task in printed["tasks"]] == ["t1", "t2", "t3"]
    runner.replies = [Reply({"tasks": [summary], "cursor": "more"}), Reply({"tasks": [], "cursor": None})]
    assert len(json.loads(run("list", "--all", "--json")[1])["tasks"]) == 1
    assert run("list")[1] == "no tasks\n"


def test_list_asks_for_what_it_is_told(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply({"tasks": [], "cursor": None})]
    words = ["--id", "01a2", "--since", "2026-11-30T10:00:00+01:00", "--until", "2026-11-30T09:30:00.5Z"]
    assert run("list", *words, "--error", "timed out")[0] == 0
    assert runner.requests[0].query == {
        "id": ["01a2"],
        "createdAfter": ["2026-11-30T09:00:00.000Z"],
        "createdBefore": ["2026-11-30T09:30:00.500Z"],
        "error": ["timed out"],
        "limit": ["20"],
    }
    before = datetime.now(UTC)
    run("list", "--since", "2h")
    asked = datetime.fromisoformat(runner.requests[1].query["createdAfter"][0])
    assert timedelta(0) <= asked - (before - timedelta(hours=2)) < timedelta(seconds=30)
    for odd in ("soon", "99999999999999d", "999999999d", "1"):
        assert run("list", "--since", odd)[0] == 2


def test_what_one_task_refuses_does_not_stop_the_others(run: Run, runner: StandIn) -> None:
    cancelled = Reply(TASK | {"status": "cancelled"})
    runner.replies = [cancelled, refused("wrong_status", 409, status="completed"), cancelled]
    code, out, err = run("cancel", "t1", "t2", "t3")
    assert (code, out, err) == (1, "t1 cancelled\nt3 cancelled\n", "error: t2: No.\n")
    runner.replies = [refused("task_not_found", 404)]
    code, _, err = run("retry", "t9", "--json")
    assert code == 1
    explanation = "t9: No.: there is no such task, or its time to live is over"
    assert json.loads(err) == {"error": explanation, "code": "task_not_found", "taskId": "t9"}
    said = "there is no task t9: it was never submitted, or its time to live is over"
    runner.replies = [Reply({"error": said, "code": "task_not_found"}, 404)]
    assert run("get", "t9")[2] == f"error: {said}\n"


def test_retry_takes_those_that_failed(run: Run, runner: StandIn) -> None:
    summary = {key: value for key, value in TASK.items() if key != "result"} | {"status": "failed"}
    page = Reply({"tasks": [summary, summary | {"taskId": "t2"}], "cursor": None})
    runner.replies = [page, Reply({"taskId": "t", "status": "pending"})]
    code, out, _ = run("retry", "--status", "failed", "--handler", "http", "--limit", "2")
    assert (code, out) == (0, "t1 pending\nt2 pending\n")
    assert [request.path for request in runner.requests] == ["/tasks", "/task/t1/retry", "/task/t2/retry"]
    assert runner.requests[0].query == {"status": ["failed"], "handler": ["http"], "limit": ["2"]}


def test_retry_finds_nothing(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply({"tasks": [], "cursor": None})]
    assert run("retry", "--status", "cancelled") == (0, "", "no such tasks\n")


def test_a_refused_token_stops_at_once(run: Run, runner: StandIn) -> None:
    runner.replies = [refused("unauthorized", 401)]
    code, _, err = run("cancel", "t1", "t2")
    assert code == 1
    assert err == "error: No.: set TASK_RUNNER_TOKEN to one of the stack's api_tokens\n"
    assert len(runner.requests) == 1


def test_a_rate_limit_is_waited_for_and_told_in_the_end(run: Run, runner: StandIn) -> None:
    limited = Reply({"error": "No.", "code": "rate_limited"}, 429, {"Retry-After": "0"})
    runner.replies = [limited, limited, Reply({"taskId": "t1", "status": "pending"})]
    assert run("retry", "t1") == (0, "t1 pending\n", "")
    runner.replies = [limited]
    assert run("retry", "t1", "t2") == (1, "", "error: No.\n")


def test_watch_prints_a_line_for_each_change(run: Run, runner: StandIn) -> None:
    working = TASK | {"status": "processing", "result": None, "finishedAt": None}
    runner.replies = [Reply(pieces=[event(PENDING), event(working), event(TASK)])]
    code, out, _ = run("watch", "t1")
    assert code == 0
    pending, processing, *story = out.splitlines()
    assert pending.split() == ["t1", "pending", "attempt", "1"]
    assert processing.split() == ["t1", "processing", "attempt", "1", "50", "%", "half"]
    assert story[1].split() == ["status", "completed"]
    runner.replies = [Reply(pieces=[event(PENDING), event(TASK | {"status": "failed"})])]
    code, out, _ = run("watch", "t1", "--json")
    assert code == 1
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["pending", "failed"]


def test_watch_rewrites_its_line_on_a_terminal(run: Run, runner: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    runner.replies = [Reply(pieces=[event(PENDING), event(TASK)])]
    code, out, err = run("watch", "t1")
    assert code == 0
    assert out.startswith("task")
    assert err.startswith("\rt1  pending")


def test_stats_in_lines_and_in_json(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(STATS)]
    code, out, _ = run("stats")
    assert code == 0
    assert "1 pending, 2 processing, 3 completed, 4 failed, 5 cancelled" in out
    assert "2, the oldest 1.5 s old" in out
    assert "2026-11-22 09:59:00 UTC" in out
    assert "5.0 of 10,000 MB, 0.1%" in out
    assert "p50 10 ms, p95 20.5 ms, p99 30 ms (of 3)" in out
    assert json.loads(run("stats", "--json")[1]) == STATS


def test_stats_of_a_day_in_lines_and_in_json(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(STATS | {"history": HISTORY})]
    code, out, _ = run("stats", "--range", "day")
    assert code == 0
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["2026-11-22", "09:00", "4", "3", "1", "0", "10", "20.5", "30"],
        ["2026-11-22", "09:30", "1", "0", "0", "2", "not", "all", "is", "counted"],
    ]
    assert "last day: 5 submitted, 3 completed, 1 failed, 2 cancelled" in out
    assert "latency: p50 10 ms, p95 20.5 ms, p99 30 ms (of 3)" in out
    assert json.loads(run("stats", "--range", "day", "--json")[1]) == HISTORY
    assert all((request.path, request.query) == ("/stats", {"range": ["day"]}) for request in runner.requests)
    code, _, err = run("stats", "--range", "month")
    assert code == 2
    assert "month" in err


def test_metrics_are_printed_as_they_came(run: Run, runner: StandIn) -> None:
    text = '# TYPE a gauge\na{b="ü\\n"} 1\n# EOF\n'
    kind = {"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"}
    runner.replies = [Reply(body=text.encode(), headers=kind)]
    assert run("metrics") == (0, text, "")
    assert json.loads(run("metrics", "--json")[1]) == {"metrics": text}
    assert runner.requests[0].path == "/metrics"


def test_what_cannot_be_reached_is_one_line(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(body=b"<html>", status=502)]
    code, out, err = run("stats")
    assert (code, out) == (1, "")
    assert err.startswith("error: expected the answer of a task runner, got 502")
    assert err.count("\n") == 1


def test_a_stack_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--stack", "local", "--state", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "error: stack local is not deployed: run `make up` first\n"
    assert main(["dlq", "list", "--stack", "nope", "--state", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["code"] == "not_ready"


def test_an_interrupt_ends_with_its_own_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_options: Any) -> TaskRunnerClient:
        raise KeyboardInterrupt

    monkeypatch.setattr(task_commands, "client_of", interrupt)
    assert run("stats") == (130, "", "")


# --- the token


@pytest.fixture
def no_pulumi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give an empty project folder, on a machine without the Pulumi CLI."""
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    monkeypatch.delenv("TASK_RUNNER_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_token(no_pulumi: Path) -> None:
    assert deployed_stack.task_runner_token("local") is None
    (no_pulumi / "Pulumi.local.yaml").write_text("config:\n  ephemera:api_tokens:\n    secure: v1:abc\n")
    assert deployed_stack.task_runner_token("local") is None


def test_a_stack_file_that_says_nothing_has_no_token(no_pulumi: Path) -> None:
    for text in ("", "# nothing yet\n", "config:\n"):
        (no_pulumi / "Pulumi.local.yaml").write_text(text)
        assert deployed_stack.task_runner_token("local") is None


def test_a_stack_file_that_cannot_be_read_is_said_so(no_pulumi: Path) -> None:
    (no_pulumi / "Pulumi.local.yaml").write_text("config:\n    ephemera:env: dev\n  ephemera:engine: queue\n")
    with pytest.raises(deployed_stack.NotReadyError, match=r"cannot read Pulumi.local.yaml: (.|\n)*line 3"):
        deployed_stack.task_runner_token("local")


def test_a_plain_token_of_the_stack_file(no_pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (no_pulumi / "Pulumi.local.yaml").write_text('config:\n  ephemera:api_tokens: " first, second third"\n')
    assert deployed_stack.task_runner_token("local") == "first"
    monkeypatch.setenv("TASK_RUNNER_TOKEN", "mine")
    assert deployed_stack.task_runner_token("local") == "mine"


def test_a_secret_token_of_the_pulumi_cli(no_pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi = no_pulumi / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text('#!/bin/sh\n[ "$*" = "config get api_tokens --stack dev" ] && echo "secret,older"\n')
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(pulumi.parent))
    assert deployed_stack.task_runner_token("dev") == "secret"
    assert deployed_stack.task_runner_token("stg") is None


# --- words for people


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0 s"),
        (0.25, "0.25 s"),
        (1.5, "1.5 s"),
        (45.4, "45 s"),
        (60, "1 min"),
        (720, "12 min"),
        (12_600, "3.5 h"),
        (172_800, "2 d"),
        (140 * 86_400, "140 d"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_an_excerpt_is_one_printable_line() -> None:
    assert excerpt("a\x1b[2J\r\nb\x9b\u202e") == "a [2J  b  "
    assert excerpt("x" * 61) == "x" * 59 + "…"


# --- any JSON


DEEP = 10_000


@pytest.mark.parametrize(
    "result",
    [
        "[" * DEEP + "1" + "]" * DEEP,
        '{"a": ' * DEEP + "{}" + "}" * DEEP,
        '"\\ud800 \\udfff \\u0000 \\u001b[2J \\u202e 😀"',
        json.dumps("x" * 300_000),
        "1e400",
        "[" + "9" * 5_000 + "]",
    ],
    ids=["deep list", "deep object", "odd text", "long", "huge number", "long number"],
)
def test_any_result_can_be_shown(run: Run, runner: StandIn, result: str) -> None:
    text = json.dumps(TASK | {"result": "RESULT"}).replace('"RESULT"', result)
    runner.replies = [Reply(body=text.encode())]
    for words in (["get", "t1"], ["get", "t1", "--json"], ["wait", "t1"]):
        code, out, err = run(*words)
        assert (code, err) == (0, "")
        assert "result" in out
        assert "\x1b" not in out
    runner.replies = [Reply(pieces=[f"event: task\ndata: {text}\n\n".encode()])]
    assert run("watch", "t1")[0] == 0


def test_what_half_a_character_is_printed_as_is_json(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply(TASK | {"result": ["\ud800", "ü"]})]
    out = run("get", "t1", "--json")[1]
    assert json.loads(out)["result"] == ["\ud800", "ü"]
    assert '"\\ud800", "ü"' in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_is_no_trouble(
    run: Run, runner: StandIn, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    assert callable(run)
    runner.replies = [Reply(TASK | {"result": "ü 😀"})]
    for words in (["get", "t1"], ["get", "t1", "--json"]):
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
        assert main(words) == 0
        text = written.getvalue().decode(encoding)
        if "--json" in words:
            assert json.loads(text)["result"] == "ü 😀"


def test_a_payload_that_is_no_text_is_sent_byte_for_byte(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "pending"})]
    assert run("submit", "--data", "\udcff\udcfe")[0] == 0
    assert runner.requests[0].body == b"\xff\xfe"
    code, _, err = run("list", "--handler", "\udcff")
    assert code == 2
    assert err.startswith("error: expected arguments in UTF-8")


def test_a_reader_that_has_had_enough_ends_it_quietly(runner: StandIn) -> None:
    summary = {key: value for key, value in TASK.items() if key != "result"}
    runner.replies = [Reply({"tasks": [summary] * 100, "cursor": None})]
    script = (
        "import sys; from ops import command, command_line; from ops.client import TaskRunnerClient;"
        f"command.connect = lambda *_: TaskRunnerClient({runner.url!r});"
        "sys.exit(command_line.main(['list', '--limit', '100']))"
    )
    ended = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -1', sys.executable, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("TASK")


# --- a task's story


ATTEMPTS: list[dict[str, Any]] = [
    {
        "run": 1,
        "attempt": 1,
        "outcome": "failed",
        "startedAt": "2026-11-22T10:00:01.000Z",
        "endedAt": "2026-11-22T10:00:01.500Z",
        "error": {
            "name": "RangeError",
            "message": "not\nyet",
            "stack": "at one\nat two",
            "cause": {"name": "TypeError", "message": "why", "stack": None, "cause": None},
        },
        "log": [{"at": "2026-11-22T10:00:01.250Z", "level": "warn", "message": "odd \x1b", "fields": '{"a":1}'}],
        "logDropped": 3,
    },
    {
        "run": 1,
        "attempt": 1,
        "outcome": "crashed",
        "startedAt": None,
        "endedAt": None,
        "error": None,
        "log": [],
        "logDropped": 0,
    },
]


def test_task_tells_the_whole_story(run: Run, runner: StandIn) -> None:
    story = Reply({"taskId": "t1", "status": "failed", "attempts": ATTEMPTS})
    parameters = Reply({"taskId": "t1", "handler": "h", "parameters": {"url": "https://a/", "odd": "\x1b"}})
    child = SUMMARY | {"taskId": "c1", "status": "processing", "progress": None}
    children = Reply({"tasks": [child], "cursor": "c1"})
    replies = [Reply(TASK), story, parameters, Reply(body=b"some\nwords"), children]
    runner.replies = list(replies)
    code, out, err = run("task", "t1")
    assert (code, err) == (0, "")
    assert out.splitlines()[-13:] == [
        "parameter url=https://a/",
        "parameter odd= ",
        "payload, 10 bytes: some words",
        "attempt 1 of run 1 failed 2026-11-22T10:00:01.000Z for 0.5 s",
        "    RangeError: not yet",
        "      at one",
        "      at two",
        "    caused by TypeError: why",
        "    3 earlier lines are not kept",
        '    2026-11-22T10:00:01.250Z warn  odd   {"a":1}',
        "attempt 1 of run 1 crashed",
        "child c1  processing  attempt 1",
        "more of them: list --parent t1",
    ]
    paths = [request.path for request in runner.requests]
    assert paths == ["/task/t1", "/task/t1/attempts", "/task/t1/parameters", "/task/t1/payload", "/tasks"]
    assert runner.requests[-1].query == {"parent": ["t1"], "limit": ["20"]}
    runner.replies = list(replies)
    printed = json.loads(run("task", "t1", "--json")[1])
    assert [each["taskId"] for each in printed.pop("children")] == ["c1"]
    assert printed == {
        "task": TASK | {"steps": None},
        "attempts": ATTEMPTS,
        "parameters": {"url": "https://a/", "odd": "\x1b"},
        "payload": "some\nwords",
    }


def test_task_says_what_it_does_not_show(run: Run, runner: StandIn) -> None:
    story = Reply({"taskId": "t1", "status": "completed", "attempts": []})
    none = Reply({"tasks": [], "cursor": None})
    runner.replies = [Reply(TASK), story, refused("forbidden", 403), refused("payload_not_kept", 410), none]
    code, out, _ = run("task", "t1")
    assert code == 0
    assert out.splitlines()[-2:] == [
        "parameters not shown: a token with the role operate sees it",
        "payload not kept: it was dropped when the task had completed",
    ]
    runner.replies = [Reply(TASK), story, refused("forbidden", 403), Reply(body=b"\xff"), none]
    assert json.loads(run("task", "t1", "--json")[1])["payloadBase64"] == "/w=="
    runner.replies = [refused("task_not_found", 404)]
    assert run("task", "t1")[0] == 1


# --- live


SUMMARY = {key: value for key, value in TASK.items() if key != "result"}


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt a live command at its third look."""
    slept = list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(live_commands.time, "sleep", sleep)


def test_top_shows_the_numbers_and_the_newest_tasks(run: Run, runner: StandIn) -> None:
    page = Reply({"tasks": [SUMMARY], "cursor": None})
    runner.replies = [Reply(STATS), page]
    code, out, _ = run("top", "--once")
    assert code == 0
    assert "1 pending, 2 processing" in out
    assert out.splitlines()[-1].startswith("t1")
    assert "\x1b" not in out
    assert [request.path for request in runner.requests] == ["/stats", "/tasks"]
    runner.replies = [Reply(STATS), page]
    assert json.loads(run("top", "--once", "--json")[1])["stats"] == STATS


@pytest.mark.usefixtures("interrupted")
def test_top_looks_again_until_it_is_interrupted(run: Run, runner: StandIn) -> None:
    page = Reply({"tasks": [], "cursor": None})
    runner.replies = [Reply(STATS), page] * 3
    code, out, _ = run("top")
    assert (code, out.count("no tasks")) == (130, 3)


@pytest.mark.usefixtures("interrupted")
def test_tail_prints_a_line_for_each_change(run: Run, runner: StandIn) -> None:
    working = SUMMARY | {"status": "processing"}
    new = SUMMARY | {"taskId": "t2", "status": "pending", "attempts": 0}
    looks = [[working], [new, working], [new, SUMMARY]]
    runner.replies = [Reply({"tasks": tasks, "cursor": None}) for tasks in looks]
    code, out, _ = run("tail", "--handler", "default")
    assert code == 130
    assert [line.split()[:2] for line in out.splitlines()] == [["t2", "pending"], ["t1", "completed"]]
    assert runner.requests[0].query == {"handler": ["default"], "limit": ["100"]}


def test_tail_shows_once_what_there_is(run: Run, runner: StandIn) -> None:
    runner.replies = [Reply({"tasks": [SUMMARY, SUMMARY | {"taskId": "t0"}], "cursor": None})]
    code, out, _ = run("tail", "--once", "--json")
    assert (code, [json.loads(line)["taskId"] for line in out.splitlines()]) == (0, ["t0", "t1"])


@pytest.mark.usefixtures("interrupted")
def test_tail_says_when_it_has_missed_some(run: Run, runner: StandIn) -> None:
    looks = [[SUMMARY | {"taskId": f"{look}-{number}"} for number in range(100)] for look in range(3)]
    runner.replies = [Reply({"tasks": tasks, "cursor": None}) for tasks in looks]
    code, out, err = run("tail")
    assert (code, len(out.splitlines()), err.count("some are not shown")) == (130, 200, 2)

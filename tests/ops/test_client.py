"""The client: what it sends, how strictly it reads, and how it fails."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import Any

import pytest

from ops import client as client_module
from ops.action import Filter
from ops.client import TaskRunnerClient
from ops.errors import (
    BacklogFullError,
    BatchNotFoundError,
    IdempotencyConflictError,
    RateLimitedError,
    ScheduleOfStackError,
    StoreFullError,
    StoreUnavailableError,
    TaskNotFoundError,
    TaskRunnerError,
    UnauthorizedError,
    UnexpectedReplyError,
    UnreachableError,
    WrongStatusError,
)
from ops.json_object import to_json
from ops.patience import ERRORS_IN_A_ROW
from ops.schedule import NewSchedule
from ops.task import After, Failure, NewTask, Progress, Status, Submission
from tests.ops.conftest import TOKEN
from tests.ops.stand_in import PENDING, TASK, Reply, StandIn, event, stand_in

STATS: dict[str, Any] = {
    "generatedAt": "2026-11-22T10:00:00.000Z",
    "asOf": "2026-11-22T09:59:00.000Z",
    "counts": {"pending": 1, "processing": 2, "completed": 3, "failed": 4, "cancelled": 5},
    "counted": {"tasks": 15, "since": "2026-11-22T09:00:00.000Z", "complete": True},
    "former": [],
    "databases": [{"name": "DB", "bytes": 5_000_000, "limitBytes": 10_000_000_000, "used": 0.0005}],
    "queue": {"backlog": 2, "oldestAgeSeconds": 1.5, "priorities": None},
    "deadLetters": {"count": 1, "oldestAgeSeconds": None},
    "recent": {
        "minutes": 15,
        "perMinute": [
            {"minute": "2026-11-22T09:59:00.000Z", "submitted": 1, "completed": 1, "failed": 0, "cancelled": 0}
        ],
        "latencyMs": {"samples": 3, "p50": 10, "p95": 20.5, "p99": 30},
    },
    "objects": [{"name": "tasks-0", "version": None}],
    "paused": [{"handler": None, "since": "2026-11-22T09:00:00.000Z"}],
    "firing": ["dead_letters"],
    "sweeper": {"expired": 0, "resent": 1, "returned": 0, "failed": 0},
}


def refused(code: str, http_status: int, **more: Any) -> Reply:
    return Reply({"error": "No.", "code": code, **more}, http_status)


SCHEDULE: dict[str, Any] = {
    "name": "report",
    "owner": "api",
    "cron": "0 9 * * 1-5",
    "timezone": "Europe/Berlin",
    "everySeconds": None,
    "overlap": "skip",
    "missed": "last",
    "paused": False,
    "handler": "default",
    "delaySeconds": 0,
    "ttlSeconds": None,
    "maxRetries": 2,
    "group": None,
    "tags": {"of": "day"},
    "priority": "normal",
    "callbackUrl": None,
    "nextRuns": ["2026-11-23T08:00:00.000Z"],
    "lastRuns": [{"taskId": "t1", "scheduledAt": "2026-11-20T08:00:00.000Z"}],
}


def test_a_task_starts_after_others(client: TaskRunnerClient, runner: StandIn) -> None:
    after = {"taskIds": ["t0", "t2"], "startWhen": "ended", "waitsFor": ["t2"]}
    runner.replies = [
        Reply({"taskId": "t1", "status": "pending"}),
        Reply({**PENDING, "after": after, "expiresAt": None}),
    ]
    client.submit(after=["t0", "t2"], start_when="ended")
    task = client.get("t1")
    assert task.after == After(("t0", "t2"), "ended", ("t2",))
    assert task.expires_at is None
    assert runner.requests[0].query == {"after": ["t0,t2"], "startWhen": ["ended"]}


def test_a_batch_is_submitted_with_a_task_at_its_end(client: TaskRunnerClient, runner: StandIn) -> None:
    tasks = [{"httpStatus": 200, "taskId": task_id, "status": "pending"} for task_id in ("t1", "t2")]
    runner.replies = [Reply({"batchId": "t3", "tasks": tasks}, headers={"Idempotent-Replayed": "true"})]
    submission = client.submit_batch(
        [NewTask("one"), NewTask({"n": 2}, after=["t0"])],
        NewTask(b"", handler="last"),
        start_when="ended",
        idempotency_key="k",
    )
    assert (submission.batch_id, [task.task_id for task in submission.tasks]) == ("t3", ["t1", "t2"])
    assert submission.is_replay
    (request,) = runner.requests
    assert (request.method, request.path, request.headers["Idempotency-Key"]) == ("POST", "/tasks", "k")
    assert json.loads(request.body) == {
        "tasks": [{"payload": "one"}, {"payload": {"n": 2}, "after": ["t0"]}],
        "then": {"handler": "last"},
        "startWhen": "ended",
    }


BATCH: dict[str, Any] = {
    "batchId": "t1",
    "startWhen": "completed",
    "counts": {"pending": 1, "processing": 0, "completed": 1, "failed": 0, "cancelled": 0, "expired": 1},
    "tasks": [
        {"taskId": "a", "status": "pending"},
        {"taskId": "b", "status": "completed"},
        {"taskId": "c", "status": None},
    ],
    "then": PENDING,
}


def test_a_batch_is_shown(client: TaskRunnerClient, runner: StandIn) -> None:
    runner.replies = [Reply(BATCH), refused("batch_not_found", 404)]
    batch = client.batch("t1")
    assert (batch.counts["pending"], batch.counts["expired"], batch.then.status) == (1, 1, Status.PENDING)
    assert batch.tasks == {"a": Status.PENDING, "b": Status.COMPLETED, "c": None}
    with pytest.raises(BatchNotFoundError):
        client.batch("t9")


def test_a_schedule_is_put_with_its_task(client: TaskRunnerClient, runner: StandIn) -> None:
    runner.replies = [Reply(SCHEDULE)]
    new = NewSchedule(
        cron="0 9 * * 1-5",
        timezone="Europe/Berlin",
        task=NewTask("work", max_retries=2, on=["failed"], group="g", tags={"of": "day"}, priority="low"),
    )
    schedule = client.put_schedule("report", new)
    assert to_json(schedule) == SCHEDULE
    (request,) = runner.requests
    assert (request.method, request.path) == ("PUT", "/schedules/report")
    assert json.loads(request.body) == {
        "cron": "0 9 * * 1-5",
        "timezone": "Europe/Berlin",
        "payload": "work",
        "maxRetries": 2,
        "group": "g",
        "tags": {"of": "day"},
        "priority": "low",
        "on": ["failed"],
    }


def test_schedules_are_listed_paused_resumed_and_deleted(client: TaskRunnerClient, runner: StandIn) -> None:
    runner.replies = [Reply({"schedules": [SCHEDULE]}), *[Reply(SCHEDULE)] * 4]
    assert [each.name for each in client.schedules()] == ["report"]
    for act in (client.schedule, client.pause_schedule, client.resume_schedule, client.delete_schedule):
        assert act("report").last_runs[0].task_id == "t1"
    assert [(request.method, request.path) for request in runner.requests[1:]] == [
        ("GET", "/schedules/report"),
        ("POST", "/schedules/report/pause"),
        ("POST", "/schedules/report/resume"),
        ("DELETE", "/schedules/report"),
    ]


ACTION: dict[str, Any] = {
    "id": "a1",
    "action": "retry",
    "dryRun": True,
    "state": "running",
    "matched": 3,
    "done": 2,
    "skipped": 1,
    "createdAt": "2026-11-20T08:00:00.000Z",
    "finishedAt": None,
}


def test_actions_are_started_followed_and_stopped(client: TaskRunnerClient, runner: StandIn) -> None:
    runner.replies = [Reply(ACTION), Reply({"actions": [ACTION]}), Reply(ACTION), Reply(ACTION)]
    wanted = Filter(status="failed", tags={"customer": "acme"}, created_after=datetime(2026, 11, 20, tzinfo=UTC))
    assert to_json(client.start_action("retry", wanted, dry_run=True)) == ACTION
    assert [each.done for each in client.actions()] == [2]
    assert client.action("a1").matched == client.stop_action("a1").matched == 3
    assert json.loads(runner.requests[0].body) == {
        "action": "retry",
        "filter": {"status": "failed", "tags": {"customer": "acme"}, "createdAfter": "2026-11-20T00:00:00+00:00"},
        "dryRun": True,
    }
    assert [(request.method, request.path) for request in runner.requests] == [
        ("POST", "/actions"),
        ("GET", "/actions"),
        ("GET", "/actions/a1"),
        ("DELETE", "/actions/a1"),
    ]


def test_handlers_are_paused_and_resumed(client: TaskRunnerClient, runner: StandIn) -> None:
    reply = {"pauses": [{"handler": None, "since": "2026-11-20T08:00:00.000Z"}]}
    runner.replies = [Reply(reply)] * 5
    for pauses in (client.pauses(), client.pause(), client.pause("slug"), client.resume(), client.resume("slug")):
        assert [(each.handler, each.since.hour) for each in pauses] == [(None, 8)]
    assert [(request.method, request.path) for request in runner.requests] == [
        ("GET", "/pauses"),
        ("POST", "/pause"),
        ("POST", "/handlers/slug/pause"),
        ("POST", "/resume"),
        ("POST", "/handlers/slug/resume"),
    ]


def test_schedules_of_the_stack_are_its_own(client: TaskRunnerClient, runner: StandIn) -> None:
    refusal = {"name": "taken", "error": "there is one"}
    runner.replies = [Reply({"schedules": [], "refused": [refusal]}), *[refused("schedule_of_stack", 409)] * 2]
    assert client.refused_schedules() == {"taken": "there is one"}
    with pytest.raises(ScheduleOfStackError):
        client.delete_schedule("report")
    with pytest.raises(ScheduleOfStackError):
        client.put_schedule("report", NewSchedule(every_seconds=60))


# --- submitting


def test_a_payload_goes_as_it_is(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "pending"})]
    payloads = (b"\x00\xff", "text", {"a": [1]}, None, b"")
    for payload in payloads:
        assert client.submit(payload) == Submission("t1", Status.PENDING, is_replay=False)
    sent = [(request.body, request.headers["Content-Type"]) for request in runner.requests]
    assert sent == [
        (b"\x00\xff", "application/octet-stream"),
        (b"text", "text/plain; charset=utf-8"),
        (b'{"a": [1]}', "application/json"),
        (b"null", "application/json"),
        (b"", "application/octet-stream"),
    ]
    assert {(request.method, request.path) for request in runner.requests} == {("POST", "/task")}


def test_what_steers_a_task_rides_beside_it(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({"taskId": "t1", "status": "completed"}, headers={"Idempotent-Replayed": "true"})]
    submission = client.submit(
        handler="http",
        parameters={"url": "https://example.com/?a=b&c", "method": "PUT"},
        delay_seconds=0,
        ttl_seconds=60,
        max_retries=3,
        idempotency_key="key 1",
        replace="pending",
        group="customer-1",
        tags={"customer": "acme", "zone": "a:b"},
    )
    assert submission.is_replay
    assert not submission.is_replaced
    [request] = runner.requests
    assert request.query == {
        "param.url": ["https://example.com/?a=b&c"],
        "param.method": ["PUT"],
        "handler": ["http"],
        "delaySeconds": ["0"],
        "ttlSeconds": ["60"],
        "maxRetries": ["3"],
        "replace": ["pending"],
        "group": ["customer-1"],
        "tag": ["customer:acme", "zone:a:b"],
    }
    assert request.headers["Idempotency-Key"] == "key 1"
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_many_tasks_each_have_their_answer(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [
        Reply(
            {
                "tasks": [
                    {"httpStatus": 200, "taskId": "t1", "status": "pending"},
                    {"httpStatus": 400, "error": "No.", "code": "unknown_handler", "handlers": ["default"]},
                    {"httpStatus": 409, "error": "No.", "code": "idempotency_conflict", "taskId": "t0"},
                    {"httpStatus": 200, "taskId": "t2", "status": "pending"},
                ]
            }
        )
    ]
    tasks = [
        NewTask({"a": 1}, max_retries=0),
        NewTask("text", handler="none"),
        NewTask(b"\xff", idempotency_key="k", parameters={"p": "q"}),
        NewTask(delay_seconds=5, ttl_seconds=60),
    ]
    first, second, third, fourth = client.submit_many(tasks)
    assert (first, fourth) == (
        Submission("t1", Status.PENDING, is_replay=False),
        Submission("t2", Status.PENDING, is_replay=False),
    )
    assert isinstance(second, TaskRunnerError)
    assert (second.code, second.status, second.message) == ("unknown_handler", 400, "No.")
    assert second.details == {"handlers": ["default"]}
    assert isinstance(third, IdempotencyConflictError)
    assert third.task_id == "t0"
    assert json.loads(runner.requests[0].body) == {
        "tasks": [
            {"payload": {"a": 1}, "maxRetries": 0},
            {"payload": "text", "handler": "none"},
            {"payloadBase64": "/w==", "idempotencyKey": "k", "parameters": {"p": "q"}},
            {"delaySeconds": 5, "ttlSeconds": 60},
        ]
    }


@pytest.mark.parametrize("count", [0, 101])
def test_too_many_or_no_tasks_are_not_sent(client: TaskRunnerClient, runner: StandIn, count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 100 tasks"):
        client.submit_many([NewTask()] * count)
    assert runner.requests == []


def test_an_answer_is_missing(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({"tasks": []})]
    with pytest.raises(UnexpectedReplyError, match="expected 1 answers, got 0"):
        client.submit_many([NewTask()])


# --- reading


def test_a_task_tells_its_story(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(TASK | {"error": {"name": "Error", "message": "first try"}})]
    task = client.get("a/b?c")
    assert runner.requests[0].path == "/task/a%2Fb%3Fc"
    assert task.status is Status.COMPLETED
    assert task.progress == Progress(50, "half")
    assert task.error == Failure("Error", "first try")
    assert task.created_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert task.next_attempt_at is None
    assert task.result == {"camelCase": 1, "snake_case": [2]}
    assert to_json(task) == TASK | {"error": {"name": "Error", "message": "first try"}, "steps": None}


def test_an_event_goes_as_json_and_a_task_shows_its_steps(runner: StandIn, client: TaskRunnerClient) -> None:
    step = {"name": "charge", "kind": "step", "status": "failed", "attempts": 2, "startedAt": None, "finishedAt": None}
    step |= {"dueAt": None, "error": {"name": "Error", "message": "no"}}
    runner.replies = [Reply({"taskId": "a", "event": "ok.go", "isNew": True}), Reply(TASK | {"steps": [step]})]
    assert client.send_event("a", "ok.go", {"by": "Ada"})
    request = runner.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/task/a/events/ok.go", b'{"by": "Ada"}')
    steps = client.get("a").steps
    assert steps
    assert (steps[0].name, steps[0].attempts, steps[0].error) == ("charge", 2, Failure("Error", "no"))


def test_a_task_runner_that_tells_of_no_crashes_has_none(runner: StandIn, client: TaskRunnerClient) -> None:
    older = {key: value for key, value in TASK.items() if key != "crashes"}
    runner.replies = [Reply(older), Reply(TASK | {"crashes": 2})]
    assert [client.get("t1").crashes, client.get("t1").crashes] == [0, 2]


def test_a_backlog_that_is_full_may_pass_and_a_store_that_is_full_may_not(
    runner: StandIn, client: TaskRunnerClient
) -> None:
    runner.replies = [Reply({"error": "No.", "code": "backlog_full"}, 503, {"Retry-After": "7"})]
    with pytest.raises(BacklogFullError) as full:
        client.submit(b"")
    assert full.value.retry_after_seconds == 7
    runner.replies = [Reply({"error": "No.", "code": "store_full"}, 507)]
    with pytest.raises(StoreFullError):
        client.submit(b"")


def test_statistics(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(STATS)]
    assert to_json(client.stats()) == STATS
    waiting = {"backlog": 1, "oldestAgeSeconds": 2, "priorities": None}
    each = {"high": waiting, "normal": waiting, "low": waiting}
    queue = {"backlog": 3, "oldestAgeSeconds": 2, "priorities": each}
    plain = {"backlog": 1, "oldestAgeSeconds": 2}
    told = queue | {"priorities": {"high": plain, "normal": plain, "low": plain}}
    runner.replies = [Reply(STATS | {"queue": told})]
    assert to_json(client.stats())["queue"] == queue
    runner.replies = [Reply(STATS | {"queue": None, "deadLetters": None})]
    stats = client.stats()
    assert (stats.queue, stats.dead_letters) == (None, None)


HISTORY: dict[str, Any] = {
    "range": "day",
    "bucketSeconds": 1_800,
    "buckets": [
        {
            "start": "2026-11-22T09:00:00.000Z",
            "submitted": 4,
            "completed": 3,
            "failed": 1,
            "cancelled": 0,
            "latencyMs": {"samples": 3, "p50": 10, "p95": 20.5, "p99": 30},
            "complete": True,
        },
        {
            "start": "2026-11-22T09:30:00.000Z",
            "submitted": 1,
            "completed": 0,
            "failed": 0,
            "cancelled": 2,
            "latencyMs": None,
            "complete": False,
        },
    ],
    "latencyMs": {"samples": 3, "p50": 10, "p95": 20.5, "p99": 30},
}


def test_a_history(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(STATS | {"history": HISTORY})]
    assert to_json(client.history("day")) == HISTORY
    assert [(request.path, request.query) for request in runner.requests] == [("/stats", {"range": ["day"]})]
    runner.replies = [Reply(STATS), Reply(STATS | {"history": HISTORY | {"range": "year"}})]
    with pytest.raises(UnexpectedReplyError, match="history"):  # of a task runner that has none
        client.history("day")
    with pytest.raises(UnexpectedReplyError, match="expected one of hour, day, week"):
        client.history("day")


ALERTS: dict[str, Any] = {
    "url": "https://hooks.example",
    "alerts": [
        {
            "name": "dead_letters",
            "state": "firing",
            "value": 3,
            "limit": 1,
            "resolvesBelow": 0.8,
            "since": "2026-11-22T09:00:00.000Z",
            "firedAt": "2026-11-22T09:02:00.000Z",
        },
        {
            "name": "database_percent",
            "state": "ok",
            "value": None,
            "limit": 80,
            "resolvesBelow": 64,
            "since": None,
            "firedAt": None,
        },
    ],
    "untold": 1,
}


def test_alerts_keep_their_values(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(ALERTS), Reply({"url": None, "alerts": [], "untold": 0})]
    assert to_json(client.alerts()) == ALERTS
    assert client.alerts().url is None
    assert [request.path for request in runner.requests] == ["/alerts", "/alerts"]


def test_statistics_of_a_task_runner_that_tells_less_are_read(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({key: value for key, value in STATS.items() if key not in {"paused", "firing"}})]
    stats = client.stats()
    assert (stats.paused, stats.firing) == ((), ())


def test_the_description_and_the_health(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({"openapi": "3.1.0"}), Reply({"status": "ok", "version": "v1"})]
    assert client.openapi() == {"openapi": "3.1.0"}
    assert client.health() == "v1"
    assert [request.path for request in runner.requests] == ["/openapi.json", "/health"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"status": "done"}, "expected reply.status to be one of pending, processing, .*, got 'done'"),
        ({"run": "1"}, "expected a whole number for reply.run in the reply, got '1'"),
        ({"run": True}, "expected a whole number for reply.run in the reply, got True"),
        ({"taskId": None}, "expected a string for reply.taskId in the reply, got nothing"),
        ({"progress": {"percent": "50", "note": None}}, "expected a number for reply.progress.percent"),
        ({"progress": []}, r"expected an object for reply.progress in the reply, got \[\]"),
        ({"createdAt": "yesterday"}, "expected an ISO 8601 time for reply.createdAt"),
        ({"createdAt": "2026-11-22T10:00:00"}, "expected a time with its offset for reply.createdAt"),
    ],
)
def test_what_is_no_task_is_refused(
    runner: StandIn, client: TaskRunnerClient, wrong: dict[str, Any], complaint: str
) -> None:
    runner.replies = [Reply(TASK | wrong)]
    with pytest.raises(UnexpectedReplyError, match=complaint):
        client.get("t1")


def test_a_missing_key_is_named(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({key: value for key, value in TASK.items() if key != "expiresAt"})]
    with pytest.raises(UnexpectedReplyError, match=r"expected reply\.expiresAt in the reply"):
        client.get("t1")


def test_a_key_that_is_new_does_no_harm(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(TASK | {"colour": "blue"})]
    assert client.get("t1").task_id == "t1"


# --- lists


def test_a_list_goes_through_its_pages(runner: StandIn, client: TaskRunnerClient) -> None:
    summary = {key: value for key, value in TASK.items() if key != "result"}
    runner.replies = [
        Reply({"tasks": [summary | {"taskId": "t3"}], "cursor": "c1"}),
        Reply({"tasks": [], "cursor": "c2"}),
        Reply({"tasks": [summary | {"taskId": "t2"}, summary], "cursor": None}),
    ]
    assert [task.task_id for task in client.tasks(status=Status.FAILED, handler="http")] == ["t3", "t2", "t1"]
    assert [request.query for request in runner.requests] == [
        {"status": ["failed"], "handler": ["http"], "limit": ["100"]},
        {"status": ["failed"], "handler": ["http"], "limit": ["100"], "cursor": ["c1"]},
        {"status": ["failed"], "handler": ["http"], "limit": ["100"], "cursor": ["c2"]},
    ]


def test_a_list_ends_at_its_limit(runner: StandIn, client: TaskRunnerClient) -> None:
    summary = {key: value for key, value in TASK.items() if key != "result"}
    runner.replies = [Reply({"tasks": [summary, summary], "cursor": "more"})]
    assert len(list(client.tasks(limit=4))) == 4
    assert [request.query["limit"] for request in runner.requests] == [["4"], ["2"]]
    assert list(client.tasks(limit=0)) == []
    assert client.page(limit=2).cursor == "more"


# --- waiting


def test_waiting_asks_again_until_it_has_ended(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(PENDING), Reply(TASK)]
    assert client.wait("t1").status is Status.COMPLETED
    assert [request.query["wait"] for request in runner.requests] == [["60"], ["60"]]


def test_waiting_ends_when_the_time_is_up(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply(PENDING)]
    assert client.wait("t1", timeout_seconds=0.05).status is Status.PENDING
    assert runner.requests[0].query == {"wait": ["1"]}
    assert client.wait("t1", timeout_seconds=0).status is Status.PENDING
    assert runner.requests[-1].query == {}


def test_waiting_bears_a_short_outage(runner: StandIn, client: TaskRunnerClient) -> None:
    outage = Reply({"error": "No.", "code": "store_unavailable"}, 503, {"Retry-After": "0"})
    runner.replies = [outage, outage, Reply(TASK)]
    assert client.wait("t1").status is Status.COMPLETED
    runner.replies = [outage]
    before = len(runner.requests)
    with pytest.raises(StoreUnavailableError):
        client.wait("t1")
    assert len(runner.requests) - before == ERRORS_IN_A_ROW + 1


# --- watching


def test_watching_gives_each_change_once(
    runner: StandIn, client: TaskRunnerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "RECONNECT_SECONDS", 0)
    started = PENDING | {"status": "processing"}
    whole = event(PENDING) + event(started)
    runner.replies = [
        Reply(pieces=[b"retry: 1000\n\n", whole[:7], whole[7:-3], whole[-3:]]),  # five minutes are over
        Reply(pieces=[event(started), b": still there\n\n", event(TASK)]),
    ]
    assert [task.status.value for task in client.watch("t1")] == ["pending", "processing", "completed"]
    assert {request.headers["Accept"] for request in runner.requests} == {"text/event-stream"}


def test_watching_bears_a_stream_that_breaks(
    runner: StandIn, client: TaskRunnerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnreachableError, "retry_after_seconds", 0)
    runner.replies = [Reply(pieces=[event(PENDING), event(TASK)[:-9]], is_cut=True), Reply(pieces=[event(TASK)])]
    assert [task.status.value for task in client.watch("t1")] == ["pending", "completed"]


def test_watching_gives_up_in_the_end(
    runner: StandIn, client: TaskRunnerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnreachableError, "retry_after_seconds", 0)
    runner.replies = [Reply(pieces=[event(PENDING)], is_cut=True), Reply(pieces=[], is_cut=True)]
    with pytest.raises(UnreachableError):
        list(client.watch("t1"))


def test_watching_what_is_not_there(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [refused("task_not_found", 404)]
    with pytest.raises(TaskNotFoundError):
        next(client.watch("t1"))


# --- errors


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("unauthorized", 401, UnauthorizedError),
        ("task_not_found", 404, TaskNotFoundError),
        ("payload_too_large", 413, TaskRunnerError),
        ("a_code_of_tomorrow", 418, TaskRunnerError),
    ],
)
def test_each_refusal_has_its_error(
    runner: StandIn, client: TaskRunnerClient, code: str, status: int, kind: type[TaskRunnerError]
) -> None:
    runner.replies = [refused(code, status, more=1)]
    with pytest.raises(kind) as caught:
        client.get("t1")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.status, caught.value.message) == (code, status, "No.")
    assert (str(caught.value), caught.value.details) == ("No.", {"more": 1})


def test_too_many_requests_say_when_to_come_again(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [Reply({"error": "No.", "code": "rate_limited"}, 429, {"Retry-After": "17"})]
    with pytest.raises(RateLimitedError) as caught:
        client.stats()
    assert caught.value.retry_after_seconds == 17


def test_a_wrong_status_names_it(runner: StandIn, client: TaskRunnerClient) -> None:
    runner.replies = [refused("wrong_status", 409, status="completed")]
    with pytest.raises(WrongStatusError) as cancelling:
        client.cancel("t1")
    with pytest.raises(WrongStatusError):
        client.retry("t1")
    assert cancelling.value.task_status == "completed"
    asked = [(request.method, request.path) for request in runner.requests]
    assert asked == [("POST", "/task/t1/cancel"), ("POST", "/task/t1/retry")]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>Bad gateway</html>", status=502),
        Reply(body=b"", status=301, headers={"Location": "https://example.com/"}),
        Reply({"success": False, "errors": []}, 404),
        Reply(body=b"<html>It works</html>"),
        Reply([]),
    ],
)
def test_what_is_no_task_runner_is_told_apart(runner: StandIn, client: TaskRunnerClient, reply: Reply) -> None:
    runner.replies = [reply]
    with pytest.raises(UnexpectedReplyError) as caught:
        client.get("t1")
    assert caught.value.code == "unexpected_reply"
    assert len(runner.requests) == 1


def test_nothing_answers() -> None:
    with stand_in() as gone:
        pass
    with TaskRunnerClient(gone.url) as client, pytest.raises(UnreachableError, match="cannot be reached") as caught:
        client.health()
    assert (caught.value.code, caught.value.status) == ("unreachable", None)


def test_nothing_answers_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = TaskRunnerClient(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with client, pytest.raises(UnreachableError, match="ReadTimeout"):
            client._call("GET", "/health", reply_seconds=0.1)  # pyright: ignore[reportPrivateUsage]


def test_no_proxy_is_on_the_way_to_this_machine(
    runner: StandIn, client: TaskRunnerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    runner.replies = [Reply({"status": "ok", "version": None})]
    client.health()


def test_without_a_token_nothing_is_said_of_one(runner: StandIn) -> None:
    runner.replies = [Reply({"status": "ok", "version": None})]
    with TaskRunnerClient(runner.url + "/") as client:
        client.health()
    assert "Authorization" not in runner.requests[0].headers
    assert runner.requests[0].path == "/health"


@pytest.mark.parametrize("url", ["", "example.com", "ftp://example.com", "https://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected the task runner's address"):
        TaskRunnerClient(url)

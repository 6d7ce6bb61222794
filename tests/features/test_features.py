"""The features of docs/features.md, each on the stack that ``--stack`` names, deployed as ``deployment.py`` says."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from ops.action import Action, Filter
from ops.client import TaskRunnerClient
from ops.dead_letter_queue import DeadLetterQueue
from ops.deployed_stack import DeployedStack
from ops.errors import (
    IdempotencyConflictError,
    PayloadNotKeptError,
    RateLimitedError,
    ScheduleNotFoundError,
    ScheduleOfStackError,
    TaskNotFoundError,
    TaskRunnerError,
    UnauthorizedError,
    WrongStatusError,
)
from ops.schedule import NewSchedule, Schedule
from ops.stats import RANGES
from ops.task import NewTask, Priority, Status, Submission, Task
from tests.commands.command import run
from tests.features.deployment import ALERTS, CALLBACK_SECRET, ORIGIN, RATE_LIMIT_REQUESTS, SCHEDULE, TOKENS

PATIENCE_SECONDS = 60
SHORTEST_TTL_SECONDS = 60
PAUSE_SECONDS = 5
NAP_MS = 1_000
"""What the handler `stepped` sleeps."""


@pytest.fixture(scope="module", autouse=True)
def short_lived(client: TaskRunnerClient) -> tuple[str, datetime]:
    """A task with the shortest time to live, from the start of the module on."""
    submission = client.submit(b"soon over", ttl_seconds=SHORTEST_TTL_SECONDS)
    return submission.task_id, datetime.now(UTC) + timedelta(seconds=SHORTEST_TTL_SECONDS)


@pytest.fixture(scope="module", autouse=True)
def scheduled(client: TaskRunnerClient) -> Schedule:
    """A schedule that ticks while the other tests run."""
    name = f"each-minute-{time.time_ns()}"
    task = NewTask("Some Words", handler="slug", callback_url="")
    return client.put_schedule(name, NewSchedule(cron="* * * * *", timezone="Europe/Berlin", task=task))


@pytest.fixture(scope="module", autouse=True)
def parked(client: TaskRunnerClient) -> Submission:
    """A task that waited while its handler was paused, which is resumed now."""
    client.pause("parked")
    submission = client.submit(b"work", handler="parked")
    time.sleep(PAUSE_SECONDS)
    assert client.get(submission.task_id).status is Status.PENDING
    assert "parked" in {each.handler for each in client.pauses()}
    client.resume("parked")
    return submission


def test_handlers_are_chosen_by_name(client: TaskRunnerClient) -> None:
    task = ended(client, client.submit("work", handler="probe"))
    assert (task.status, task.handler) == (Status.COMPLETED, "probe")
    assert task.result["payload"] == "work"
    assert task.result["taskId"] == task.task_id
    assert task.result["hasTokens"] is False
    with pytest.raises(TaskRunnerError) as refused:
        client.submit("work", handler="prob")
    assert (refused.value.code, refused.value.status) == ("unknown_handler", requests.codes.bad_request)
    assert refused.value.details["handlers"] == [
        "crowd",
        "default",
        "gather",
        "hasty",
        "http",
        "parked",
        "probe",
        "slug",
        "stepped",
        "unsure",
    ]


def test_the_http_handler_delivers_the_payload(client: TaskRunnerClient, receiver: str) -> None:
    task = ended(client, client.submit({"order": 7}, handler="http", parameters={"url": f"{receiver}/orders"}))
    assert task.status is Status.COMPLETED, task
    assert task.result["status"] == requests.codes.ok
    assert task.result["body"] == 'POST /orders application/json {"order": 7}'
    with pytest.raises(TaskRunnerError) as refused:
        client.submit(handler="http", parameters={"url": "http://localhost:1/"})
    assert refused.value.code == "invalid_parameter"
    assert "http_allowed_hosts" in refused.value.message


def test_a_task_that_has_ended_is_told_to_a_url(client: TaskRunnerClient, receiver: str) -> None:
    url = f"{receiver}/ended?secret=1"
    done = ended(client, client.submit("work", handler="probe", callback_url=url))
    failed = ended(
        client, client.submit(handler="probe", parameters={"act": "give-up"}, callback_url=url, on=["failed"])
    )
    for task in (done, failed):
        told = wait_for(client, task, lambda seen: bool(seen.callback and seen.callback.status is Status.COMPLETED))
        assert told.callback
        assert told.callback.url == receiver
        assert told.callback.task_id
        callback = client.get(told.callback.task_id)
        assert (callback.handler, callback.parent, callback.callback) == ("http", task.task_id, None)
        request, headers = callback.result["body"].split("\n")
        body = request.removeprefix("POST /ended?secret=1 application/json ")
        event = json.loads(body)
        assert event["type"] == f"task.{task.status}"
        assert (event["data"]["taskId"], event["data"]["result"]) == (task.task_id, task.result)
        message_id, timestamp, signature = json.loads(headers)
        assert message_id == callback.task_id
        key = base64.b64decode(CALLBACK_SECRET.removeprefix("whsec_"))
        signed = hmac.digest(key, f"{message_id}.{timestamp}.{body}".encode(), "sha256")
        assert signature == f"v1,{base64.b64encode(signed).decode()}"
    with pytest.raises(TaskRunnerError, match="http_allowed_hosts"):
        client.submit(callback_url="https://elsewhere.example/")


def test_an_attempt_that_takes_too_long_fails(client: TaskRunnerClient) -> None:
    task = ended(client, client.submit(handler="hasty", max_retries=0))
    assert (task.status, task.error and task.error.name) == (Status.FAILED, "TimeoutError")


def test_a_permanent_error_is_not_retried(client: TaskRunnerClient) -> None:
    task = ended(client, probe(client, "give-up"))
    assert (task.status, task.attempts) == (Status.FAILED, 1)
    assert task.error
    assert (task.error.name, task.error.message) == ("PermanentError", "never again")


def test_a_handler_names_the_time_of_its_next_attempt(client: TaskRunnerClient) -> None:
    submission = probe(client, "later")
    waiting = wait_for(client, submission, lambda task: task.status is Status.PENDING and task.attempts == 1)
    assert (waiting.error and waiting.error.name) == "RetryLater"
    done = ended(client, submission)
    assert (done.status, done.attempts) == (Status.COMPLETED, 2)
    assert done.started_at
    assert done.finished_at
    assert done.finished_at - done.started_at >= timedelta(seconds=3.9)


def test_an_error_tells_its_parts_and_its_cause(client: TaskRunnerClient) -> None:
    task = ended(client, probe(client, "break-down", max_retries=0))
    assert task.error
    assert task.error.name == "AggregateError"
    message = "both failed; 1. TypeError: one; 2. Error: two (code E_TWO); caused by Error: the weather"
    assert task.error.message == message


def test_a_check_that_fails_refuses_its_own_task_alone(client: TaskRunnerClient) -> None:
    bad, good = client.submit_many([NewTask("bad", handler="unsure"), NewTask("good")])
    assert isinstance(bad, TaskRunnerError)
    assert (bad.code, bad.status) == ("handler_check_failed", requests.codes.internal_server_error)
    assert isinstance(good, Submission)
    assert ended(client, good).status is Status.COMPLETED


def test_a_task_tells_its_story(client: TaskRunnerClient) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    task = ended(client, probe(client, "fail", until="2"))
    assert (task.status, task.attempts, task.max_retries, task.run) == (Status.COMPLETED, 2, 5, 1)
    assert task.crashes == 0
    assert task.result == {"attempt": 2}
    assert task.started_at
    assert task.finished_at
    assert before <= task.created_at <= task.started_at <= task.finished_at
    assert task.expires_at
    assert timedelta(hours=23, minutes=59) < task.expires_at - task.created_at < timedelta(hours=24, minutes=1)


def test_each_attempt_is_told_with_its_error_and_what_it_has_logged(client: TaskRunnerClient) -> None:
    submission = probe(client, "fail", until="2")
    ended(client, submission)
    first, second = client.attempts(submission.task_id)
    assert (first.attempt, first.outcome, second.attempt, second.outcome) == (1, "failed", 2, "completed")
    assert first.error
    assert (first.error.name, first.error.message) == ("RangeError", "attempt 1 fails")
    assert "at " in (first.error.stack or "")
    assert second.error is None
    for attempt in (first, second):
        assert attempt.started_at
        assert attempt.ended_at
        assert attempt.started_at <= attempt.ended_at
        assert [(line.level, line.message, line.fields) for line in attempt.log] == [
            ("info", "probing", '{"act":"fail"}')
        ]
    assert client.parameters(submission.task_id) == {"act": "fail", "until": "2"}


def test_a_payload_is_given_as_it_was_submitted(client: TaskRunnerClient) -> None:
    payload = bytes(range(256))
    waiting = client.submit(payload, delay_seconds=600)
    assert client.payload(waiting.task_id) == payload
    client.cancel(waiting.task_id)
    done = ended(client, client.submit(payload))
    with pytest.raises(PayloadNotKeptError, match="keep_payload"):
        client.payload(done.task_id)


def test_a_long_poll_answers_when_the_task_has_ended(client: TaskRunnerClient) -> None:
    assert client.get(client.submit(b"work").task_id, wait=PATIENCE_SECONDS).status is Status.COMPLETED
    waiting = client.submit(b"later", delay_seconds=600)
    assert client.get(waiting.task_id, wait=1).status is Status.PENDING
    client.cancel(waiting.task_id)


def test_a_stream_tells_of_each_change(client: TaskRunnerClient) -> None:
    submission = probe(client, "fail", until="2")
    seen = list(client.watch(submission.task_id))
    assert seen[-1].status is Status.COMPLETED
    assert {task.status for task in seen[:-1]} <= {Status.PENDING, Status.PROCESSING}
    assert len(seen) > 1


def test_an_idempotency_key_makes_one_task_of_many_submissions(client: TaskRunnerClient) -> None:
    key = f"order-{time.time_ns()}"
    first = client.submit(b"one", idempotency_key=key)
    assert not first.is_replay
    ended(client, first)
    again = client.submit(b"one", idempotency_key=key)
    assert (again.task_id, again.is_replay, again.status) == (first.task_id, True, Status.COMPLETED)
    with pytest.raises(IdempotencyConflictError):
        client.submit(b"two", idempotency_key=key)


def test_a_submission_replaces_the_pending_task_with_its_key(client: TaskRunnerClient) -> None:
    key = f"debounce-{time.time_ns()}"
    first = client.submit(b"one", idempotency_key=key, delay_seconds=2)
    second = client.submit(b"two", handler="probe", idempotency_key=key, delay_seconds=3, replace="pending")
    assert (second.task_id, second.is_replaced, second.is_replay) == (first.task_id, True, False)
    task = ended(client, second)
    assert task.status is Status.COMPLETED
    assert task.handler == "probe"
    assert task.started_at
    assert task.started_at - task.created_at >= timedelta(seconds=3)
    assert task.result["payload"] == "two"
    third = client.submit(b"one", idempotency_key=key, replace="pending")
    assert third.task_id != first.task_id
    ended(client, third)


def test_a_delay_holds_the_first_attempt_back(client: TaskRunnerClient) -> None:
    submission = client.submit(b"later", delay_seconds=3)
    task = client.get(submission.task_id)
    assert task.status is Status.PENDING
    assert task.next_attempt_at
    done = ended(client, submission)
    assert done.status is Status.COMPLETED
    assert done.started_at
    assert done.started_at - done.created_at >= timedelta(seconds=2.9)


@pytest.mark.parametrize(("max_retries", "attempts"), [(0, 1), (1, 2)])
def test_a_task_may_have_fewer_retries_than_the_stack(
    client: TaskRunnerClient, max_retries: int, attempts: int
) -> None:
    task = ended(client, probe(client, "fail", max_retries=max_retries))
    assert (task.status, task.attempts, task.max_retries) == (Status.FAILED, attempts, max_retries)


def test_many_tasks_go_in_one_request_each_on_its_own(client: TaskRunnerClient) -> None:
    good, bad, other = client.submit_many(
        [NewTask("one", handler="probe"), NewTask("two", handler="none"), NewTask({"three": 3})]
    )
    assert isinstance(good, Submission)
    assert isinstance(other, Submission)
    assert isinstance(bad, TaskRunnerError)
    assert bad.code == "unknown_handler"
    assert ended(client, good).result["payload"] == "one"
    assert ended(client, other).status is Status.COMPLETED


def test_lists_show_tasks_newest_first_by_status_and_handler(client: TaskRunnerClient) -> None:
    older, newer = probe(client, "give-up"), probe(client, "give-up")
    completed = client.submit(b"work")
    for submission in (older, newer, completed):
        ended(client, submission)
    failed = [task.task_id for task in client.tasks(status="failed", handler="probe")]
    assert failed.index(newer.task_id) < failed.index(older.task_id)
    assert completed.task_id not in failed
    page = client.page(limit=1)
    assert (page.tasks[0].task_id, len(page.tasks)) == (completed.task_id, 1)
    assert page.cursor
    assert client.page(limit=1, cursor=page.cursor).tasks[0].task_id in {older.task_id, newer.task_id}


def test_lists_find_tasks_by_id_time_and_error(client: TaskRunnerClient) -> None:
    task = ended(client, probe(client, "give-up"))
    since = task.created_at
    found = {
        "id": client.tasks(id_prefix=task.task_id),
        "error": client.tasks(error="NEVER again", created_after=since, created_before=since + timedelta(seconds=1)),
    }
    for name, tasks in found.items():
        assert task.task_id in [each.task_id for each in tasks], name
    assert list(client.tasks(error="never", created_after=since, created_before=since)) == []


def test_a_pending_task_is_cancelled_at_once(client: TaskRunnerClient) -> None:
    submission = client.submit(b"later", delay_seconds=2)
    assert client.cancel(submission.task_id).status is Status.CANCELLED
    assert client.cancel(submission.task_id).status is Status.CANCELLED
    time.sleep(4)
    assert client.get(submission.task_id).status is Status.CANCELLED


def test_a_running_task_is_cancelled_through_its_signal(client: TaskRunnerClient) -> None:
    submission = probe(client, "hold")
    wait_for(client, submission, lambda task: task.progress is not None)
    task = client.cancel(submission.task_id)
    assert task.status is Status.CANCELLED
    assert task.progress
    assert (task.progress.percent, task.progress.note) == (25, "holding")
    time.sleep(4)
    task = client.get(submission.task_id)
    assert (task.status, task.attempts, task.error) == (Status.CANCELLED, 1, None)


def test_a_failed_or_cancelled_task_is_run_again_by_hand(client: TaskRunnerClient) -> None:
    failed = ended(client, probe(client, "fail", max_retries=0))
    assert client.retry(failed.task_id).status is Status.PENDING
    again = wait_for(client, failed, lambda task: task.status.has_ended and task.run == 2)
    assert (again.status, again.run, again.attempts) == (Status.FAILED, 2, 1)

    cancelled = client.submit(b"later", delay_seconds=600)
    client.cancel(cancelled.task_id)
    client.retry(cancelled.task_id)
    assert wait_for(client, cancelled, lambda task: task.status.has_ended).status is Status.COMPLETED

    with pytest.raises(WrongStatusError):
        client.retry(cancelled.task_id)


def test_retries_wait_longer_each_time(client: TaskRunnerClient) -> None:
    submission = probe(client, "fail", until="4")
    waiting = wait_for(client, submission, lambda task: task.status is Status.PENDING and task.attempts == 1)
    assert waiting.next_attempt_at
    assert waiting.error
    assert waiting.error.name == "RangeError"
    done = ended(client, submission)
    assert (done.status, done.attempts) == (Status.COMPLETED, 4)
    assert done.started_at
    assert done.finished_at
    assert done.finished_at - done.started_at >= timedelta(seconds=1 + 1 + 2 - 0.5)


def test_statistics_count_what_there_is(client: TaskRunnerClient, stack: DeployedStack) -> None:
    ended(client, client.submit(b"work"))
    time.sleep(6)  # longer than an answer is kept
    stats = client.stats()
    assert stats.counts.completed >= 1
    assert stats.counted.complete
    assert sum(minute.completed for minute in stats.recent.per_minute) >= 1
    assert stats.recent.latency_ms
    assert 0 <= stats.recent.latency_ms.p50 <= stats.recent.latency_ms.p95 <= stats.recent.latency_ms.p99
    assert (stats.queue is None) == (stats.dead_letters is None) == (stack["engine"] == "workflow")


def test_an_hour_a_day_and_a_week_are_told_in_buckets(client: TaskRunnerClient) -> None:
    ended(client, client.submit(b"work"))
    time.sleep(6)  # longer than an answer is kept
    for range_, buckets in zip(RANGES, (12, 48, 56), strict=True):
        history = client.history(range_)
        assert (history.range, len(history.buckets)) == (range_, buckets)
        for deed in ("submitted", "completed"):
            assert sum(getattr(bucket, deed) for bucket in history.buckets) >= 1
        assert history.latency_ms
        assert sum(bucket.latency_ms.samples for bucket in history.buckets if bucket.latency_ms) >= 1
        assert not history.buckets[-1].complete


def test_metrics_are_told_to_prometheus(client: TaskRunnerClient) -> None:
    ended(client, probe(client, "give-up"))
    lines = client.metrics().splitlines()
    assert lines[-1] == "# EOF"
    names = {line.partition(" ")[0].partition("{")[0] for line in lines if not line.startswith("#")}
    assert {"ephemera_tasks", "ephemera_tasks_all_counted", "ephemera_sweeper_tasks_total"} <= names


def test_dead_letters_are_redriven(
    client: TaskRunnerClient, stack: DeployedStack, request: pytest.FixtureRequest
) -> None:
    """A workflow has none: there the failed tasks are listed and retried."""
    failed = ended(client, probe(client, "fail", max_retries=0))
    if stack["engine"] == "workflow":
        assert failed.task_id in {task.task_id for task in client.tasks(status="failed")}
        assert "dlq_id" not in stack.outputs
        return
    with DeadLetterQueue.of_stack(stack) as letters:
        wait_until(lambda: any(failed.task_id in letter.body for letter in letters.peek(100)))
    printed = run("ops", "dlq", "redrive", "--task", failed.task_id, *this_stack(request), "--json", cwd=Path.cwd())
    assert json.loads(printed)["redriven"] == 1
    again = wait_for(client, failed, lambda task: task.status.has_ended and task.run == 2)
    assert (again.status, again.attempts) == (Status.FAILED, 1)


def test_dead_letters_are_redriven_and_purged_by_the_api(client: TaskRunnerClient, stack: DeployedStack) -> None:
    """A workflow has none, and the API says what to do there."""

    def ask(method: str, path: str = "", body: object = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {TOKENS[0]}"}
        return requests.request(
            method, f"{stack.url}/dead-letters{path}", json=body, headers=headers, timeout=PATIENCE_SECONDS
        )

    def letter(run: int) -> dict[str, Any]:
        def of_run() -> list[dict[str, Any]]:
            shown: list[dict[str, Any]] = ask("GET").json()["deadLetters"]
            return [each for each in shown if (each["taskId"], each["run"]) == (failed.task_id, run)]

        wait_until(lambda: any(each["state"] != "unfinished" for each in of_run()))
        return of_run()[0]

    failed = ended(client, probe(client, "fail", max_retries=0))
    if stack["engine"] == "workflow":
        assert (ask("GET").status_code, ask("GET").json()["code"]) == (requests.codes.conflict, "dead_letters_off")
        return
    first = letter(1)
    assert (first["state"], first["task"]["status"], first["attempts"]) == ("failed", "failed", 0)
    assert first["task"]["error"]["message"] == "attempt 1 fails"
    assert ask("POST", "/redrive", {"ids": [first["letterId"]]}).json()["redriven"] == 1
    wait_for(client, failed, lambda task: task.status.has_ended and task.run == 2)
    second = letter(2)
    purged = ask("POST", "/purge", {"ids": [second["letterId"]]}).json()
    assert purged == {"purged": 1, "missing": 0, "more": False}
    assert failed.task_id not in {each["taskId"] for each in ask("GET").json()["deadLetters"]}


def test_handlers_may_be_typescript_and_import_packages_of_npm(client: TaskRunnerClient) -> None:
    task = ended(client, client.submit(b"Good Morning, World!", handler="slug"))
    assert task.result == {"slug": "good-morning-world", "length": 18}


def test_only_who_has_a_token_may_call(stack: DeployedStack) -> None:
    for token in TOKENS:
        with TaskRunnerClient(stack.url, token) as allowed, pytest.raises(TaskNotFoundError):
            allowed.get("none")
    for token in (None, TOKENS[0][:-1]):
        with TaskRunnerClient(stack.url, token) as stranger, pytest.raises(UnauthorizedError):
            stranger.get("none")
    refused = requests.get(f"{stack.url}/stats", timeout=PATIENCE_SECONDS)
    assert "Bearer" in refused.headers["WWW-Authenticate"]
    answer = requests.get(f"{stack.url}/health", timeout=PATIENCE_SECONDS).json()
    assert answer == {"status": "ok", "version": next(iter(stack.deployed_versions))}


def test_a_page_of_another_origin_may_call_only_where_configured(stack: DeployedStack) -> None:
    def preflight(origin: str) -> requests.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        return requests.options(f"{stack.url}/task", headers=headers, timeout=PATIENCE_SECONDS)

    assert preflight(ORIGIN).headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Origin" not in preflight("https://other.example").headers


def test_the_api_describes_itself_and_shows_a_page(client: TaskRunnerClient, stack: DeployedStack) -> None:
    assert {"/task", "/tasks", "/task/{taskId}", "/stats"} <= set(client.openapi()["paths"])
    page = requests.get(stack.url, auth=("operator", TOKENS[0]), timeout=PATIENCE_SECONDS)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_rate_limit_holds_for_each_token(client: TaskRunnerClient, stack: DeployedStack) -> None:
    headers = {"Authorization": f"Bearer {TOKENS[1]}"}

    def call(_: int) -> requests.Response:
        return requests.get(f"{stack.url}/openapi.json", headers=headers, timeout=PATIENCE_SECONDS)

    # A period may begin anew in between, but not in all three of these.
    with ThreadPoolExecutor(4) as pool:
        replies = pool.map(call, range(3 * RATE_LIMIT_REQUESTS))
        refused = next(reply for reply in replies if reply.status_code == requests.codes.too_many_requests)
        pool.shutdown(cancel_futures=True)
    assert 0 < int(refused.headers["Retry-After"]) <= PATIENCE_SECONDS
    assert refused.json()["code"] == "rate_limited"
    client.health()
    wait_until(lambda: answers(client))  # the first token has its own, but comes from the same address


def answers(client: TaskRunnerClient) -> bool:
    try:
        client.page()
    except RateLimitedError:
        return False
    return True


def test_a_handler_works_in_steps_and_waits_for_an_event(client: TaskRunnerClient) -> None:
    submission = client.submit(b"work", handler="stepped")
    wait_until(
        lambda: (
            [(step.name, step.status) for step in client.get(submission.task_id).steps or ()]
            == [("first", "completed"), ("nap", "completed"), ("go", "waiting")]
        )
    )
    assert client.send_event(submission.task_id, "go", {"by": "Ada"})
    task = ended(client, submission)
    assert (task.status, task.attempts) == (Status.COMPLETED, 1), task
    assert task.result["again"] == {"told": {"by": "Ada"}}
    assert (task.result["attempt"], task.result["first"]["attempt"]) == (1, 1)
    assert task.result["ended"] - task.result["first"]["at"] >= NAP_MS
    with pytest.raises(WrongStatusError):
        client.send_event(submission.task_id, "late")


def test_a_task_starts_after_others(client: TaskRunnerClient) -> None:
    parents = [client.submit(text, handler="slug", callback_url="").task_id for text in ("One", "Two")]
    if not client.stats().databases:
        with pytest.raises(TaskRunnerError, match="state store kv"):
            client.submit(after=parents)
        return
    failing = client.submit(handler="probe", parameters={"act": "give-up"}, delay_seconds=1)
    cancelled = client.submit(after=[failing.task_id])
    held = client.get(cancelled.task_id)
    assert held.after
    assert (held.status, held.expires_at, held.after.waits_for) == (Status.PENDING, None, (failing.task_id,))
    anyhow = client.submit(after=[cancelled.task_id, *parents], start_when="ended")
    assert ended(client, client.submit("Three", handler="slug", after=parents)).result["slug"] == "three"
    assert ended(client, anyhow).status is Status.COMPLETED
    task = client.get(cancelled.task_id)
    assert (task.status, task.error and task.error.name) == (Status.CANCELLED, "DependencyFailed")
    with pytest.raises(TaskRunnerError, match="expected after to name tasks that are there"):
        client.submit(after=["01a22ae3-341d-77bf-bdf1-d10604bed912"])


def test_a_batch_has_a_task_at_its_end(client: TaskRunnerClient) -> None:
    tasks = [NewTask(text, handler="slug", callback_url="") for text in ("One Two", "Three")]
    then = NewTask("last", handler="gather")
    if not client.stats().databases:
        with pytest.raises(TaskRunnerError, match="state store kv"):
            client.submit_batch(tasks, then)
        return
    key = f"batch-{time.time_ns()}"
    first, again = (client.submit_batch(tasks, then, idempotency_key=key) for _ in range(2))
    assert (again.batch_id, again.is_replay, first.is_replay) == (first.batch_id, True, False)
    done = client.wait(first.batch_id, timeout_seconds=PATIENCE_SECONDS)
    assert [part["result"]["slug"] for part in done.result["parts"]] == ["one-two", "three"]
    batch = client.batch(first.batch_id)
    assert (batch.counts["completed"], batch.then.status, batch.start_when) == (2, Status.COMPLETED, "completed")
    assert list(batch.tasks) == [task.task_id for task in first.tasks]


def test_a_handler_submits_tasks_once_whatever_its_attempts(client: TaskRunnerClient) -> None:
    if not client.stats().databases:
        task = ended(client, client.submit("parts", handler="gather"))
        part = client.wait(task.result["parts"][0], timeout_seconds=PATIENCE_SECONDS)
        assert (part.result["slug"], part.parent) == ("one-two", task.task_id)
        return
    task = ended(client, client.submit("all", handler="gather"))
    assert (task.status, task.attempts) == (Status.COMPLETED, 2)
    last = client.wait(task.result["last"], timeout_seconds=PATIENCE_SECONDS)
    assert [part["result"]["slug"] for part in last.result["parts"]] == ["one-two", "three"]
    assert last.parent == task.task_id


def test_a_task_lists_its_children(client: TaskRunnerClient) -> None:
    task = ended(client, client.submit("parts", handler="gather"))
    parts = set(task.result["parts"])

    def children() -> set[str]:
        return {child.task_id for child in client.tasks(parent=task.task_id)}

    wait_until(lambda: children() >= parts, 2 * PATIENCE_SECONDS)
    assert all(client.get(child).parent == task.task_id for child in children())


def test_a_schedule_makes_a_task_at_each_tick(client: TaskRunnerClient, scheduled: Schedule) -> None:
    name = scheduled.name
    assert (scheduled.last_runs, scheduled.paused, len(scheduled.next_runs)) == ((), False, 3)
    wait_until(lambda: client.schedule(name).last_runs != (), 3 * PATIENCE_SECONDS)
    assert client.pause_schedule(name).next_runs == ()
    run = client.schedule(name).last_runs[0]
    assert run.scheduled_at >= scheduled.next_runs[0]
    done = client.wait(run.task_id, timeout_seconds=PATIENCE_SECONDS)
    assert (done.status, done.created_at, done.handler) == (Status.COMPLETED, run.scheduled_at, "slug")
    assert client.resume_schedule(name).next_runs
    assert name in {each.name for each in client.schedules()}
    client.delete_schedule(name)
    with pytest.raises(ScheduleNotFoundError):
        client.schedule(name)


def test_many_tasks_are_cancelled_retried_and_deleted_by_a_filter(client: TaskRunnerClient) -> None:
    submissions = [client.submit(b"later", handler="slug", delay_seconds=3600) for _ in range(5)]
    ids = [each.task_id for each in submissions]

    def act(action: str, wanted: Filter, *, dry_run: bool = False) -> Action:
        started = client.start_action(action, wanted, dry_run=dry_run)
        wait_until(lambda: client.action(started.id).state != "running", 3 * PATIENCE_SECONDS)
        return client.action(started.id)

    assert (counted := act("cancel", Filter(ids=ids), dry_run=True)).matched == 5, counted
    assert {client.get(each).status for each in ids} == {Status.PENDING}
    assert act("cancel", Filter(handler="slug", status="pending", ids=ids)).done == 5
    assert {client.get(each).status for each in ids} == {Status.CANCELLED}
    assert act("delete", Filter(ids=ids)).done == 5
    with pytest.raises(TaskNotFoundError):
        client.get(ids[0])
    with pytest.raises(TaskRunnerError, match="it would be all tasks"):
        client.start_action("delete", Filter())


def test_tasks_of_a_paused_handler_wait_until_it_is_resumed(client: TaskRunnerClient, parked: Submission) -> None:
    task = client.wait(parked.task_id, timeout_seconds=4 * PATIENCE_SECONDS)
    assert (task.status, task.attempts, task.result) == (Status.COMPLETED, 1, {"payload": "work"})
    assert task.started_at
    assert task.started_at - task.created_at >= timedelta(seconds=PAUSE_SECONDS)
    assert "parked" not in {each.handler for each in client.pauses()}


def test_a_schedule_of_the_stack_is_changed_by_its_settings_alone(client: TaskRunnerClient) -> None:
    name = SCHEDULE["name"]
    wait_until(lambda: name in {each.name for each in client.schedules()}, 3 * PATIENCE_SECONDS)
    schedule = client.schedule(name)
    assert (schedule.owner, schedule.cron, schedule.handler) == ("stack", SCHEDULE["cron"], "slug")
    with pytest.raises(ScheduleOfStackError):
        client.put_schedule(name, NewSchedule(every_seconds=60))
    with pytest.raises(ScheduleOfStackError):
        client.delete_schedule(name)
    assert client.pause_schedule(name).paused
    assert client.resume_schedule(name).next_runs == schedule.next_runs
    assert client.refused_schedules() == {}


def test_no_more_tasks_of_a_group_run_at_once_than_it_may(client: TaskRunnerClient) -> None:
    key = f"crowd-{time.time_ns()}"
    submitted = client.submit_many([NewTask(handler="crowd", group=key) for _ in range(6)])
    if isinstance(submitted[0], TaskRunnerError):
        assert submitted[0].code == "invalid_parameter"
        assert "expected no group with the state store kv" in str(submitted[0])
        return
    tasks = [ended(client, each) for each in submitted if isinstance(each, Submission)]
    assert [(task.status, task.group, task.waiting_for) for task in tasks] == [(Status.COMPLETED, key, None)] * 6
    starts = [task.started_at for task in tasks if task.started_at]
    for start in starts:
        running = [
            task
            for task in tasks
            if task.started_at and task.finished_at and task.started_at <= start < task.finished_at
        ]
        assert len(running) <= 2
    assert {each.task_id for each in client.tasks(group=key)} == {task.task_id for task in tasks}


def test_an_alert_of_the_stack_fires_and_is_told_to_a_url(client: TaskRunnerClient, receiver: str) -> None:
    assert ended(client, probe(client, "give-up")).status is Status.FAILED
    alerts = client.alerts()
    if not client.stats().databases:
        assert (alerts.url, alerts.alerts) == (None, ())  # see `deployment.py`
        return
    assert alerts.url == receiver
    assert {each.name: each.limit for each in alerts.alerts} == {
        name: ALERTS[name] for name in ("dead_letters", "failure_percent")
    }
    wait_until(lambda: "failure_percent" in client.stats().firing, 3 * PATIENCE_SECONDS)
    wait_until(lambda: client.alerts().untold == 0, 3 * PATIENCE_SECONDS)
    states = {each.name: each.state for each in client.alerts().alerts}
    assert states == {"dead_letters": "ok", "failure_percent": "firing"}


def test_tasks_are_found_by_their_tags(client: TaskRunnerClient) -> None:
    order = f"order-{time.time_ns()}"
    wanted = client.submit(b"work", handler="slug", tags={"order": order, "customer": "acme"})
    others = client.submit_many(
        [NewTask(b"work", handler="slug", tags={"order": order}), NewTask(b"work", handler="slug")]
    )
    assert all(isinstance(each, Submission) for each in others)
    assert client.get(wanted.task_id).tags == {"customer": "acme", "order": order}
    both = {"order": order, "customer": "acme"}
    wait_until(lambda: {task.task_id for task in client.tasks(tags=both)} == {wanted.task_id}, 3 * PATIENCE_SECONDS)
    (found,) = client.tasks(tags=both, handler="slug")
    assert found.tags == both
    with pytest.raises(TaskRunnerError, match="expected the value of the tag order to be 1 to 64 visible ASCII"):
        client.submit(b"work", tags={"order": "two words"})


def test_a_task_of_high_priority_has_a_queue_of_its_own(client: TaskRunnerClient, stack: DeployedStack) -> None:
    priorities: tuple[Priority, ...] = ("high", "normal", "low")
    if stack["engine"] == "workflow":
        with pytest.raises(TaskRunnerError) as refused:
            client.submit(b"work", priority="high")
        assert refused.value.code == "invalid_parameter"
        assert "with engine queue" in refused.value.message
        assert ended(client, client.submit(b"work", priority="normal")).priority == "normal"
        return
    submitted = client.submit_many([NewTask(b"work", priority=priority) for priority in priorities])
    tasks = [ended(client, each) for each in submitted if isinstance(each, Submission)]
    expected = [(Status.COMPLETED, priority) for priority in priorities]
    assert [(task.status, task.priority) for task in tasks] == expected
    queue = client.stats().queue
    assert queue is not None
    assert queue.priorities is not None
    assert len(stack["high_queue_ids"]) == len(stack["queue_ids"])


def test_a_task_is_gone_when_its_time_to_live_is_over(
    client: TaskRunnerClient, short_lived: tuple[str, datetime]
) -> None:
    task_id, expires_at = short_lived
    time.sleep(max(0, (expires_at - datetime.now(UTC)).total_seconds() + 1))
    with pytest.raises(TaskNotFoundError):
        client.get(task_id)


def probe(
    client: TaskRunnerClient, act: str, *, until: str | None = None, max_retries: int | None = None
) -> Submission:
    parameters = {"act": act} | ({"until": until} if until else {})
    return client.submit(b"work", handler="probe", parameters=parameters, max_retries=max_retries)


def ended(client: TaskRunnerClient, submission: Submission) -> Task:
    return client.wait(submission.task_id, timeout_seconds=PATIENCE_SECONDS)


def wait_for(client: TaskRunnerClient, submission: Submission | Task, condition: Callable[[Task], bool]) -> Task:
    seen: list[Task] = []

    def look() -> bool:
        seen.append(client.get(submission.task_id))
        return condition(seen[-1])

    wait_until(look)
    return seen[-1]


def wait_until(condition: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to that within {patience_seconds} s"
        time.sleep(0.2)


def this_stack(request: pytest.FixtureRequest) -> list[str]:
    options = ("--stack", "--state")
    return [word for option in options for word in (option, str(request.config.getoption(option)))]

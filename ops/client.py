"""A client of the task runner's API.

with TaskRunnerClient("https://task-runner-dev.example.workers.dev", token="...") as client:
    task = client.submit({"image": 7}, handler="resize")
    print(client.wait(task.task_id).result)
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, Unpack
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase

from components.cloudflare_api import LOOPBACK_HOSTS
from ops.action import Action, Filter
from ops.alert import Alerts
from ops.attempt import Attempt
from ops.batch import Batch, BatchSubmission
from ops.deep_json import loads
from ops.errors import (
    KINDS,
    TaskRunnerError,
    TransientError,
    UnexpectedReplyError,
    UnreachableError,
)
from ops.event_stream import read_events
from ops.json_object import JsonObject, to_json
from ops.patience import Patience
from ops.pause import Pause
from ops.schedule import NewSchedule, Schedule, body_of
from ops.stats import History, Range, Stats
from ops.task import Json, NewTask, Page, Payload, Priority, Status, Submission, Task, TaskSummary

CONNECT_SECONDS = 10
REPLY_SECONDS = 60
"""The slowest request is a D1 query, which has 30 s (https://developers.cloudflare.com/d1/platform/limits/)."""

MAX_WAIT_SECONDS = 60
"""The longest `?wait=` that the API takes."""

STREAM_SILENCE_SECONDS = 60
"""The API sends something on a stream every few seconds; after this silence the connection counts as broken."""

RECONNECT_SECONDS = 1

MAX_PAGE_TASKS = 100
MAX_SUBMISSIONS = 100

_JSON = "application/json"
_BYTES = "application/octet-stream"


class Wanted(TypedDict, total=False):
    """The arguments of `TaskRunnerClient.page` that select tasks."""

    status: Status | str | None
    handler: str | None
    group: str | None
    tags: Mapping[str, str] | None
    parent: str | None
    id_prefix: str | None
    created_after: datetime | None
    created_before: datetime | None
    error: str | None


class TaskRunnerClient:
    """A client of the API at one address, with one token.

    Every method raises a subclass of TaskRunnerError when the API refuses the request or does not answer.

    Args:
        url: the Worker's address, the stack's output `url`.
        token: one of the stack's `api_tokens`; None if it has none.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"expected the task runner's address to be http(s)://host, got {url!r}")
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = parts.hostname not in LOOPBACK_HOSTS  # a proxy could not reach the loopback address
        self._session.auth = _Bearer(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def health(self, *, of_version: tuple[str, str] | None = None) -> str | None:
        """Return the id of the Worker's version that answers. It needs no token.

        Args:
            of_version: the Worker's name and the id of a deployed version that is to answer
                (https://developers.cloudflare.com/workers/versions-and-deployments/gradual-deployments/version-overrides/).
        """
        worker, version = of_version or ("", "")
        headers = {"Cloudflare-Workers-Version-Overrides": f'{worker}="{version}"'} if of_version else {}
        reply = _object(self._send("GET", "/health", headers=headers))
        return reply.optional(reply.text, "version")

    def submit(
        self,
        payload: Payload = b"",
        *,
        handler: str | None = None,
        parameters: Mapping[str, str] | None = None,
        delay_seconds: int | None = None,
        ttl_seconds: int | None = None,
        max_retries: int | None = None,
        idempotency_key: str | None = None,
        replace: Literal["pending"] | None = None,
        callback_url: str | None = None,
        on: Sequence[str] | None = None,
        after: Sequence[str] | None = None,
        start_when: Literal["completed", "ended"] | None = None,
        group: str | None = None,
        tags: Mapping[str, str] | None = None,
        priority: Priority | None = None,
    ) -> Submission:
        """Submit a task; the arguments are those of `NewTask`."""
        query: dict[str, str | list[str]] = {
            **{f"param.{name}": value for name, value in (parameters or {}).items()},
            **_given(handler=handler, delaySeconds=delay_seconds, ttlSeconds=ttl_seconds, maxRetries=max_retries),
            **_given(callbackUrl=callback_url, on=None if on is None else ",".join(on), replace=replace, group=group),
            **_given(after=None if after is None else ",".join(after), startWhen=start_when, priority=priority),
            **_tags(tags),
        }
        body, content_type = _body(payload)
        headers = {"Content-Type": content_type, **_given(**{"Idempotency-Key": idempotency_key})}
        reply = self._send("POST", "/task", query=query, body=body, headers=headers)
        return Submission.read(_object(reply), is_replay=reply.headers.get("Idempotent-Replayed") == "true")

    def submit_many(self, tasks: Sequence[NewTask]) -> list[Submission | TaskRunnerError]:
        """Submit 1 to 100 tasks in one request.

        Returns:
            One answer for each task, in their order. The error of one task does not affect the others.
        """
        if not 0 < len(tasks) <= MAX_SUBMISSIONS:
            raise ValueError(f"expected 1 to {MAX_SUBMISSIONS} tasks, got {len(tasks)}")
        reply = self._call("POST", "/tasks", json_body={"tasks": [_item(task) for task in tasks]})
        answers = reply.objects("tasks")
        if len(answers) != len(tasks):
            raise UnexpectedReplyError(f"expected {len(tasks)} answers, got {len(answers)}")
        return [_answer(answer) for answer in answers]

    def submit_batch(
        self,
        tasks: Sequence[NewTask],
        then: NewTask,
        *,
        start_when: Literal["completed", "ended"] | None = None,
        idempotency_key: str | None = None,
    ) -> BatchSubmission:
        """Submit 1 to 100 tasks and one that starts after them; all are stored or none.

        Args:
            tasks: the tasks of the batch.
            then: the task that starts after them. It must have neither an idempotency key nor `after`.
            start_when: `completed` (the default) starts it when all have completed, `ended` when all have ended.
            idempotency_key: a second submission with the same key and the same batch returns the first one.
        """
        last = {"tasks": [_item(task) for task in tasks], "then": _item(then), **_given(startWhen=start_when)}
        headers = {"Content-Type": _JSON, **_given(**{"Idempotency-Key": idempotency_key})}
        reply = self._send("POST", "/tasks", body=json.dumps(last).encode(), headers=headers)
        return BatchSubmission.read(_object(reply), is_replay=reply.headers.get("Idempotent-Replayed") == "true")

    def batch(self, batch_id: str) -> Batch:
        """Return the progress of a batch. Raises BatchNotFoundError."""
        return Batch.read(self._call("GET", f"/batches/{quote(batch_id, safe='')}"))

    def get(self, task_id: str, *, wait: float = 0) -> Task:
        """Return a task. With `wait`, return it as soon as it has ended, or after these seconds (at most 60)."""
        query = {"wait": str(math.ceil(wait))} if wait > 0 else {}
        return Task.read(self._call("GET", _path(task_id), query=query, reply_seconds=REPLY_SECONDS + wait))

    def attempts(self, task_id: str) -> list[Attempt]:
        """Return the stored attempts of a task, oldest first, with their errors and log lines."""
        return [Attempt.read(each) for each in self._call("GET", f"{_path(task_id)}/attempts").objects("attempts")]

    def parameters(self, task_id: str) -> dict[str, str]:
        """Return the parameters that a task gives its handler. The token's role must be operate."""
        parameters = self._call("GET", f"{_path(task_id)}/parameters").object("parameters")
        return {key: parameters.text(key) for key in parameters.values}

    def payload(self, task_id: str) -> bytes:
        """Return a task's payload as it was submitted. The token's role must be operate. Raises PayloadNotKeptError."""
        return self._send("GET", f"{_path(task_id)}/payload").content

    def wait(self, task_id: str, *, timeout_seconds: float = math.inf) -> Task:
        """Return a task once it has ended, or as it is after the timeout. Retries during short outages of the API."""
        deadline = time.monotonic() + timeout_seconds
        patience = Patience()
        while True:
            left = deadline - time.monotonic()
            try:
                task = self.get(task_id, wait=max(0, min(left, MAX_WAIT_SECONDS)))
            except TransientError as error:
                patience.bear(error, left)
                continue
            patience = Patience()
            if task.status.has_ended or time.monotonic() >= deadline:
                return task

    def watch(self, task_id: str) -> Iterator[Task]:
        """Yield a task's present state, and each change until it has ended. Retries during short outages of the API."""
        seen: Task | None = None
        patience = Patience()
        while seen is None or not seen.status.has_ended:
            try:
                for task in self._stream(task_id):
                    patience = Patience()
                    if seen is None or _differ(task, seen):
                        yield task
                    seen = task
            except TransientError as error:
                if seen is None:
                    raise
                patience.bear(error)
            else:
                if not (seen and seen.status.has_ended):
                    time.sleep(RECONNECT_SECONDS)

    def page(
        self,
        *,
        status: Status | str | None = None,
        handler: str | None = None,
        group: str | None = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        id_prefix: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        error: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Return a page of at most `limit` (1 to 100) tasks, newest first.

        `tags` selects tasks that have all of these tags; `parent` selects the tasks that this task's handler submitted,
        and its callbacks; `error` selects tasks whose error's name or message contains the text.
        """
        times = _given(
            createdAfter=created_after and to_json(created_after),
            createdBefore=created_before and to_json(created_before),
        )
        query = _given(status=status, handler=handler, group=group, parent=parent, id=id_prefix) | times
        query |= _given(error=error, limit=limit, cursor=cursor)
        return Page.read(self._call("GET", "/tasks", query={**query, **_tags(tags)}))

    def tasks(self, *, limit: int | None = None, **wanted: Unpack[Wanted]) -> Iterator[TaskSummary]:
        """Yield at most `limit` tasks, newest first; None means all. The other arguments are those of `page`."""
        left = math.inf if limit is None else limit
        cursor = None
        while left > 0:
            page = self.page(limit=int(min(left, MAX_PAGE_TASKS)), cursor=cursor, **wanted)
            yield from page.tasks
            left -= len(page.tasks)
            cursor = page.cursor
            if cursor is None:
                return

    def cancel(self, task_id: str) -> Task:
        """Cancel an unfinished task. Raises WrongStatusError when it has completed or failed."""
        return Task.read(self._call("POST", f"{_path(task_id)}/cancel"))

    def retry(self, task_id: str) -> Submission:
        """Run a failed or cancelled task again. Raises WrongStatusError when it is neither."""
        return Submission.read(self._call("POST", f"{_path(task_id)}/retry"))

    def send_event(self, task_id: str, name: str, payload: Json = None) -> bool:
        """Send an event to a task with steps. Return False if it had an event of that name, which stays unchanged."""
        path = f"{_path(task_id)}/events/{quote(name, safe='')}"
        return self._call("POST", path, json_body=payload).truth("isNew")

    def start_action(self, action: str, wanted: Filter, *, dry_run: bool = False) -> Action:
        """Cancel, retry or delete the tasks that a filter selects; the task runner does the work in the background.

        Args:
            action: `cancel`, `retry` or `delete`. Deleted tasks cannot be restored.
            wanted: the filter.
            dry_run: whether to count the tasks without changing them.
        """
        body = {"action": action, "filter": wanted.body(), "dryRun": dry_run}
        return Action.read(self._call("POST", "/actions", json_body=body))

    def actions(self) -> list[Action]:
        """Return the last actions, newest first."""
        return [Action.read(each) for each in self._call("GET", "/actions").objects("actions")]

    def action(self, action_id: str) -> Action:
        """Return the progress of an action. Raises TaskRunnerError with the code `action_not_found`."""
        return Action.read(self._call("GET", f"/actions/{quote(action_id, safe='')}"))

    def stop_action(self, action_id: str) -> Action:
        """Stop an action. What it has done is not undone."""
        return Action.read(self._call("DELETE", f"/actions/{quote(action_id, safe='')}"))

    def pauses(self) -> list[Pause]:
        """Return all pauses."""
        return self._pauses("GET", "/pauses")

    def pause(self, handler: str | None = None) -> list[Pause]:
        """Pause a handler, or all handlers; running tasks go on. Return all pauses."""
        return self._pauses("POST", f"{_handler_path(handler)}/pause")

    def resume(self, handler: str | None = None) -> list[Pause]:
        """End the pause of a handler, or the pause of all handlers. Each of the two leaves the other unchanged."""
        return self._pauses("POST", f"{_handler_path(handler)}/resume")

    def _pauses(self, method: str, path: str) -> list[Pause]:
        return [Pause.read(each) for each in self._call(method, path).objects("pauses")]

    def schedules(self) -> list[Schedule]:
        """Return all schedules, by name."""
        return [Schedule.read(each) for each in self._call("GET", "/schedules").objects("schedules")]

    def refused_schedules(self) -> dict[str, str]:
        """Return, by name, why the Worker refuses schedules that its stack declares; empty if it accepts all."""
        refused = self._call("GET", "/schedules").objects("refused")
        return {each.text("name"): each.text("error") for each in refused}

    def schedule(self, name: str) -> Schedule:
        """Return a schedule. Raises ScheduleNotFoundError."""
        return Schedule.read(self._call("GET", _schedule_path(name)))

    def put_schedule(self, name: str, schedule: NewSchedule) -> Schedule:
        """Create or change a schedule. This makes no task at once. Raises ScheduleOfStackError."""
        body = body_of(schedule, _item(schedule.task))
        return Schedule.read(self._call("PUT", _schedule_path(name), json_body=body))

    def delete_schedule(self, name: str) -> Schedule:
        """Delete a schedule; its tasks stay. Raises ScheduleNotFoundError, ScheduleOfStackError."""
        return Schedule.read(self._call("DELETE", _schedule_path(name)))

    def pause_schedule(self, name: str) -> Schedule:
        """Pause a schedule: it makes no tasks until it is resumed. Raises ScheduleNotFoundError."""
        return Schedule.read(self._call("POST", f"{_schedule_path(name)}/pause"))

    def resume_schedule(self, name: str) -> Schedule:
        """Resume a paused schedule from its next tick on. Raises ScheduleNotFoundError."""
        return Schedule.read(self._call("POST", f"{_schedule_path(name)}/resume"))

    def stats(self) -> Stats:
        """Return statistics."""
        return Stats.read(self._call("GET", "/stats"))

    def history(self, range: Range) -> History:  # noqa: A002 — the API's own name for it
        """Return throughput and latency of the last hour, day or week."""
        return History.read(self._call("GET", "/stats", query={"range": range}).object("history"))

    def alerts(self) -> Alerts:
        """Return the stack's alerts with their states."""
        return Alerts.read(self._call("GET", "/alerts"))

    def metrics(self) -> str:
        """Return the metrics, in the text format of OpenMetrics 1.0."""
        return self._send("GET", "/metrics").text

    def openapi(self) -> dict[str, Any]:
        """Return the API's OpenAPI document."""
        return dict(self._call("GET", "/openapi.json").values)

    def _stream(self, task_id: str) -> Iterator[Task]:
        headers = {"Accept": "text/event-stream"}
        silence = STREAM_SILENCE_SECONDS
        with self._send("GET", _path(task_id), headers=headers, reply_seconds=silence, stream=True) as reply:
            try:
                for event in read_events(reply.iter_content(chunk_size=None)):
                    if event.name == "task":
                        yield Task.read(_parse(event.data, "task"))
            except requests.RequestException as error:
                raise _unreachable(self.url, error) from error

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        json_body: Any = None,
        reply_seconds: float = REPLY_SECONDS,
    ) -> JsonObject:
        body = None if json_body is None else json.dumps(json_body).encode()
        headers = {} if body is None else {"Content-Type": _JSON}
        return _object(self._send(method, path, query=query, body=body, headers=headers, reply_seconds=reply_seconds))

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | list[str]] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        reply_seconds: float = REPLY_SECONDS,
        stream: bool = False,
    ) -> requests.Response:
        try:
            reply = self._session.request(
                method,
                self.url + path,
                params=query,
                data=body,
                headers=headers,
                timeout=(CONNECT_SECONDS, reply_seconds),
                stream=stream,
                allow_redirects=False,  # a redirect would turn a POST into a GET
            )
            if reply.is_redirect or not reply.ok:
                raise _error(reply)
        except requests.RequestException as error:
            raise _unreachable(self.url, error) from error
        return reply


def _differ(task: Task, seen: Task) -> bool:
    try:
        return task != seen
    except RecursionError:  # the results are nested too deeply to be compared
        return True


class _Bearer(AuthBase):
    """Sends the token. It keeps requests from using the user's .netrc instead."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            r.headers["Authorization"] = f"Bearer {self._token}"
        return r


def _path(task_id: str) -> str:
    return f"/task/{quote(task_id, safe='')}"


def _given(**values: object) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}


def _tags(tags: Mapping[str, str] | None) -> dict[str, list[str]]:
    return {"tag": [f"{key}:{value}" for key, value in tags.items()]} if tags else {}


def _body(payload: Payload) -> tuple[bytes, str]:
    """Return the request body and its content type."""
    if isinstance(payload, bytes):
        return payload, _BYTES
    if isinstance(payload, str):
        return payload.encode(), "text/plain; charset=utf-8"
    return json.dumps(payload).encode(), _JSON


def _handler_path(handler: str | None) -> str:
    return "" if handler is None else f"/handlers/{quote(handler, safe='')}"


def _schedule_path(name: str) -> str:
    return f"/schedules/{quote(name, safe='')}"


def _item(task: NewTask) -> dict[str, Any]:
    payload = task.payload
    if isinstance(payload, bytes):
        item: dict[str, Any] = {"payloadBase64": base64.b64encode(payload).decode()} if payload else {}
    else:
        item = {"payload": payload}
    settings = {
        "handler": task.handler,
        "parameters": dict(task.parameters) or None,
        "delaySeconds": task.delay_seconds,
        "ttlSeconds": task.ttl_seconds,
        "maxRetries": task.max_retries,
        "idempotencyKey": task.idempotency_key,
        "replace": task.replace,
        "callbackUrl": task.callback_url,
        "on": task.on and list(task.on),
        "after": task.after and list(task.after),
        "startWhen": task.start_when,
        "group": task.group,
        "tags": dict(task.tags) or None,
        "priority": task.priority,
    }
    return item | {key: value for key, value in settings.items() if value is not None}


def _answer(answer: JsonObject) -> Submission | TaskRunnerError:
    status = answer.integer("httpStatus")
    return Submission.read(answer) if status == requests.codes.ok else _described(answer, status)


def _object(reply: requests.Response) -> JsonObject:
    return _parse(reply.text, "reply", reply.status_code)


def _parse(text: str, name: str, status: int | None = None) -> JsonObject:
    try:
        return JsonObject.of(loads(text), name)
    except ValueError as error:
        raise UnexpectedReplyError(f"expected JSON, got {text!r:.100}", status) from error


def _error(reply: requests.Response) -> TaskRunnerError:
    """Return the exception for a refused request."""
    try:
        error = _described(_object(reply), reply.status_code)
    except UnexpectedReplyError:
        got = f"{reply.status_code} {reply.text!r:.100}"
        return UnexpectedReplyError(f"expected the answer of a task runner, got {got}", reply.status_code)
    retry_after = reply.headers.get("Retry-After", "")
    if isinstance(error, TransientError) and retry_after.isdecimal():
        error.retry_after_seconds = int(retry_after)
    return error


def _described(error: JsonObject, status: int) -> TaskRunnerError:
    code, message = error.text("code"), error.text("error")
    details = {key: value for key, value in error.values.items() if key not in {"error", "code", "httpStatus"}}
    return KINDS.get(code, TaskRunnerError)(code, status, message, details)


def _unreachable(url: str, error: requests.RequestException) -> UnreachableError:
    return UnreachableError(f"{url} cannot be reached: {type(error).__name__}")

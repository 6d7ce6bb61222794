"""The commands about tasks: submit, get, wait, list, cancel, retry, watch and stats."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.client import MAX_WAIT_SECONDS, TaskRunnerClient, Wanted
from ops.command import FAILURE, SUCCESS, UsageError, add_command, client_of, explained
from ops.console import Console, age, duration, excerpt, table
from ops.deep_json import dumps
from ops.errors import TaskRunnerError, TransientError, UnauthorizedError
from ops.json_object import to_json
from ops.options import add_tag_option, add_task_options, moment, name, seconds, tags_of, task_settings, whole_number
from ops.patience import patiently
from ops.stats import EVENTS, RANGES, Bucket, History, Latency, Minute, Stats
from ops.task import Status, Step, Task, TaskSummary

LIST_TASKS = 20
RETRY_TASKS = 100


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    _add_submit(commands, common)
    get = add_command(commands, common, "get", _get, "show a task")
    get.add_argument("task_id", type=name, metavar="ID")
    get.add_argument(
        "--wait",
        type=whole_number(0, MAX_WAIT_SECONDS),
        default=0,
        metavar="SECONDS",
        help=f"until it has ended, or this long; at most {MAX_WAIT_SECONDS}",
    )
    batch = add_command(commands, common, "batch", _batch, "show how far a batch has come, and the task at its end")
    batch.add_argument("batch_id", type=name, metavar="ID")
    wait = add_command(commands, common, "wait", _wait, "wait until tasks have ended; 0 when all have completed")
    wait.add_argument("task_ids", type=name, nargs="+", metavar="ID")
    _add_timeout(wait)
    listing = add_command(commands, common, "list", _list, "list tasks, newest first")
    _add_filter(listing)
    listing.add_argument("--parent", type=name, metavar="ID", help="what this task has submitted, and its callbacks")
    listing.add_argument("--id", metavar="PREFIX", help="those whose id begins so")
    listing.add_argument(
        "--since", type=moment, metavar="TIME", help="submitted then or later: 15m (ago), 2d, or a time"
    )
    listing.add_argument("--until", type=moment, metavar="TIME", help="submitted earlier than that")
    listing.add_argument("--error", metavar="TEXT", help="those whose error has this in its name or message")
    listing.add_argument("--limit", type=whole_number(1), default=LIST_TASKS, metavar="N", help="default: %(default)s")
    listing.add_argument("--all", action="store_true", help="all there are")
    cancel = add_command(commands, common, "cancel", _cancel, "cancel tasks that have not ended")
    cancel.add_argument("task_ids", type=name, nargs="+", metavar="ID")
    retry = add_command(commands, common, "retry", _retry, "run tasks again that have failed or were cancelled")
    retry.add_argument("task_ids", type=name, nargs="*", metavar="ID")
    _add_filter(retry, (Status.FAILED, Status.CANCELLED))
    retry.add_argument(
        "--limit", type=whole_number(1), default=RETRY_TASKS, metavar="N", help="with --status; default: %(default)s"
    )
    event = add_command(commands, common, "event", _event, "send an event to a task with steps")
    event.add_argument("task_id", type=name, metavar="ID")
    event.add_argument("event", metavar="NAME")
    event.add_argument("payload", nargs="?", default="{}", metavar="PAYLOAD", help="JSON; default: %(default)s")
    watch = add_command(commands, common, "watch", _watch, "follow a task until it has ended")
    watch.add_argument("task_id", type=name, metavar="ID")
    stats = add_command(commands, common, "stats", _stats, "show counts, backlog, dead letters, throughput and latency")
    stats.add_argument("--range", choices=RANGES, help="throughput and latency of so long a time instead, in buckets")
    add_command(commands, common, "metrics", _metrics, "print the metrics in the text format of OpenMetrics")


def _add_submit(commands: Any, common: argparse.ArgumentParser) -> None:
    submit = add_command(commands, common, "submit", _submit, "submit a task; its payload is a file, or nothing")
    payload = submit.add_mutually_exclusive_group()
    payload.add_argument("file", nargs="?", metavar="FILE", help="its content is the payload; - is standard input")
    payload.add_argument("--data", metavar="TEXT", help="the payload itself")
    add_task_options(submit)
    submit.add_argument("--idempotency-key", type=name, metavar="KEY", help="the same key gives the same task")
    submit.add_argument(
        "--replace", choices=["pending"], help="take the place of the task with the key that has not started (debounce)"
    )
    submit.add_argument(
        "--after",
        type=name,
        action="append",
        metavar="ID",
        help="a task after which it starts; may be given several times",
    )
    submit.add_argument(
        "--start-when",
        choices=["completed", "ended"],
        help="after which end of those: default completed, and any other end cancels the task",
    )
    submit.add_argument("--wait", action="store_true", help="until the task has ended; 0 when it has completed")
    _add_timeout(submit)


def _add_timeout(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--timeout", type=seconds, metavar="TIME", help="wait no longer than this: 90, 15m, 2h")


def _add_filter(parser: argparse.ArgumentParser, statuses: Iterable[Status] = Status) -> None:
    parser.add_argument("--status", type=str, choices=[status.value for status in statuses], help="those in this state")
    parser.add_argument("--handler", type=name, metavar="NAME", help="those of this handler")
    parser.add_argument("--group", type=name, metavar="KEY", help="those of the groups with this key")
    add_tag_option(parser, "those with this tag")


def _submit(options: argparse.Namespace, console: Console) -> int:
    payload = _payload(options)
    with client_of(options) as client:
        submission = client.submit(
            payload,
            **task_settings(options),
            idempotency_key=options.idempotency_key,
            replace=options.replace,
            after=options.after,
            start_when=options.start_when,
        )
        if options.wait:
            console.note(f"{submission.task_id} {submission.status}")
            return _wait_for(client, [submission.task_id], options.timeout, console)
    replay = " (it was submitted before)" if submission.is_replay else " (replaced)" if submission.is_replaced else ""
    console.result(submission, [f"{submission.task_id} {submission.status}{replay}"])
    return SUCCESS


def _payload(options: argparse.Namespace) -> bytes:
    if options.data is not None:
        return os.fsencode(options.data)  # the exact bytes, whether or not they are UTF-8
    if options.file is None:
        return b""
    try:
        return sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    except OSError as error:
        raise UsageError(f"expected a file that can be read, got {options.file}: {error.strerror}") from error


def _get(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        task = client.get(options.task_id, wait=options.wait)
    console.result(task, facts_of(task))
    return SUCCESS


def _batch(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        batch = client.batch(options.batch_id)
    counts = ", ".join(f"{count} {status}" for status, count in batch.counts.items() if count > 0)
    facts = [
        ("batch", batch.batch_id),
        ("tasks", counts),
        ("start when", batch.start_when),
        ("then", batch.then.status),
    ]
    rows = [(task_id, status or "expired") for task_id, status in batch.tasks.items()]
    console.result(batch, table([*facts, *rows]))
    return SUCCESS


def _wait(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _wait_for(client, options.task_ids, options.timeout, console)


def _wait_for(client: TaskRunnerClient, task_ids: list[str], timeout: int | None, console: Console) -> int:
    deadline = time.monotonic() + (math.inf if timeout is None else timeout)
    have_completed = True
    for task_id in task_ids:
        task = client.wait(task_id, timeout_seconds=max(0, deadline - time.monotonic()))
        console.result(task, facts_of(task))
        if not task.status.has_ended:
            console.note(f"{task_id} has not ended within {timeout} s")
        have_completed &= task.status is Status.COMPLETED
    return SUCCESS if have_completed else FAILURE


def _list(options: argparse.Namespace, console: Console) -> int:
    limit = None if options.all else options.limit
    with client_of(options) as client:
        found = client.tasks(
            status=options.status,
            handler=options.handler,
            group=options.group,
            tags=tags_of(options),
            parent=options.parent,
            id_prefix=options.id,
            created_after=options.since,
            created_before=options.until,
            error=options.error,
            limit=limit,
        )
        tasks = list(found)
    console.result({"tasks": to_json(tasks)}, rows_of(tasks))
    return SUCCESS


def _cancel(options: argparse.Namespace, console: Console) -> int:
    def cancel(client: TaskRunnerClient, task_id: str) -> None:
        task = client.cancel(task_id)
        console.result(task, [f"{task_id} {task.status}"])

    with client_of(options) as client:
        return _each(client, options.task_ids, cancel, console)


def _retry(options: argparse.Namespace, console: Console) -> int:
    if bool(options.task_ids) == bool(options.status):
        raise UsageError("expected either ids of tasks or --status failed (or cancelled)")
    if options.task_ids and (options.handler or options.group or options.tags):
        raise UsageError("--handler, --group and --tag go with --status")

    def retry(client: TaskRunnerClient, task_id: str) -> None:
        submission = client.retry(task_id)
        console.result(submission, [f"{task_id} {submission.status}"])

    with client_of(options) as client:
        ids = options.task_ids or _ids(client, options)
        return _each(client, ids, retry, console)


def _event(options: argparse.Namespace, console: Console) -> int:
    try:
        payload = json.loads(options.payload)
    except ValueError as error:
        raise UsageError(f"expected the payload to be JSON, got {options.payload!r:.60}") from error
    with client_of(options) as client:
        is_new = client.send_event(options.task_id, options.event, payload)
    told = "told" if is_new else "it had an event of that name, which stays"
    console.result({"taskId": options.task_id, "event": options.event, "isNew": is_new}, [f"{options.task_id} {told}"])
    return SUCCESS


def _ids(client: TaskRunnerClient, options: argparse.Namespace) -> Iterator[str]:
    wanted: Wanted = {
        "status": options.status,
        "handler": options.handler,
        "group": options.group,
        "tags": tags_of(options),
    }
    for task in client.tasks(**wanted, limit=options.limit):
        yield task.task_id


def _each(
    client: TaskRunnerClient,
    task_ids: Iterable[str],
    act: Callable[[TaskRunnerClient, str], None],
    console: Console,
) -> int:
    """Act on each task; an error of one does not stop the others."""
    exit_code, acted = SUCCESS, 0
    for task_id in task_ids:
        try:
            patiently(act, client, task_id)
        except (UnauthorizedError, TransientError):
            raise
        except TaskRunnerError as error:
            console.error(error.code, f"{task_id}: {explained(error)}", {"taskId": task_id, **error.details})
            exit_code = FAILURE
        acted += 1
    if acted == 0:
        console.note("no such tasks")
    return exit_code


def _watch(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        task = None
        for task in client.watch(options.task_id):
            if console.is_live and not task.status.has_ended:
                console.progress(moment_of(task))
            else:
                console.result(task, [moment_of(task)] if not task.status.has_ended else facts_of(task))
    return SUCCESS if task and task.status is Status.COMPLETED else FAILURE


def _stats(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        if options.range:
            history = client.history(options.range)
            console.result(history, buckets_of(history))
        else:
            stats = client.stats()
            console.result(stats, figures_of(stats))
    return SUCCESS


def _metrics(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        text = client.metrics()
    console.result({"metrics": text}, text.splitlines())
    return SUCCESS


def rows_of(tasks: Sequence[TaskSummary]) -> list[str]:
    """Return a row for each task, below a heading."""
    heading = ("TASK", "STATUS", "HANDLER", "RUN", "ATTEMPTS", "AGE", "")
    return table([heading, *map(_row, tasks)]) if tasks else ["no tasks"]


def _row(task: TaskSummary) -> tuple[str, ...]:
    return (task.task_id, task.status, task.handler, str(task.run), _tries(task), age(task.created_at), _remark(task))


def _tries(task: TaskSummary) -> str:
    crashes = {0: "", 1: ", 1 crash"}.get(task.crashes, f", {task.crashes} crashes")
    return f"{task.attempts} of {task.max_retries + 1}{crashes}"


def _remark(task: TaskSummary) -> str:
    """Return a remark for the list: the task's progress, its error, or what it waits for."""
    parts = list[str]()
    if task.progress and task.status is Status.PROCESSING:
        parts.append(f"{task.progress.percent:g} % {excerpt(task.progress.note or '')}".strip())
    if task.next_attempt_at:
        parts.append(f"next attempt in {duration((task.next_attempt_at - datetime.now(UTC)).total_seconds())}")
    if task.error and task.status is not Status.COMPLETED:
        parts.append(excerpt(f"{task.error.name}: {task.error.message}"))
    return ", ".join(parts)


def moment_of(task: TaskSummary) -> str:
    """Return one line that says how far a task is."""
    attempt = f"attempt {task.attempts}" if task.attempts else ""
    return "  ".join(filter(None, (task.task_id, task.status, attempt, _remark(task))))


def facts_of(task: Task) -> list[str]:
    """Return lines with all facts about a task."""
    facts: list[tuple[str, str]] = [
        ("task", task.task_id),
        ("status", task.status),
        ("handler", task.handler),
        *(
            [("group", task.group + (" (waits for its turn)" if task.waiting_for == "group" else ""))]
            if task.group
            else []
        ),
        *([("tags", ", ".join(f"{key}:{value}" for key, value in task.tags.items()))] if task.tags else []),
        *([("priority", task.priority)] if task.priority != "normal" else []),
        ("attempts", _tries(task) + (f", run {task.run}" if task.run > 1 else "")),
    ]
    if task.progress:
        facts.append(("progress", f"{task.progress.percent:g} % {excerpt(task.progress.note or '')}".strip()))
    if task.callback:
        told = filter(None, (task.callback.url, task.callback.task_id, task.callback.status))
        facts.append(("callback", " ".join(told)))
    if task.parent:
        facts.append(("parent", task.parent))
    if task.after:
        left = f", waits for {len(task.after.waits_for)}" if task.after.waits_for else ""
        facts.append(("after", f"{len(task.after.task_ids)} tasks, when they have {task.after.start_when}{left}"))
    if task.error:
        facts.append(("error", excerpt(f"{task.error.name}: {task.error.message}", length=None)))
    times = {
        "created": task.created_at,
        "started": task.started_at,
        "finished": task.finished_at,
        "next attempt": task.next_attempt_at,
        "expires": task.expires_at,
    }
    facts += [(what, to_json(when)) for what, when in times.items() if when is not None]
    facts += [(step.kind, f"{step.name}: {step.status}{_due(step)}") for step in task.steps or ()]
    if task.status is Status.COMPLETED:
        facts.append(("result", excerpt(dumps(task.result), length=None)))
    return table(facts)


def _due(step: Step) -> str:
    error = f", {step.error.name}: {excerpt(step.error.message)}" if step.error else ""
    return error + (f", until {to_json(step.due_at)}" if step.status == "waiting" and step.due_at else "")


def figures_of(stats: Stats) -> list[str]:
    """Return lines with the statistics."""
    counts = stats.counts
    rows = [
        ("tasks", ", ".join(f"{getattr(counts, status.value)} {status}" for status in Status)),
        ("counted", f"{stats.counted.tasks}" + ("" if stats.counted.complete else "; there are more")),
    ]
    if stats.as_of:
        rows.append(("counted at", f"{stats.as_of:%Y-%m-%d %H:%M:%S} UTC"))
    for each in stats.databases:
        rows.append((each.name, f"{each.bytes / 1e6:.1f} of {each.limit_bytes / 1e6:,.0f} MB, {each.used:.1%}"))
    if stats.queue:
        rows.append(("queue", _waiting(stats.queue.backlog, stats.queue.oldest_age_seconds)))
        own = stats.queue.priorities
        for priority, queue in (("high", own.high), ("normal", own.normal), ("low", own.low)) if own else ():
            rows.append((f"queue {priority}", _waiting(queue.backlog, queue.oldest_age_seconds)))
    if stats.dead_letters:
        rows.append(("dead letters", _waiting(stats.dead_letters.count, stats.dead_letters.oldest_age_seconds)))
    recent = stats.recent
    rows.append((f"last {recent.minutes} min", _totals(recent.per_minute)))
    if recent.latency_ms:
        rows.append(("latency", _percentiles(recent.latency_ms)))
    if stats.paused:
        rows.append(("paused", ", ".join(each.handler or "all handlers" for each in stats.paused)))
    if stats.firing:
        rows.append(("alerts", f"{', '.join(stats.firing)} fire"))
    sweeper = stats.sweeper
    swept = f"{sweeper.expired} expired, {sweeper.resent} resent, {sweeper.returned} returned, {sweeper.failed} failed"
    return table([*rows, ("sweeper", swept)])


def _totals(of: Sequence[Minute | Bucket]) -> str:
    return ", ".join(f"{sum(getattr(each, event) for each in of)} {event}" for event in EVENTS)


def _percentiles(latency: Latency) -> str:
    return f"p50 {latency.p50:g} ms, p95 {latency.p95:g} ms, p99 {latency.p99:g} ms (of {latency.samples})"


def buckets_of(history: History) -> list[str]:
    """Return a row for each bucket of a history, below a heading, and the totals."""
    heading = ("UTC", *(event.upper() for event in EVENTS), "P50 MS", "P95 MS", "P99 MS", "")
    total = [f"last {history.range}: {_totals(history.buckets)}"]
    if history.latency_ms:
        total.append(f"latency: {_percentiles(history.latency_ms)}")
    return [*table([heading, *map(_bucket, history.buckets)]), "", *total]


def _bucket(bucket: Bucket) -> tuple[str, ...]:
    latency = bucket.latency_ms
    percentiles = (f"{latency.p50:g}", f"{latency.p95:g}", f"{latency.p99:g}") if latency else ("", "", "")
    counts = (str(getattr(bucket, event)) for event in EVENTS)
    start = f"{bucket.start.astimezone(UTC):%Y-%m-%d %H:%M}"
    return (start, *counts, *percentiles, "" if bucket.complete else "not all is counted")


def _waiting(count: int, oldest_age_seconds: float | None) -> str:
    return f"{count}" if oldest_age_seconds is None else f"{count}, the oldest {duration(oldest_age_seconds)} old"

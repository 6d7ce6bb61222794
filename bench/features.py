"""Measures what a feature adds to the cost of a task, in the units that Cloudflare bills."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx

from bench.cloud import LocalCloud
from bench.combinations import ENVIRONMENTS, combination
from bench.errors import MeasuredSystemError
from bench.meter import Meter, metered
from bench.node import ROOT
from bench.patience import eventually
from bench.progress import Progress
from bench.task_runner import TaskRunner
from bench.units import Units, per_task, settled
from components.task_runner_args import STATE_STORES, Engine
from ops.cost import PLAIN_TASK

HANDLERS = ROOT / "bench" / "handlers"

_TASKS = 3
_WAIT_SECONDS = 1
_QUIET_SECONDS = 0.5
_QUIET_AFTER_WAIT_SECONDS = 3.0
"""Longer than the wait of a delayed or sleeping task, during which a workflow does nothing."""

_UNTIL_WAITING_SECONDS = 1.0
"""The time until a task waits for its event; nothing asks, because a request would count."""

_LEAST = 0.005
"""Smaller numbers are noise: a row of a sweep, shared by several tasks."""

_SCHEDULES = 50
"""How many schedules tick in the same minute: they share what the sweep uses to make their tasks."""

_SECOND_TO_DECLARE_BY = 45
"""Later in a minute the next minute is too close to declare the schedules before it."""

_LEAST_OF_A_SWEEP = 0.1
"""Smaller numbers are noise of a sweep, shared by all schedules. Larger ones include a part of one or two sweeps."""

_TICK_SECONDS = 150
"""The time until all have made their task: they tick within two minutes, and a sweep follows within one more."""

_WITHOUT_BODY = ("GET", "DELETE")

Added = dict[str, Units | None]
"""What each feature adds to a task, and for PLAIN_TASK the cost of a task; None if the combination refuses the feature.
"""


class RefusedError(Exception):
    """The combination does not support this feature."""


def measure_features(engine: Engine, cloud: LocalCloud, progress: Progress) -> dict[str, Added]:
    """Count what features add, with each store."""
    counted: dict[str, Added] = {}
    with _receiver() as port:
        for store, env in zip(STATE_STORES, ENVIRONMENTS, strict=False):
            name = combination(store, engine)
            settings: dict[str, str | bool] = {
                "handlers": str(HANDLERS),
                "http_allowed_hosts": f"127.0.0.1:{port}",
                **({"priorities": True} if engine == "queue" else {}),
            }
            with TaskRunner(name, cloud, env=env, state_store=store, engine=engine, **settings) as runner:
                counted[name] = _Counting(runner, port).run()
            for feature, units in counted[name].items():
                progress.measured(f"features, {feature}", name, units or {})
    return counted


def difference(units: Units, *others: Units, least: float = _LEAST) -> Units:
    """Return by how much some units exceed the sum of others; very small differences are left out."""
    names = sorted({*units, *(name for each in others for name in each)})
    added = {name: units.get(name, 0) - sum(each.get(name, 0) for each in others) for name in names}
    return {name: round(value, 2) for name, value in added.items() if abs(value) >= least}


class _Counting:
    def __init__(self, runner: TaskRunner, port: int) -> None:
        self._runner = runner
        self._keys = 0
        self._callback_url = f"http://127.0.0.1:{port}/ended"

    def run(self) -> Added:
        """Count all features."""
        with metered(self._runner) as meter:
            self._submit()  # does what an object or an isolate does once
            settled(self._runner, meter)
            return self._added(meter)

    def _added(self, meter: Meter) -> Added:
        def count(work: Callable[[], object], quiet_seconds: float = _QUIET_SECONDS) -> Units:
            return self._count(meter, work, quiet_seconds)

        def told(then: Callable[[str], object]) -> Callable[[], None]:
            def work() -> None:
                task_id = self._submit({"handler": "stepped", "param.event": "go"})
                time.sleep(_UNTIL_WAITING_SECONDS)
                then(task_id)
                self._request("POST", f"/task/{task_id}/events/go", {})

            return work

        slow = _QUIET_AFTER_WAIT_SECONDS
        plain = count(self._submit)
        none = count(lambda: self._submit({"handler": "stepped"}))
        one = count(lambda: self._submit({"handler": "stepped", "param.steps": "1"}))
        nap = count(lambda: self._submit({"handler": "stepped", "param.nap_seconds": _WAIT_SECONDS}), slow)
        event = count(told(lambda _: None))
        added: Added = {
            PLAIN_TASK: plain,
            "a handler with steps": difference(none, plain),
            "the first step": difference(one, none),
            "a sleep": difference(nap, none),
            "an event that is waited for, and sent": difference(event, none),
            "a delay": difference(count(lambda: self._submit({"delaySeconds": _WAIT_SECONDS}), slow), plain),
            "an idempotency key": difference(count(self._submit_with_key), plain),
            "a callback": difference(count(lambda: self._submit({"callbackUrl": self._callback_url})), plain),
        }
        may_be_refused: Mapping[str, Callable[[], Units]] = {
            "a group with a concurrency": lambda: difference(
                count(lambda: self._submit({"handler": "grouped", "group": "all"})), plain
            ),
            "a group with a rate": lambda: difference(
                count(lambda: self._submit({"handler": "rated", "group": "all"})), plain
            ),
            "the priority high": lambda: difference(count(lambda: self._submit({"priority": "high"})), plain),
            # Last: if it is refused, the other task has been started all the same.
            "to start after another task": lambda: difference(
                count(told(lambda task_id: self._submit({"after": task_id}))), event, plain
            ),
        }
        for feature, measure in may_be_refused.items():
            try:
                added[feature] = measure()
            except RefusedError:
                added[feature] = None
        added["a tick of a schedule"] = self._tick(meter)
        return added

    def _tick(self, meter: Meter) -> Units:
        """Return how much more a task of a schedule costs than one of a batch; both are submitted in large numbers."""
        meter.reset()
        self._request("POST", "/tasks", {}, body={"tasks": [{"payload": {"n": n}} for n in range(_SCHEDULES)]})
        settled(self._runner, meter, _QUIET_AFTER_WAIT_SECONDS)
        together = per_task(meter.read(), _SCHEDULES)
        now = datetime.now(UTC)
        minute = now + timedelta(minutes=1 if now.second < _SECOND_TO_DECLARE_BY else 2)
        names = [f"tick-{number}" for number in range(_SCHEDULES)]
        for name in names:
            self._request("PUT", f"/schedules/{name}", {}, body={"cron": f"{minute.minute} * * * *", "payload": {}})
        settled(self._runner, meter)
        wait_seconds = (minute.replace(second=0, microsecond=0) - datetime.now(UTC)).total_seconds()
        time.sleep(max(0.0, wait_seconds - _QUIET_SECONDS))
        meter.reset()

        def all_have_ended() -> bool | None:
            counts = settled(self._runner, meter, _QUIET_AFTER_WAIT_SECONDS)
            written = sum(amount for units in counts.values() for unit, amount in units.items() if "writ" in unit)
            return True if written >= _SCHEDULES else None

        eventually(all_have_ended, seconds=_TICK_SECONDS, expected=f"{_SCHEDULES} tasks of schedules")
        ticks = per_task(meter.read(), _SCHEDULES, sweeps=True)
        for name in names:
            schedule = self._request("GET", f"/schedules/{name}", {})
            if len(schedule["lastRuns"]) != 1:
                raise MeasuredSystemError(f"expected one run of the schedule {name}, got {schedule['lastRuns']}")
            self._request("DELETE", f"/schedules/{name}", {})
        return difference(ticks, together, least=_LEAST_OF_A_SWEEP)

    def _count(self, meter: Meter, work: Callable[[], object], quiet_seconds: float) -> Units:
        meter.reset()
        for _ in range(_TASKS):
            work()
            settled(self._runner, meter, quiet_seconds)
        return per_task(meter.read(), _TASKS)

    def _submit(self, query: Mapping[str, str | int] | None = None, headers: Mapping[str, str] | None = None) -> str:
        return self._request("POST", "/task", query or {}, headers)["taskId"]

    def _submit_with_key(self) -> str:
        self._keys += 1
        return self._submit(headers={"Idempotency-Key": f"key-{self._keys}"})

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        url = f"{self._runner.url}{path}"
        reply = httpx.request(
            method,
            url,
            params=dict(query),
            headers=dict(headers or {}),
            json=None if method in _WITHOUT_BODY else body or {},
            trust_env=False,
        )
        if reply.status_code == httpx.codes.BAD_REQUEST.value:
            raise RefusedError(reply.text)
        return reply.raise_for_status().json()


@contextmanager
def _receiver() -> Generator[int]:
    """Receive callbacks; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class _Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name in the standard library
        """Log nothing."""

"""Each kind of fault under load, on every store with every engine: nothing is lost, and nothing is given up wrongly.

One fault after the other is set for a moment, on whatever calls come, while clients submit tasks. Once all are over,
each acknowledged task has to end as it was to: a dead letter names only a task that was to fail.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.pulumi.outputs import read_outputs
from ops.task import Status
from tests.faults.cloud import Cloud
from tests.faults.conftest import deploy_all
from tests.faults.runners import HANDLERS, Runner
from tests.faults.victims import Victims
from tests.journey.project import Project

ROUNDS: dict[str, dict[str, dict[str, Any]]] = {
    "queue": {
        "d1-queue": {"env": "dev", "state_store": "d1", "engine": "queue"},
        "kv-queue": {"env": "stg", "state_store": "kv", "engine": "queue"},
        "durable-object-queue": {"env": "uat", "state_store": "durable-object", "engine": "queue"},
    },
    "workflow": {
        "d1-workflow": {"env": "dev", "state_store": "d1", "engine": "workflow"},
        "kv-workflow": {"env": "stg", "state_store": "kv", "engine": "workflow"},
        "durable-object-workflow": {"env": "uat", "state_store": "durable-object", "engine": "workflow"},
    },
}
"""The six combinations, those of an engine at a time, each in an environment of its own."""

SETTINGS: dict[str, Any] = {"max_retries": 2, "retry_delay_seconds": 0, "public": True}
"""So few attempts that one spent wrongly is seen."""

RATE = 0.3
OUTAGE_EVERY = 4
"""Each fourth fault hits every call: the product is away for that time."""

KILL_RATE = 0.02
"""Of batches whose isolate is killed: so rare that no healthy task meets three, which would fail it rightly."""

LONGEST_FAULT_SECONDS = 4.0
SUBMIT_PAUSE_SECONDS = 0.15

WITHIN_SECONDS = 60
"""How soon after the last fault every task has ended."""

LOST_MESSAGE_SECONDS = 720
"""How soon a task has ended whose message died with an isolate: KV's sweeper looks every ten minutes."""

LETTERS_AT_ONCE = 100


@dataclass
class Injected:
    """What went wrong, by product and kind."""

    calls: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])

    def add(self, rules: list[dict[str, Any]]) -> None:
        """Count the faults of rules that were cleared."""
        for rule in rules:
            self.calls += rule["calls"]
            self.faults[f"{rule['product']} {rule['error']}"] += rule["faults"]


class Weather:
    """Sets one fault after the other."""

    def __init__(self, cloud: Cloud, chance: random.Random) -> None:
        self._cloud = cloud
        self._chance = chance
        self.injected = Injected()
        kinds: list[dict[str, Any]] = cloud.must("GET", f"{cloud.faults_url}/kinds")
        chance.shuffle(kinds)
        self._kinds = itertools.cycle(kinds)
        self.count = len(kinds)

    def rage(self, seconds: float) -> None:
        """Set faults until the time is over, all kinds in turn; each lasts a few seconds at most."""
        each = min(LONGEST_FAULT_SECONDS, seconds / self.count)
        deadline = time.monotonic() + seconds
        for number, kind in enumerate(self._kinds):
            if time.monotonic() > deadline:
                break
            self._cloud.must("POST", self._cloud.faults_url, self._rule(kind, is_outage=number % OUTAGE_EVERY == 0))
            time.sleep(each)
            self.clear()

    def clear(self) -> None:
        """End all faults, and count what they did."""
        self.injected.add(self._cloud.must("DELETE", self._cloud.faults_url))

    def _rule(self, kind: dict[str, Any], *, is_outage: bool) -> dict[str, Any]:
        rule: dict[str, Any] = {
            "product": kind["product"],
            "error": kind["error"],
            "seed": self._chance.randrange(2**32),
        }
        if kind["error"] == "latency":
            rule["latency_ms"] = [0, 400]
        if kind["per_second"] is not None:
            rule["per_second"] = 1
        elif kind["product"] == "worker":
            rule["rate"] = KILL_RATE
        else:
            rule["rate"] = 1 if is_outage else RATE
        return rule


@pytest.fixture(params=list(ROUNDS))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def runners(engine: str, project: Project, cloud: Cloud) -> list[Runner]:
    for stack, settings in ROUNDS[engine].items():
        project.configure(stack, **settings, **SETTINGS)
    deploy_all(project, list(ROUNDS[engine]))
    return [Runner(stack, str(read_outputs(project.state, stack)["url"]), cloud.ledger) for stack in ROUNDS[engine]]


@pytest.fixture
def project(tmp_path: Any, victims: Victims) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, victims.state, HANDLERS)


@contextmanager
def clients(runners: list[Runner]) -> Generator[None]:
    """Submit tasks to each runner, one after the other."""
    stop = threading.Event()

    def submit(runner: Runner) -> None:
        for number in itertools.count(1):
            if stop.wait(SUBMIT_PAUSE_SECONDS):
                return
            runner.submit(number)

    with ThreadPoolExecutor(len(runners)) as pool:
        futures = [pool.submit(submit, runner) for runner in runners]
        try:
            yield
        finally:
            stop.set()
    for future in futures:
        future.result()


def letters(cloud: Cloud, project: Project, stack: str) -> list[str]:
    """Return the task of each dead letter."""
    queue = read_outputs(project.state, stack).get("dlq_id")
    found: list[str] = []
    while queue:
        pulled = cloud.must("POST", f"/queues/{queue}/messages/pull", {"batch_size": LETTERS_AT_ONCE})["messages"]
        found += [b64decode(message["body"]).decode() for message in pulled]
        acks = [{"lease_id": message["lease_id"]} for message in pulled]
        if not pulled:
            break
        cloud.must("POST", f"/queues/{queue}/messages/ack", {"acks": acks})
    return found


def test_a_bad_day_loses_nothing_and_gives_up_nothing(
    project: Project,
    cloud: Cloud,
    chance: random.Random,
    fault_seconds: float,
    runners: list[Runner],
) -> None:
    weather = Weather(cloud, chance)
    with clients(runners):
        weather.rage(fault_seconds / len(ROUNDS))
    weather.clear()
    start = time.monotonic()
    unkept = {runner.stack: runner.unkept(WITHIN_SECONDS) for runner in runners}
    late = sum(len(tasks) for tasks in unkept.values())
    for runner in runners:
        if unkept[runner.stack]:
            unkept[runner.stack] = runner.unkept(LOST_MESSAGE_SECONDS)
    waited = time.monotonic() - start
    tasks = sum(len(runner.promises) for runner in runners)
    lost = {
        stack: names
        for stack, tasks in unkept.items()
        if (names := [each for each, status in tasks.items() if status is None])
    }
    wrong = {stack: tasks for stack, tasks in unkept.items() if any(status is not None for status in tasks.values())}
    doomed = {each for runner in runners for each, status in runner.promises.items() if status == Status.FAILED}
    given_up = [
        body
        for runner in runners
        for body in letters(cloud, project, runner.stack)
        if not any(each in body for each in doomed)
    ]
    counts = weather.injected.faults
    print(f"faults injected: {counts.total()} of {weather.injected.calls} calls, in {weather.count} kinds")
    print(", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if count))
    print(f"tasks: {tasks}, lost: {sum(map(len, lost.values()))}, given up wrongly: {len(given_up)}")
    print(f"later than a minute: {late}, the last after {waited:.0f} s")
    assert (lost, wrong, given_up, cloud.ledger.unexpected) == ({}, {}, [], [])

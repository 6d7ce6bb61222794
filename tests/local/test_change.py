"""A change is made in the state and in the data plane together, or not at all."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.core.cloud import Cloud
from local.core.credentials import Credentials
from local.core.product import Config
from local.core.store import Store
from local.products.assets.files import AssetFiles
from local.runtime.data_plane_client import DataPlaneAwayError, DataPlaneClient, DataPlaneRefusedError
from tests.local.rest import Rest, unique


class StubDataPlane(DataPlaneClient):
    """Remembers what was put; fails the next PUT when told to."""

    token = ""

    def __init__(self) -> None:
        super().__init__(self)
        self.puts: list[Config] = []
        self.deleted: list[tuple[str, str]] = []
        self.failure: Exception | None = None

    async def url(self) -> str:
        return "http://127.0.0.1:1"

    async def _send(self, method: str, url: str, body: Any, *, seconds: float) -> dict[str, Any]:
        assert (method, url, seconds > 0) == ("PUT", "http://127.0.0.1:1/config", True)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.puts.append(body)
        return {}

    async def delete_data(self, kind: str, data_id: str) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        self.deleted.append((kind, data_id))


class Bench:
    """A cloud over a stub, and one change to make: a new queue."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "state.db")
        self.data_plane = StubDataPlane()
        files, credentials = AssetFiles(folder / "assets"), Credentials.of("token", {})
        self.cloud = Cloud(self.store, files, self.data_plane, credentials, port=0)

    async def add(self, name: str, last_step: Exception | None = None) -> None:
        async def fail() -> None:
            if last_step is not None:
                raise last_step

        async with self.cloud.change() as change:
            insert(change.db, name)
            change.before_commit(fail)

    async def doom(self, data_id: str, *, commits: bool = True) -> None:
        async with self.cloud.change() as change:
            change.add_tombstone("d1", data_id)
            if not commits:
                change.db.execute("PRAGMA defer_foreign_keys = ON")
                change.db.execute("INSERT INTO worker_tails VALUES ('a', 'no Worker', 'b', '', '')")

    def queues(self) -> list[str]:
        return [row["name"] for row in self.cloud.db.execute("SELECT name FROM queues ORDER BY name")]

    def running(self) -> list[str]:
        return [queue["name"] for queue in self.data_plane.puts[-1]["queues"]]


def insert(db: sqlite3.Connection, name: str) -> None:
    db.execute(
        "INSERT INTO queues (id, name, created_on, modified_on, delivery_delay, delivery_paused,"
        " message_retention_period) VALUES (?, ?, '', '', 0, 0, 60)",
        (name, name),
    )


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.store.close()


def play(bench: Bench, *steps: Coroutine[Any, Any, None], expect: type[Exception] | None = None) -> None:
    """Run steps one after the other; the last one must raise what is expected."""

    async def run() -> None:
        try:
            for step in steps[:-1]:
                await step
            if expect is None:
                await steps[-1]
            else:
                with pytest.raises(expect):
                    await steps[-1]
        finally:
            await bench.data_plane.close()

    asyncio.run(run())


def test_what_the_data_plane_takes_is_kept(bench: Bench) -> None:
    play(bench, bench.add("a"), bench.add("b"))
    assert bench.queues() == bench.running() == ["a", "b"]


def test_what_it_refuses_is_not(bench: Bench) -> None:
    bench.data_plane.failure = DataPlaneRefusedError("invalid_worker", "no")
    play(bench, bench.add("a"), expect=DataPlaneRefusedError)
    assert bench.queues() == []
    assert bench.data_plane.puts == []
    assert bench.data_plane.config is None


def test_a_failing_last_step_brings_the_configuration_back(bench: Bench) -> None:
    play(bench, bench.add("a"), bench.add("b", DataPlaneRefusedError("internal", "no")), expect=DataPlaneRefusedError)
    assert bench.queues() == bench.running() == ["a"]


@pytest.mark.parametrize(
    "failure", [DataPlaneAwayError("gone"), DataPlaneRefusedError("internal", "a queue could not be configured")]
)
def test_a_put_in_doubt_brings_the_configuration_back(bench: Bench, failure: Exception) -> None:
    async def add_in_doubt() -> None:
        bench.data_plane.failure = failure
        await bench.add("b")

    play(bench, bench.add("a"), add_in_doubt(), expect=type(failure))
    assert bench.queues() == bench.running() == ["a"]
    assert len(bench.data_plane.puts) == 2, "what was in force before is put again"


@pytest.mark.parametrize("kind", ["invalid_worker", "port_in_use", "bad_request"])
def test_a_certain_refusal_puts_nothing_again(bench: Bench, kind: str) -> None:
    async def add_refused() -> None:
        bench.data_plane.failure = DataPlaneRefusedError(kind, "no")
        await bench.add("b")

    play(bench, bench.add("a"), add_refused(), expect=DataPlaneRefusedError)
    assert len(bench.data_plane.puts) == 1


def test_a_put_whose_answer_was_lost_is_repeated(bench: Bench) -> None:
    bench.data_plane.failure = httpx.ReadError("lost")
    play(bench, bench.add("a"))
    assert bench.queues() == bench.running() == ["a"]


def test_data_are_deleted_once_nothing_can_be_taken_back(bench: Bench) -> None:
    play(bench, bench.doom("gone"), bench.doom("kept", commits=False), expect=sqlite3.IntegrityError)
    assert bench.data_plane.deleted == [("d1", "gone")]


def test_data_that_cannot_be_deleted_are_deleted_later(bench: Bench) -> None:
    async def doom_in_vain() -> None:
        bench.data_plane.failure = DataPlaneAwayError("gone")
        await bench.doom("first")
        assert bench.data_plane.deleted == []

    play(bench, bench.cloud.start(), doom_in_vain(), bench.cloud.start(), bench.doom("second"))
    assert bench.data_plane.deleted == [("d1", "first"), ("d1", "second")]


def test_an_unchanged_configuration_is_not_put_again(bench: Bench) -> None:
    async def nothing() -> None:
        async with bench.cloud.change() as change:
            change.db.execute("INSERT INTO settings VALUES ('a', 'b')")

    play(bench, bench.add("a"), nothing())
    assert len(bench.data_plane.puts) == 1


def test_changes_at_once_are_made_one_after_the_other(rest: Rest) -> None:
    prefix = unique("parallel")

    def create(number: int) -> str:
        queue = rest.result("POST", "/queues", {"queue_name": f"{prefix}-{number}"})
        rest.result("POST", f"/queues/{queue['queue_id']}/consumers", {"type": "http_pull"})
        return rest.result("POST", f"/queues/{queue['queue_id']}/messages", {"body": {}}) and queue["queue_id"]

    with ThreadPoolExecutor(8) as pool:
        queue_ids = list(pool.map(create, range(16)))
    assert len(set(queue_ids)) == 16
    for queue_id in queue_ids:
        assert rest.result("GET", f"/queues/{queue_id}/metrics")["backlog_count"] == 1

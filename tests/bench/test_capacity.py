"""What fits, computed from limits and from the schema as it is."""

import sqlite3
from pathlib import Path

import pytest

from bench.capacity import FREE_PLAN, ROW_BYTES, capacity_text, tasks_a_day
from bench.docs import CAPACITY
from ops.cost import read_units

TASKS = 5_000


def test_what_ends_first_decides() -> None:
    queue = {"queue_writes": 1.0, "queue_reads": 1.0, "queue_deletes": 1.0}
    assert tasks_a_day({"requests": 2.0, "d1_rows_written": 3.0} | queue) == (3_333, FREE_PLAN["queue_operations"])
    assert tasks_a_day({"requests": 2.0, "kv_writes": 3.0} | queue) == (333, FREE_PLAN["kv_writes"])


def test_a_row_takes_as_much_as_is_told(tmp_path: Path) -> None:
    file = tmp_path / "tasks.db"
    with sqlite3.connect(file) as database:
        for migration in sorted(Path("worker/migrations").glob("*.sql")):
            database.executescript(migration.read_text())
        columns = "taskId, status, expires_at, run, attempts, started_at, finished_at, result"
        time_ms = 1_780_000_000_000
        rows = [
            (
                f"01a2044f-{number:04x}-7c53-a1d6-9b1b0ee3f2a4",
                "completed",
                time_ms // 1000,
                1,
                1,
                time_ms,
                time_ms,
                "{}",
            )
            for number in range(TASKS)
        ]
        database.executemany(f"INSERT INTO tasks ({columns}) VALUES ({', '.join('?' * 8)})", rows)  # noqa: S608
    assert file.stat().st_size / TASKS == pytest.approx(ROW_BYTES, rel=0.25)


def test_the_docs_say_what_is_computed() -> None:
    assert capacity_text(read_units()) in CAPACITY.read_text()

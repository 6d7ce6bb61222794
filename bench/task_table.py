"""Fills a task runner's table through D1's REST API, as a day of work would."""

from __future__ import annotations

import time

from bench.deployed_worker import DeployedWorker

_DAY_MS = 86_400_000
_SPREAD_MS = _DAY_MS * 9 // 10
"""The tasks are spread over the last day, with a margin before the first of them expires."""

_CHUNK_ROWS = 50_000
"""How many rows D1 can insert within its limit of 30 s for a query."""

_FAILED_EACH = 100
"""One of this many tasks has failed; all others have completed."""

_INSERT = """
WITH RECURSIVE
  numbers(number) AS (SELECT {first} UNION ALL SELECT number + 1 FROM numbers WHERE number + 1 < {end}),
  moments(number, ms) AS (SELECT number, {oldest_ms} + number * {spread_ms} / {rows} FROM numbers)
INSERT INTO tasks (taskId, status, expires_at, attempts, started_at, finished_at, payload, result)
SELECT
  printf('%08x-%04x-7000-8000-%012x', ms >> 16, ms & 65535, number),
  iif(number % {failed_each} = 0, 'failed', 'completed'), (ms + {day_ms}) / 1000, 1, ms, ms,
  '{{"work":"demo"}}', '{{"bytes":15}}'
FROM moments"""


_UNSEEN = "UPDATE sweep_progress SET cursor = '', first_open = NULL, expire_from = '', expire_cursor = ''"


def fill(worker: DeployedWorker, database_id: str, rows: int) -> None:
    """Fill the table up to a number of tasks, none of which the sweeper has seen yet."""
    [counted] = worker.query(database_id, "SELECT count(*) AS tasks FROM tasks")
    missing = rows - counted["tasks"]
    oldest_ms = int(time.time() * 1000) - _SPREAD_MS - 1_000
    for first in range(0, missing, _CHUNK_ROWS):
        statement = _INSERT.format(
            first=first,
            end=min(first + _CHUNK_ROWS, missing),
            rows=missing,
            oldest_ms=oldest_ms,
            spread_ms=_SPREAD_MS,
            failed_each=_FAILED_EACH,
            day_ms=_DAY_MS,
        )
        worker.query(database_id, statement)
    worker.query(database_id, _UNSEEN)

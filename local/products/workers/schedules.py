"""Cron triggers of a Worker.

10100 and its two texts are the real API's, quoted in public code: "invalid cron string: 0 20 * * 0", "duplicate cron
found: 0 0 * * *".
"""

import sqlite3

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, array, unparsable
from local.api.routing import Call, Route
from local.products.workers import cron, workers


async def put_schedules(call: Call) -> Reply:
    """PUT /workers/scripts/{script_name}/schedules: a plain array that replaces all; [] removes them."""
    crons = _crons(call.json(unparsable))
    moment = now()
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        created = {row["cron"]: row["created_on"] for row in _rows(change.db, worker["id"])}
        change.db.execute("DELETE FROM worker_schedules WHERE worker_id = ?", (worker["id"],))
        change.db.executemany(
            "INSERT INTO worker_schedules VALUES (?, ?, ?, ?, ?)",
            [(worker["id"], position, text, created.get(text, moment), moment) for position, text in enumerate(crons)],
        )
    return Reply(_describe(call.cloud.db, worker["id"]))


async def get_schedules(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/schedules: in the order in which they were sent."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    return Reply(_describe(call.cloud.db, worker["id"]))


def _crons(body: Json) -> list[str]:
    crons: list[str] = []
    for item in array(body, unparsable):
        text = Fields(item, unparsable).required_text("cron")
        if not cron.is_valid(text):
            raise ApiError(400, 10100, f"invalid cron string: {text}")
        if text in crons:
            raise ApiError(400, 10100, f"duplicate cron found: {text}")
        crons.append(text)
    return crons


def _rows(db: sqlite3.Connection, worker_id: str) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM worker_schedules WHERE worker_id = ? ORDER BY position", (worker_id,)).fetchall()


def _describe(db: sqlite3.Connection, worker_id: str) -> dict[str, Json]:
    return {
        "schedules": [
            {"cron": row["cron"], "created_on": row["created_on"], "modified_on": row["modified_on"]}
            for row in _rows(db, worker_id)
        ]
    }


ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/schedules", get_schedules),
    Route("PUT", "/accounts/{account_id}/workers/scripts/{script_name}/schedules", put_schedules),
)

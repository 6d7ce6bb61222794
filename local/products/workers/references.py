"""References: which Workers bind a Worker, and which listen to its tail.

The format is the one that wrangler reads before it deletes a Worker (workers-sdk, wrangler/src/delete.ts).
"""

import json
import sqlite3

from local.api.envelope import Json, Reply
from local.api.routing import Call, Route
from local.products.workers import dependents, workers

_ENVIRONMENT = "production"  # the only one that a Worker has


async def get_references(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/references."""
    db = call.cloud.db
    row = workers.find_script(db, call.path["script_name"])
    services = list(dependents.by_service(db, row["name"]))
    outgoing = [binding["service"] for binding in dependents.bindings(db, row["id"]) if binding["type"] == "service"]
    result: dict[str, Json] = {}
    if services or outgoing:
        result["services"] = {
            "incoming": [_reference(name) for name in services],
            "outgoing": [_reference(name) for name in outgoing],
            "pages_function": False,
        }
    objects = [_object_reference(name, namespace) for name, namespace in dependents.by_objects(db, row["id"])]
    return Reply(result | ({"durable_objects": objects} if objects else {}))


async def list_tail_producers(call: Call) -> Reply:
    """GET /workers/tails/by-consumer/{script_name}: the Workers whose tail this Worker gets."""
    rows = call.cloud.db.execute("SELECT name, settings, created_on, updated_on FROM workers ORDER BY name").fetchall()
    return Reply(
        [
            {
                "tag": "",
                "producer": {"script": row["name"]},
                "consumer": {"script": call.path["script_name"]},
                "created_on": row["created_on"],
                "modified_on": row["updated_on"],
            }
            for row in rows
            if any(part["name"] == call.path["script_name"] for part in json.loads(row["settings"])["tail_consumers"])
        ]
    )


def _reference(name: str) -> dict[str, Json]:
    return {"name": name, "service": name, "environment": _ENVIRONMENT}


def _object_reference(name: str, namespace: sqlite3.Row) -> dict[str, Json]:
    named = {
        "durable_object_namespace_id": namespace["id"],
        "durable_object_namespace_name": namespace["class_name"],
    }
    return _reference(name) | named


ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/references", get_references),
    Route("GET", "/accounts/{account_id}/workers/tails/by-consumer/{script_name}", list_tail_producers),
)

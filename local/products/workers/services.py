"""Workers as services, for wrangler and the provider: a Worker with one environment, production.

These routes are not documented; the format is the one that both read (workers-sdk, deploy-helpers; the Terraform
provider's WorkersScript).
"""

import sqlite3

from local.api.envelope import ApiError, Reply
from local.api.routing import Call, Route
from local.products.workers import scripts, workers

_ENVIRONMENT = "production"


async def get_service(call: Call) -> Reply:
    """GET /workers/services/{name}."""
    row = _find(call.cloud.db, call.path["name"])
    moments = {"created_on": row["created_on"], "modified_on": row["updated_on"]}
    environment = {"environment": _ENVIRONMENT, **moments}
    return Reply(
        {
            "id": row["name"],
            **moments,
            "default_environment": environment
            | {"script": workers.without_default_observability(scripts.describe(call.cloud.db, row))},
            "environments": [environment],
        }
    )


async def delete_service(call: Call) -> Reply:
    """DELETE /workers/services/{name}: refused if other Workers bind it, unless ?force=true."""
    async with call.cloud.change() as change:
        workers.delete(call, change, _find(change.db, call.path["name"]))
    return Reply(None)


def _find(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    row = db.execute("SELECT * FROM workers WHERE name = ?", (name,)).fetchone()
    if row is None:  # quoted in public code, from the real API
        raise ApiError(404, 10090, "This Worker does not exist on this account.")
    return row


ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/services/{name}", get_service),
    Route("DELETE", "/accounts/{account_id}/workers/services/{name}", delete_service),
)

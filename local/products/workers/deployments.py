"""Deployments: which versions of a Worker get which share of its traffic. The newest deployment is in force."""

import json
import math
import sqlite3
import uuid
from datetime import datetime
from typing import Any

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields
from local.api.routing import Call, Route
from local.products.durable_objects import namespaces as durable_objects
from local.products.identity.identity import AUTHOR_EMAIL
from local.products.queues import consumers as queue_consumers
from local.products.workers import bindings, desired_state, workers

_PRECISION = 0.01  # of a percentage
_MAX_VERSIONS = 2  # https://developers.cloudflare.com/workers/versions-and-deployments/#deployments
_PAGE_SIZE = 10  # recorded, see d1/databases.py
_LARGEST_PAGE = 100
_TRIGGERED_BY: dict[str, Json] = {"workers/triggered_by": "deployment"}  # quoted in public code, from the real API

Split = list[dict[str, Any]]  # [{version_id, percentage}]


async def create_deployment(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/deployments; ?force=true allows a version with other secrets."""
    body = call.fields(_invalid)
    body.required_text("strategy")
    body.choice("strategy", ("percentage",))
    split = _split(body)
    annotations = body.fields("annotations")
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        if call.argument("force") != "true":
            _check_secrets(change.db, worker["id"], split)
        given = {} if annotations is None else dict(annotations.values)
        deployment_id = insert(change.db, worker["id"], split, given | _TRIGGERED_BY, call.source)
    return Reply(_describe(_find(call.cloud.db, worker["id"], deployment_id)))


async def list_deployments(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/deployments: newest first; the bounds `since` and `until` are included."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    since, until = call.moment("since", _invalid), call.moment("until", _invalid)
    rows = call.cloud.db.execute(
        "SELECT * FROM worker_deployments WHERE worker_id = ? ORDER BY sequence DESC", (worker["id"],)
    ).fetchall()
    found = [row for row in rows if _is_within(datetime.fromisoformat(row["created_on"]), since, until)]
    page = call.page(len(found), _invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(row) for row in page.cut(found)]
    return Reply({"deployments": shown}, page.info(len(shown)))


async def get_deployment(call: Call) -> Reply:
    """GET /workers/scripts/{script_name}/deployments/{deployment_id}."""
    worker = workers.find_script(call.cloud.db, call.path["script_name"])
    return Reply(_describe(_find(call.cloud.db, worker["id"], call.path["deployment_id"])))


async def delete_deployment(call: Call) -> Reply:
    """DELETE /workers/scripts/{script_name}/deployments/{deployment_id}: refused for the one in force."""
    async with call.cloud.change() as change:
        worker = workers.find_script(change.db, call.path["script_name"])
        row = _find(change.db, worker["id"], call.path["deployment_id"])
        latest = change.db.execute(
            "SELECT max(sequence) AS sequence FROM worker_deployments WHERE worker_id = ?", (worker["id"],)
        ).fetchone()
        if row["sequence"] == latest["sequence"]:  # the rule is documented; code and text are ours
            message = "The latest deployment, which is actively serving traffic, cannot be deleted."
            raise ApiError(400, 10021, message)
        change.db.execute("DELETE FROM worker_deployments WHERE id = ?", (row["id"],))
    return Reply(None)


def insert(db: sqlite3.Connection, worker_id: str, split: Split, annotations: dict[str, Json], source: str) -> str:
    """Put a split in force and return the deployment's id. Raises ApiError if a version cannot be deployed."""
    for part in split:
        row = db.execute(
            "SELECT upload FROM worker_versions WHERE id = ? AND worker_id = ?", (part["version_id"], worker_id)
        ).fetchone()
        if row is None:
            raise version_not_found()
        upload: dict[str, Any] = json.loads(row["upload"])
        bindings.check_still_bound(db, upload["bindings"])
        durable_objects.check_deployable(db, worker_id, upload)
    if db.execute("SELECT 1 FROM queue_consumers WHERE worker_id = ?", (worker_id,)).fetchone() is not None:
        queue_consumers.check_queue_handler(db, [part["version_id"] for part in split])
    deployment_id, moment = str(uuid.uuid4()), now()
    db.execute(
        "INSERT INTO worker_deployments (id, worker_id, created_on, source, annotations, versions)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (deployment_id, worker_id, moment, source, json.dumps(annotations), json.dumps(split)),
    )
    db.execute("UPDATE workers SET deployed_on = ? WHERE id = ?", (moment, worker_id))
    return deployment_id


def version_not_found() -> ApiError:
    """Return the error for an unknown version; the text is quoted in public code, from answers of the real API."""
    message = "The requested Worker version could not be found, please check the ID being passed and try again."
    return ApiError(404, 100146, message)


def _check_secrets(db: sqlite3.Connection, worker_id: str, split: Split) -> None:
    """Refuse to return to a version that had other secrets when it was deployed. Raises ApiError 10220 (quoted)."""
    active = {part["version_id"] for part in desired_state.split_of(db, worker_id)}
    rows = db.execute("SELECT versions FROM worker_deployments WHERE worker_id = ?", (worker_id,)).fetchall()
    earlier = {part["version_id"] for row in rows for part in json.loads(row["versions"])} - active
    back = earlier & {part["version_id"] for part in split}
    current = {secret for version_id in active for secret in _secrets(db, version_id)}
    changed = {name for version_id in back for name, _ in current ^ _secrets(db, version_id)}
    if changed:
        message = (
            "A secret has changed since this version was active. If you are sure this is ok, add a ?force=true query"
            f" parameter to allow the rollback. The following secrets have changed: {', '.join(sorted(changed))}"
        )
        raise ApiError(400, 10220, message)


def _secrets(db: sqlite3.Connection, version_id: str) -> set[tuple[str, str]]:
    row = db.execute("SELECT upload FROM worker_versions WHERE id = ?", (version_id,)).fetchone()
    found: list[bindings.Binding] = [] if row is None else json.loads(row["upload"])["bindings"]
    return {(binding["name"], binding["text"]) for binding in found if binding["type"] == "secret_text"}


def _split(body: Fields) -> Split:
    parts = body.objects("versions")
    if not parts:
        raise body.wrong("versions", "Array must contain at least 1 element(s)")
    if len(parts) > _MAX_VERSIONS:
        raise body.wrong("versions", f"Array must contain at most {_MAX_VERSIONS} element(s)")
    split: Split = [{"version_id": part.required_text("version_id"), "percentage": _percentage(part)} for part in parts]
    total = math.fsum(part["percentage"] for part in split)
    if not math.isclose(total, 100, abs_tol=_PRECISION / 2):
        raise body.wrong("versions", f"The percentages must add up to 100, received {total:g}")
    ids = [part["version_id"] for part in split]
    if len(set(ids)) < len(ids):
        raise body.wrong("versions", "A version can be deployed once only")
    return split


def _percentage(part: Fields) -> float:
    """Read a share. A version with 0 % only gets requests that name it (workers/…/version-overrides)."""
    part.required("percentage")
    percentage = part.number("percentage", 0, 100)
    if percentage is None:
        raise part.wrong("percentage", "Expected number, received null")
    return percentage


def _find(db: sqlite3.Connection, worker_id: str, deployment_id: str) -> sqlite3.Row:
    row = db.execute(
        "SELECT * FROM worker_deployments WHERE id = ? AND worker_id = ?", (deployment_id, worker_id)
    ).fetchone()
    if row is None:  # the code is observed (alchemy-run/distilled), the text is ours
        raise ApiError(404, 10336, "The requested Worker deployment could not be found.")
    return row


def _is_within(moment: datetime, since: datetime | None, until: datetime | None) -> bool:
    return (since is None or since <= moment) and (until is None or moment <= until)


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    return {
        "id": row["id"],
        "created_on": row["created_on"],
        "source": row["source"],
        "strategy": "percentage",
        "versions": json.loads(row["versions"]),
        "annotations": json.loads(row["annotations"]),
        "author_email": AUTHOR_EMAIL,
    }


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid deployment: {path or 'body'}: {problem}")


ROUTES = (
    Route("POST", "/accounts/{account_id}/workers/scripts/{script_name}/deployments", create_deployment),
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/deployments", list_deployments),
    Route("GET", "/accounts/{account_id}/workers/scripts/{script_name}/deployments/{deployment_id}", get_deployment),
    Route(
        "DELETE", "/accounts/{account_id}/workers/scripts/{script_name}/deployments/{deployment_id}", delete_deployment
    ),
)

"""The contents of buckets by GraphQL: the only query of Cloudflare's analytics that `wrangler r2 bucket info` sends.

The types are a part of Cloudflare's (https://developers.cloudflare.com/r2/platform/metrics-analytics/, "Storage"); a
query that needs other types is answered 501.
"""

import json
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError, build_schema, parse, validate
from graphql import graphql as execute  # pyright: ignore[reportUnknownVariableType] its middleware has no type

from local.api.envelope import ApiError, Json, RawReply, now
from local.api.routing import Call, Route
from local.products.r2.buckets import JURISDICTIONS

_SCHEMA = build_schema(
    """
    scalar Time
    type Query { viewer: Viewer }
    type Viewer { accounts(filter: AccountFilter_InputObject): [Account!] }
    input AccountFilter_InputObject { accountTag: String }
    type Account {
      r2StorageAdaptiveGroups(
        limit: Int!
        filter: R2StorageAdaptiveGroupsFilter_InputObject
        orderBy: [R2StorageAdaptiveGroupsOrderBy!]
      ): [R2StorageAdaptiveGroups!]!
    }
    input R2StorageAdaptiveGroupsFilter_InputObject { bucketName: String, datetime_geq: Time, datetime_leq: Time }
    enum R2StorageAdaptiveGroupsOrderBy { datetime_ASC, datetime_DESC }
    type R2StorageAdaptiveGroups { max: R2StorageMax!, dimensions: R2StorageDimensions! }
    type R2StorageMax { objectCount: Int!, payloadSize: Float!, metadataSize: Float! }
    type R2StorageDimensions { bucketName: String!, datetime: Time! }
    """
)
_PRESENT = timedelta(minutes=5)  # only the present contents are known: a query about an earlier time has no answer

_Accounts = Callable[..., list[dict[str, Any]]]
_Groups = Callable[..., Coroutine[Any, Any, list[dict[str, Json]]]]


async def answer_query(call: Call) -> RawReply:
    """POST /graphql: {query, variables, operationName}; an error in a query has the status 200 too."""
    body = call.fields(_invalid)
    query, variables = body.required_text("query"), body.fields("variables")
    _check_is_here(query)
    result = await execute(
        _SCHEMA,
        query,
        {"viewer": {"accounts": _accounts(call)}},
        variable_values=None if variables is None else dict(variables.values),
        operation_name=body.text("operationName"),
    )
    errors = None if result.errors is None else [error.formatted for error in result.errors]
    return RawReply(json.dumps({"data": result.data, "errors": errors}).encode(), {}, "application/json")


def _check_is_here(query: str) -> None:
    """Refuse a query for types that Cloudflare may have and that are not implemented here. Raises ApiError 501."""
    try:
        problems = validate(_SCHEMA, parse(query))
    except GraphQLSyntaxError:
        return  # execution reports this error
    if problems:
        message = f"The local Cloudflare does not have POST /graphql for this query: {problems[0].message}"
        raise ApiError(501, 7000, message)


def _accounts(call: Call) -> _Accounts:
    def accounts(_: object, **arguments: Any) -> list[dict[str, Any]]:
        wanted: dict[str, str] = arguments.get("filter") or {}
        if not call.cloud.credentials.knows_account(wanted.get("accountTag", "")):
            raise GraphQLError("not authorized for that account")
        return [{"r2StorageAdaptiveGroups": _storage_groups(call)}]

    return accounts


def _storage_groups(call: Call) -> _Groups:
    async def groups(_: object, **arguments: Any) -> list[dict[str, Json]]:
        wanted: dict[str, str] = arguments.get("filter") or {}
        if not _includes_the_present(wanted):
            return []
        rows = call.cloud.db.execute("SELECT * FROM r2_buckets ORDER BY jurisdiction, name").fetchall()
        names = {_full_name(row): row["id"] for row in rows}
        shown = [name for name in names if wanted.get("bucketName", name) == name][: arguments["limit"]]
        return [_group(name, await call.cloud.data_plane.call("r2", names[name], "measure")) for name in shown]

    return groups


def _includes_the_present(wanted: dict[str, str]) -> bool:
    """Tell whether a filter's range of time includes the present. Raises GraphQLError."""
    moment = datetime.now(UTC)
    first, last = (_time(wanted.get(name), moment) for name in ("datetime_geq", "datetime_leq"))
    return first <= moment <= last + _PRESENT


def _time(text: str | None, default: datetime) -> datetime:
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"expected a time such as 2026-01-31T23:59:59Z, got {text!r}"
        raise GraphQLError(msg) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _full_name(row: sqlite3.Row) -> str:
    """Return a bucket's name with its jurisdiction (as in workers-sdk, wrangler/src/r2/helpers/bucket.ts)."""
    return row["name"] if row["jurisdiction"] == JURISDICTIONS[0] else f"{row['jurisdiction']}_{row['name']}"


def _group(name: str, measured: dict[str, int]) -> dict[str, Json]:
    stored = {
        "objectCount": measured["object_count"],
        "payloadSize": measured["payload_bytes"],
        "metadataSize": measured["metadata_bytes"],
    }
    return {"max": stored, "dimensions": {"bucketName": name, "datetime": now()}}


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10000, f"invalid query: {path or 'body'}: {problem}")


ROUTES = (Route("POST", "/graphql", answer_query),)

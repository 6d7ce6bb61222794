"""Functions with which products read their bindings."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.product import StoredBinding


def exists(db: sqlite3.Connection, table: str, column: str, value: str) -> bool:
    """Tell whether a row exists."""
    return db.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (value,)).fetchone() is not None  # noqa: S608 our own names


def must_have(part: Fields, what: str) -> ApiError:
    """Return the error for an incomplete binding (quoted: "binding DB of type d1 must have … specified")."""
    message = f"binding {part.values['name']} of type {part.values['type']} must have {what} specified"
    return ApiError(400, 10021, message)


def nothing_more(_: sqlite3.Connection, part: Fields) -> StoredBinding:  # noqa: ARG001 a reader's arguments
    """Read a binding that has a name and a type only."""
    return {}


def check_environment(part: Fields) -> None:
    """Refuse the field of Workers with environments of their own, which Cloudflare has deprecated."""
    if part.text("environment") not in (None, "", "production"):
        refuse_elsewhere(part, "environment")


def refuse_elsewhere(part: Fields, name: str) -> None:
    """Refuse a field that is not supported here. Raises ApiError."""
    if part.values.get(name):
        raise ApiError(501, 10021, f"The local Cloudflare does not have {part.path(name)} of a binding")

"""Bindings of databases. Texts marked (quoted) are texts of the real API that public code quotes."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import exists, must_have
from local.core.product import BindingType, StoredBinding


def _d1(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a D1 binding. `id` is the older name of `database_id`; both are accepted and returned."""
    database_id = part.text("database_id") or part.text("id")
    if not database_id:  # quoted
        raise must_have(part, "a valid `database_id`")
    if not exists(db, "d1_databases", "uuid", database_id):  # quoted
        message = f"D1 binding '{part.values['name']}' references database '{database_id}' which was not found."
        raise ApiError(400, 10181, message)
    return {"id": database_id, "database_id": database_id}


def _locate(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    return binding if exists(db, "d1_databases", "uuid", binding["id"]) else None


BINDINGS = {"d1": BindingType(_d1, fields=("id",), locate=_locate, modules_only=True)}  # modules only: quoted

"""Bindings of Hyperdrive configurations."""

import json
import sqlite3
from urllib.parse import quote

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import exists, must_have
from local.core.product import BindingType, StoredBinding


def _read(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    config_id = part.text("id")
    if not config_id:
        raise must_have(part, "a valid `id`")
    _check(db, {"name": part.values["name"], "id": config_id})
    return {"id": config_id}


def _check(db: sqlite3.Connection, binding: StoredBinding) -> None:
    if not exists(db, "hyperdrive_configs", "id", binding["id"]):
        message = f"Hyperdrive binding '{binding['name']}' references config '{binding['id']}' which was not found."
        raise ApiError(400, 10021, message)


def _locate(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    """Add the address of the database, with user and password."""
    row = db.execute("SELECT body FROM hyperdrive_configs WHERE id = ?", (binding["id"],)).fetchone()
    if row is None:
        return None
    origin: dict[str, str] = json.loads(row["body"])["origin"]
    user, password, database = (quote(origin[name], safe="") for name in ("user", "password", "database"))
    host = f"[{origin['host']}]" if ":" in origin["host"] else origin["host"]
    address = f"{origin['scheme']}://{user}:{password}@{host}:{origin['port']}/{database}"
    return binding | {"connection_string": address}


BINDINGS = {"hyperdrive": BindingType(_read, fields=("id", "connection_string"), locate=_locate, check_bound=_check)}

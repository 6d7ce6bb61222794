"""Bindings of Durable Object classes."""

import sqlite3

from local.api.fields import Fields
from local.core.binding_checks import must_have
from local.core.product import BindingType, StoredBinding
from local.products.workers import desired_state

_HOST = (
    "SELECT w.id, w.name, n.class_name FROM durable_object_namespaces n JOIN workers w ON w.id = n.worker_id"
    " WHERE n.id = ?"
)


def _durable_object_namespace(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a class's binding; its namespace is found when the upload is kept, for the same upload may create it."""
    class_name = part.text("class_name")
    if not class_name:
        raise must_have(part, "a `class_name`")
    named = {name: part.text(name) for name in ("script_name", "environment")}
    return {"class_name": class_name} | {name: text for name, text in named.items() if text}


def _locate(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    return desired_state.host_of(db, binding, _HOST, binding["namespace_id"])


BINDINGS = {
    "durable_object_namespace": BindingType(
        _durable_object_namespace, fields=("class_name", "worker", "version_id", "namespace_id"), locate=_locate
    )
}

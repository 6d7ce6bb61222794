"""Bindings of Durable Object classes."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import check_environment, must_have, refuse_elsewhere
from local.core.product import BindingType, StoredBinding
from local.products.workers import desired_state

_HOST = (
    "SELECT w.id, w.name, n.class_name FROM durable_object_namespaces n JOIN workers w ON w.id = n.worker_id"
    " WHERE n.id = ?"
)


def _durable_object_namespace(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a class's binding. Its namespace is found when the upload is stored, because the same upload may create it.

    An existing namespace can also be named by its id.
    """
    refuse_elsewhere(part, "dispatch_namespace")
    check_environment(part)
    class_name, namespace_id = part.text("class_name"), part.text("namespace_id")
    if not class_name and namespace_id:
        row = db.execute(_HOST, (namespace_id,)).fetchone()
        if row is None:  # the text is ours
            raise ApiError(400, 10066, f"Durable Object namespace '{namespace_id}' was not found.")
        return {"class_name": row["class_name"], "script_name": row["name"]}
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

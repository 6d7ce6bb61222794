"""Bindings of KV namespaces. Texts marked (quoted) are texts of the real API that public code quotes."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import exists, must_have
from local.core.product import BindingType, StoredBinding
from local.products.kv import namespaces as kv_namespaces


def _kv_namespace(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    namespace_id = part.text("namespace_id")
    if not namespace_id:
        raise must_have(part, "a valid `namespace_id`")
    if not kv_namespaces.is_id(namespace_id):  # quoted
        message = f"KV namespace '{namespace_id}' is not valid. Please verify the namespace_id in your configuration."
        raise ApiError(400, 10042, message)
    if not exists(db, "kv_namespaces", "id", namespace_id):
        raise _kv_namespace_missing(namespace_id)
    return {"namespace_id": namespace_id}


def _locate(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    return binding if exists(db, "kv_namespaces", "id", binding["namespace_id"]) else None


def _check_bound(db: sqlite3.Connection, binding: StoredBinding) -> None:
    if not exists(db, "kv_namespaces", "id", binding["namespace_id"]):
        raise _kv_namespace_missing(binding["namespace_id"])


def _kv_namespace_missing(namespace_id: str) -> ApiError:
    return ApiError(400, 10041, f"KV namespace '{namespace_id}' not found.")  # quoted


BINDINGS = {
    "kv_namespace": BindingType(_kv_namespace, fields=("namespace_id",), locate=_locate, check_bound=_check_bound)
}

"""Bindings of texts, of parts of the upload, and of other Workers.

Texts marked (quoted) are texts of the real API that public code quotes.
"""

import sqlite3
from typing import Any

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import check_environment, exists, must_have, nothing_more
from local.core.product import BindingType, StoredBinding
from local.products.workers import desired_state

MAX_TEXT_BYTES = 5 * 1024  # https://developers.cloudflare.com/workers/platform/limits/#environment-variables
_HOST = "SELECT id, name FROM workers WHERE name = ?"


def _part(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a binding of a part of the upload, which only the service worker syntax supports."""
    name = part.text("part")
    if not name:
        raise must_have(part, "a `part`")
    return {"part": name}


def _text(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    text = part.text("text")
    if text is None:
        raise must_have(part, "`text`")
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise ApiError(400, 10054, "workers.api.error.text_binding_too_large")  # quoted
    return {"text": text}


def _json(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    if "json" not in part.values:
        raise must_have(part, "`json`")
    return {"json": part.values["json"]}


def _service(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    """Read a service binding; `_check_service` looks for its Worker."""
    service = part.text("service")
    if not service:
        raise must_have(part, "a `service`")
    check_environment(part)
    named = {name: part.text(name) for name in ("entrypoint", "environment")}
    props = part.fields("props")  # sent by wrangler, not in the API reference; the entrypoint finds it in `ctx.props`
    return (
        {"service": service}
        | {name: text for name, text in named.items() if text}
        | ({} if props is None else {"props": dict(props.values)})
    )


def _check_service(db: sqlite3.Connection, binding: StoredBinding, uploaded: str | None) -> None:
    """Refuse a binding to a Worker that does not exist. Raises ApiError 10143 (quoted)."""
    if binding["service"] != uploaded and not exists(db, "workers", "name", binding["service"]):
        message = (
            f"Service binding '{binding['name']}' references Worker '{binding['service']}' which was not found."
            " Verify the Worker exists in your account and that the service name in your configuration is correct."
        )
        raise ApiError(400, 10143, message)


def _locate_service(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    if "entrypoint" in binding and binding["entrypoint"] not in desired_state.entrypoints_of(db, binding["service"]):
        return None  # a later version of that Worker removed it
    return desired_state.host_of(db, binding, _HOST, binding["service"])


def _version_metadata(binding: StoredBinding, upload: dict[str, Any], version_id: str) -> StoredBinding:
    """Return a version's metadata for its own binding."""
    annotations: dict[str, str] = upload["echo"].get("annotations") or {}
    tag = annotations.get("workers/tag", "")
    metadata = {"id": version_id, "tag": tag, "timestamp": upload["uploaded_on"]}
    return {"type": "json", "name": binding["name"], "json": metadata}


_PART = BindingType(_part, fields=("part",))
_SECRET_TEXT = BindingType(_text, fields=("text",), hidden=frozenset({"text"}))

BINDINGS = {
    "data_blob": _PART,
    "text_blob": _PART,
    "wasm_module": _PART,
    "plain_text": BindingType(_text, fields=("text",)),
    "secret_text": _SECRET_TEXT,
    "json": BindingType(_json, fields=("json",)),
    "service": BindingType(
        _service,
        fields=("worker", "version_id", "entrypoint", "props"),
        locate=_locate_service,
        check_named=_check_service,
    ),
    "version_metadata": BindingType(nothing_more, render=_version_metadata),
}

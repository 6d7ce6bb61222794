"""A Worker as a multipart form: `metadata` beside the modules, as uploads come in and as code goes out."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from local.control_plane.envelope import ApiError, RawReply
from local.control_plane.fields import Fields
from local.control_plane.multipart import Part, boundary_of, form_parts, write_form
from local.control_plane.routing import Call
from local.control_plane.uploads import Module, invalid

_METADATA = "metadata"
_DEFAULT_CONTENT_TYPE = "application/octet-stream"
_BARE_CODE = ("application/javascript", "text/javascript")  # API reference: a body that is a service worker


@dataclass(frozen=True)
class ScriptForm:
    """An upload: its metadata, and its modules in the order of their parts."""

    metadata: Fields
    modules: list[Module]


def read_form(call: Call) -> ScriptForm:
    """Read the form of an upload. Raises ApiError; 10021 without metadata is quoted (cloudflare-typescript #2645)."""
    if call.content_type.partition(";")[0].strip().lower() in _BARE_CODE:
        raise _service_worker()
    parts = read_parts(call)
    metadata = next((part for part in parts if part.name == _METADATA), None)
    if metadata is None:
        raise ApiError(400, 10021, f"could not read content for part {_METADATA}")
    try:
        fields = Fields(json.loads(metadata.content), invalid)
    except ValueError as error:
        raise invalid(_METADATA, f"Invalid JSON: {error}") from error
    if fields.has("body_part"):
        raise _service_worker()
    return ScriptForm(fields, [_module(part) for part in parts if part.name != _METADATA])


def read_parts(call: Call) -> list[Part]:
    """Split a body that must be a form. Raises ApiError 10001 (quoted, of a PATCH of settings)."""
    boundary = boundary_of(call.content_type)
    if boundary is None:
        raise ApiError(400, 10001, "Content-Type must be one of: multipart/form-data.")
    try:
        return form_parts(call.body, boundary)
    except ValueError as error:
        raise invalid("", str(error)) from error


def code_reply(upload: dict[str, Any], modules: list[Module], etag: str) -> RawReply:
    """Send the code of a version: a part a module, the main module first, as the provider expects it."""
    main = upload["main_module"]
    in_order = sorted(modules, key=lambda module: module["name"] != main)
    content, content_type = write_form(
        Part(module["name"], module["name"], module["content_type"], base64.b64decode(module["content_base64"]))
        for module in in_order
    )
    entrypoint = {} if main is None else {"cf-entrypoint": main}
    return RawReply(content, {**entrypoint, "etag": etag}, content_type)


def _service_worker() -> ApiError:
    return ApiError(
        501, 10021, "The local Cloudflare does not have Workers in the service worker syntax: use ES modules"
    )


def _module(part: Part) -> Module:
    """Name a module as metadata refers to it: by file name (API reference), which wrangler gives to the part, too."""
    return {
        "name": part.filename or part.name,
        "content_type": part.content_type or _DEFAULT_CONTENT_TYPE,
        "content_base64": base64.b64encode(part.content).decode(),
    }

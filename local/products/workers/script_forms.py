"""A Worker as a multipart form, with `metadata` and the modules, for uploads and downloads."""

from dataclasses import dataclass
from typing import Any

from local.api import json_text
from local.api.envelope import ApiError, RawReply
from local.api.fields import Fields
from local.api.multipart import Part, boundary_of, form_parts, write_form
from local.api.routing import Call
from local.core.code_files import CodeFiles, Module, NewModule
from local.products.workers.uploads import invalid, media_type

_METADATA = "metadata"
_DEFAULT_CONTENT_TYPE = "application/octet-stream"
_BARE_CODE = ("application/javascript", "text/javascript")  # API reference: a body that is a service worker
_BARE_PART = "script"


@dataclass(frozen=True)
class ScriptForm:
    """An upload: its metadata, and its modules in the order of their parts."""

    metadata: Fields
    modules: list[NewModule]

    @property
    def main(self) -> dict[str, str | None]:
        """Return which part is the Worker: `main_module`, or `body_part` in the service worker syntax."""
        if self.metadata.has("body_part"):
            return {"main_module": None, "body_part": self.metadata.required_text("body_part")}
        return {"main_module": self.metadata.required_text("main_module"), "body_part": None}


def read_form(call: Call) -> ScriptForm:
    """Read the form of an upload. Raises ApiError; 10021 without metadata is quoted (cloudflare-typescript #2645)."""
    if media_type(call.content_type).lower() in _BARE_CODE:
        return ScriptForm(Fields({"body_part": _BARE_PART}, invalid), [_bare_code(call)])
    parts = read_parts(call)
    metadata = next((part for part in parts if part.name == _METADATA), None)
    if metadata is None:
        raise ApiError(400, 10021, f"could not read content for part {_METADATA}")
    try:
        fields = Fields(json_text.parse(metadata.content), invalid)
    except ValueError as error:
        raise invalid(_METADATA, f"Invalid JSON: {error}") from error
    by_file = not fields.has("body_part")
    return ScriptForm(fields, [_module(part, by_file=by_file) for part in parts if part.name != _METADATA])


def read_parts(call: Call) -> list[Part]:
    """Split a body that must be a form. Raises ApiError 10001 (quoted for a PATCH of settings)."""
    boundary = boundary_of(call.content_type)
    if boundary is None:
        raise ApiError(400, 10001, "Content-Type must be one of: multipart/form-data.")
    try:
        return form_parts(call.body, boundary)
    except ValueError as error:
        raise invalid("", str(error)) from error


def code_reply(upload: dict[str, Any], modules: list[Module], files: CodeFiles, etag: str) -> RawReply:
    """Return the code of a version: one part for each module, the main module first, as the provider expects.

    A script in the service worker syntax is returned unchanged. A Worker with assets only has no content: 204.
    """
    main = upload["main_module"]
    if main is None:
        return RawReply(b"", {}, status=204)
    if upload.get("service_worker", False):
        [script] = [module for module in modules if module["name"] == main]
        return RawReply(files.read(script["sha256"]), {"etag": etag}, "application/javascript")
    in_order = sorted(modules, key=lambda module: module["name"] != main)
    content, content_type = write_form(
        Part(module["name"], module["name"], module["content_type"], files.read(module["sha256"]))
        for module in in_order
    )
    return RawReply(content, {"cf-entrypoint": main, "etag": etag}, content_type)


def _bare_code(call: Call) -> NewModule:
    return NewModule(_BARE_PART, _BARE_CODE[0], call.body)


def _module(part: Part, *, by_file: bool) -> NewModule:
    """Return the name by which metadata refers to a module.

    That is the file name (API reference), which wrangler also uses as the part's name; a `body_part` and bindings refer
    to the part's name.
    """
    name = (part.filename if by_file else "") or part.name
    return NewModule(name, part.content_type or _DEFAULT_CONTENT_TYPE, part.content)

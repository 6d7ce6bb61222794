"""Uploads of static assets: a session for a manifest, then the missing files, in buckets.

https://developers.cloudflare.com/workers/static-assets/direct-upload/; what that page does not say is marked as ours.
"""

import asyncio
import base64
import binascii
import re

from local.api.envelope import ApiError, Reply
from local.api.fields import Fields
from local.api.multipart import Part
from local.api.routing import Call, Route
from local.products.assets import manifests as asset_manifests
from local.products.assets import tokens as asset_tokens
from local.products.assets.files import is_safe
from local.products.assets.manifests import Entry, File
from local.products.workers.script_forms import read_parts
from local.products.workers.workers import check_name

MAX_FILE_BYTES = 25 * 1024 * 1024
# https://developers.cloudflare.com/workers/platform/limits/#static-assets, paid plan
MAX_FILES = 100_000
# Ours: a bucket is uploaded in one request, a third larger in base64, and a request may have at most 100 MB.
_BUCKET_BYTES = 40 * 1024 * 1024
_BUCKET_FILES = 1_000

_HASH = re.compile(r"[0-9a-f]{32}")  # documented: "a 32 hexadecimal character hash of the file"
_RESERVED = frozenset({"/.assetsignore", "/_headers", "/_redirects"})  # these files control how files are served
_CREATED, _ACCEPTED = 201, 202


async def begin(call: Call) -> Reply:
    """POST /workers/scripts/{script_name}/assets-upload-session: the script need not exist yet.

    Answers with the hashes to upload, in buckets, and a token for the upload; if nothing is missing, with the
    completion token.
    """
    body = call.fields(_invalid)
    script_name = call.path["script_name"]
    check_name(script_name)
    entries = _manifest(body)
    async with call.cloud.change() as change:
        manifest_id = asset_manifests.insert(change.db, script_name, entries)
    buckets = _buckets(asset_manifests.missing(call.cloud.db, manifest_id))
    token = asset_tokens.issue(call.cloud.asset_token_key, manifest_id, "upload" if buckets else "completion")
    return Reply({"jwt": token, "buckets": buckets})


async def upload(call: Call) -> Reply:
    """POST /workers/assets/upload?base64=true: a form with one part for each file: its hash, and its content in base64.

    It takes the session's token. When nothing is missing any more, it answers 201 with the completion token.
    """
    manifest_id = _session(call)
    if call.argument("base64") != "true":
        raise ApiError(400, 10021, "Invalid asset upload: expected ?base64=true, and contents in base64")
    contents = _contents(read_parts(call), asset_manifests.sizes(call.cloud.db, manifest_id))
    async with call.cloud.change() as change:  # so that the files are not deleted as unused meanwhile
        digests = await asyncio.to_thread(call.cloud.asset_files.store, contents.values())
        named = zip(contents.items(), digests, strict=True)
        files = [File(name, len(content), sha256) for (name, content), sha256 in named]
        asset_manifests.remember(change.db, files)
        asset_manifests.prolong(change.db, manifest_id)
    if asset_manifests.missing(call.cloud.db, manifest_id):
        return Reply({}, status=_ACCEPTED)
    token = asset_tokens.issue(call.cloud.asset_token_key, manifest_id, "completion")
    return Reply({"jwt": token}, status=_CREATED)


def _session(call: Call) -> str:
    """Return the manifest for which a token allows uploads. Raises ApiError; its text is ours."""
    try:
        manifest_id = asset_tokens.read(call.cloud.asset_token_key, call.bearer, "upload")
    except asset_tokens.TokenError as error:
        raise ApiError(401, 10000, f"Authentication error: {error}") from error
    if not asset_manifests.exists(call.cloud.db, manifest_id):
        raise ApiError(401, 10000, "Authentication error: the upload session is over")
    return manifest_id


def _manifest(body: Fields) -> list[Entry]:
    manifest = body.fields("manifest")
    if manifest is None:
        raise body.wrong("manifest", "Required")
    if len(manifest.values) > MAX_FILES:
        raise body.wrong("manifest", f"at most {MAX_FILES:,} files, received {len(manifest.values):,}")
    entries = [_entry(manifest, path) for path in manifest.values]
    folders = {folder for entry in entries for folder in _folders(entry.path)}
    for entry in entries:
        if entry.path in folders:
            raise manifest.wrong(entry.path, "a file here cannot have the path of a folder of others")
    return entries


def _entry(manifest: Fields, path: str) -> Entry:
    if not is_safe(path) or path in _RESERVED:
        raise manifest.wrong(ascii(path), "not a path that a file can have here")
    part = manifest.fields(path)
    if part is None:
        raise manifest.wrong(path, "Expected object, received null")
    name, size = part.required_text("hash"), part.integer("size", 0, MAX_FILE_BYTES)
    if not _HASH.fullmatch(name):
        raise part.wrong("hash", f"Expected 32 hexadecimal digits, received '{name}'")
    if size is None:
        raise part.wrong("size", "Required")
    return Entry(path, name, size)


def _folders(path: str) -> list[str]:
    names = path.split("/")[:-1]
    return ["/".join(names[:count]) for count in range(2, len(names) + 1)]


def _buckets(missing: list[tuple[str, int]]) -> list[list[str]]:
    buckets: list[list[str]] = []
    room = 0
    for name, size in missing:
        if size > room or len(buckets[-1]) == _BUCKET_FILES:
            buckets.append([])
            room = _BUCKET_BYTES
        buckets[-1].append(name)
        room -= size
    return buckets


def _contents(parts: list[Part], sizes: dict[str, set[int]]) -> dict[str, bytes]:
    """Read the files of a form, by hash. Raises ApiError for a file whose hash or size is not in the manifest."""
    found: dict[str, bytes] = {}
    for part in parts:
        if part.name not in sizes:
            raise _invalid(part.name, "the manifest has no file with this hash")
        try:
            content = base64.b64decode(part.content, validate=True)
        except binascii.Error as error:
            raise _invalid(part.name, "Invalid base64") from error
        if len(content) not in sizes[part.name]:
            raise _invalid(part.name, f"{len(content)} bytes are not the size that the manifest says")
        found[part.name] = content
    return found


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid asset upload: {path or 'body'}: {problem}")  # ours


ROUTES = (
    Route("POST", "/accounts/{account_id}/workers/scripts/{script_name}/assets-upload-session", begin),
    Route("POST", "/accounts/{account_id}/workers/assets/upload", upload, own_token=True),
)

"""Static assets of a version: the files that it serves, and their configuration.

https://developers.cloudflare.com/workers/static-assets/direct-upload/; fields as in the API reference. Texts marked
(quoted) are texts of the real API that public code quotes; the other texts, and all codes, are ours.
"""

import json
import sqlite3
from typing import Any

from local.api.envelope import ApiError, Json
from local.api.fields import Fields, type_name
from local.products.assets import manifests as asset_manifests
from local.products.assets import tokens as asset_tokens
from local.products.assets.files import site_name
from local.products.assets.manifests import Site
from local.products.assets.rules import check_rules

_HTML_HANDLING = ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")
_NOT_FOUND_HANDLING = ("none", "404-page", "single-page-application")
_TEXTS = ("_headers", "_redirects")
_GONE = "The manifest of these assets is gone: upload them again"

Assets = dict[str, Any]  # as stored: `site`, the folder's name; `manifest_id`; `config`, as it was sent


def are_sent(body: Fields) -> bool:
    """Tell whether an upload has files, its own or those of the previous version; a configuration is not enough."""
    part = body.fields("assets")
    return bool(body.flag("keep_assets") or (part and part.text("jwt")))


def read(db: sqlite3.Connection, token_key: bytes, body: Fields, previous: sqlite3.Row | None) -> Assets | None:
    """Read the assets of an upload; None if it has none. Raises ApiError.

    A token wins over `keep_assets`, which reuses the files of the previous version, and its configuration if the upload
    has none. A configuration alone is accepted and has no effect, as the provider's acceptance tests expect.
    """
    part = body.fields("assets") or Fields({}, body.invalid, "assets")
    kept: Assets = {} if previous is None else json.loads(previous["upload"]).get("assets") or {}
    token = part.text("jwt")
    if token:
        return _assets(db, _redeemed(db, token_key, part, token), part.fields("config"))
    if body.flag("keep_assets") and kept:
        given = part.fields("config") or Fields(kept["config"], body.invalid, "assets.config")
        return _assets(db, kept["manifest_id"], given)
    if body.flag("keep_assets"):
        raise ApiError(400, 10021, "Cannot keep assets: the previous version of this Worker has none")
    config = part.fields("config")
    if config is not None:
        _check_config(config)
    elif body.has("assets"):
        raise part.wrong("jwt", "Required, unless keep_assets is true")
    return None


def check(assets: Assets | None, bindings: list[dict[str, Any]], *, has_code: bool) -> None:
    """Refuse settings that contradict each other. Raises ApiError."""
    bound = any(binding["type"] == "assets" for binding in bindings)
    if bound and assets is None:
        raise ApiError(400, 10021, "Cannot use an assets binding without assets")  # quoted (alchemy-run/alchemy #914)
    if assets is not None and not has_code and _code_first(assets["config"]):
        raise ApiError(400, 10021, "Cannot set run_worker_first without a Worker script")


def keep(db: sqlite3.Connection, version_id: str, assets: Assets) -> None:
    """Store what a version serves. Raises ApiError if the manifest was deleted since it was read."""
    if not asset_manifests.exists(db, assets["manifest_id"]):
        raise ApiError(400, 10021, _GONE)
    asset_manifests.serve(db, version_id, Site(assets["site"], assets["manifest_id"], _texts(assets["config"])))


def describe(assets: Assets | None) -> dict[str, Json]:
    """Return a version's assets as fields of its description: the configuration, but never a token."""
    return {} if assets is None else {"assets": {"config": assets["config"]}}


def runnable(assets: Assets) -> dict[str, Json]:
    """Return the assets for the data plane; `run_worker_first` is a boolean or a list of patterns."""
    config: dict[str, Json] = assets["config"]
    names = ("html_handling", "not_found_handling", "base_path")
    return {"site": assets["site"], "run_worker_first": _code_first(config)} | {
        name: config.get(name) for name in names
    }


def _redeemed(db: sqlite3.Connection, token_key: bytes, part: Fields, token: str) -> str:
    try:
        manifest_id = asset_tokens.read(token_key, token, "completion")
    except asset_tokens.TokenError as error:
        raise part.wrong("jwt", str(error)) from error
    if not asset_manifests.exists(db, manifest_id):
        raise part.wrong("jwt", _GONE)
    return manifest_id


def _assets(db: sqlite3.Connection, manifest_id: str, config: Fields | None) -> Assets:
    if config is not None:
        _check_config(config)
    sent = {} if config is None else {name: value for name, value in config.values.items() if value is not None}
    name = site_name(asset_manifests.contents(db, manifest_id), _texts(sent))
    return {"site": name, "manifest_id": manifest_id, "config": sent}


def _code_first(config: dict[str, Json]) -> bool | list[str] | None:
    """Return which requests run code before assets are searched; `serve_directly` is the older, inverted name."""
    if config.get("run_worker_first") is None and config.get("serve_directly") is not None:
        return not config["serve_directly"]
    return config.get("run_worker_first")


def _check_config(config: Fields) -> None:
    config.choice("html_handling", _HTML_HANDLING)
    config.choice("not_found_handling", _NOT_FOUND_HANDLING)
    config.flag("serve_directly")
    for name in ("base_path", *_TEXTS):
        config.text(name)
    first = config.values.get("run_worker_first")
    if isinstance(first, list):
        check_rules(config)
    elif first is not None and not isinstance(first, bool):
        raise config.wrong("run_worker_first", f"Expected boolean or array, received {type_name(first)}")


def _texts(config: dict[str, Any]) -> dict[str, str]:
    return {name: config[name] for name in _TEXTS if config.get(name) is not None}

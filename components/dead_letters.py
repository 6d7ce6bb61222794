"""Lets the Worker read its dead-letter queue: no binding can do that, only Cloudflare's REST API with a token."""

from __future__ import annotations

import pulumi
import pulumi_cloudflare as cloudflare

from .cloudflare_api import CLOUDFLARE_API_URL
from .declaration import Bindings, Declaration, applied, readable
from .provider_settings import default_base_url

_TOKEN = "DEAD_LETTER_API_TOKEN"  # noqa: S105 a binding's name
_ACCOUNT_ID = "DEAD_LETTER_ACCOUNT_ID"
_QUEUE_ID = "DEAD_LETTER_QUEUE_ID"
_API_URL = "DEAD_LETTER_API_URL"

DEAD_LETTER_BINDINGS = frozenset({_TOKEN, _ACCOUNT_ID, _QUEUE_ID, _API_URL})


def dead_letter_bindings(declaration: Declaration, queue: cloudflare.Queue) -> Bindings:
    """Return the bindings by name; empty if the setting is unset. Only the token is a secret.

    The API's address is included if the program knows that it is not Cloudflare's own.
    """
    token = declaration.args.dead_letter_api_token
    if not isinstance(token, pulumi.Output) and not token:
        return {}
    secret: pulumi.Output[str] = pulumi.Output.secret(token)
    bindings: Bindings = {
        _TOKEN: cloudflare.WorkerVersionBindingArgs(type="secret_text", name=_TOKEN, text=secret),
        _ACCOUNT_ID: readable(_ACCOUNT_ID, declaration.args.account_id),
        _QUEUE_ID: readable(_QUEUE_ID, queue.queue_id),
    }
    settings = declaration.provider_settings
    base_url = default_base_url() if settings is None else settings["base_url"]
    if isinstance(base_url, pulumi.Output) or base_url:
        bindings[_API_URL] = readable(_API_URL, applied(base_url, lambda known: known or CLOUDFLARE_API_URL))
    return bindings

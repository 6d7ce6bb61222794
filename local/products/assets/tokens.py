"""Tokens of asset uploads: JSON Web Tokens (RFC 7519), signed with HMAC-SHA256 and a key of this instance.

A token names a manifest and a purpose, so a token for uploading cannot be used as a completion token.
"""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Literal

Use = Literal["upload", "completion"]

LIFETIME_SECONDS = 3600  # documented for both kinds (static-assets/direct-upload)

_HEADER = {"alg": "HS256", "typ": "JWT"}


class TokenError(Exception):
    """The token is not ours, has expired, or has another purpose; the message says which."""


def issue(key: bytes, manifest_id: str, use: Use) -> str:
    """Create a token, which expires after LIFETIME_SECONDS."""
    issued = int(time.time())
    claims = {"sub": manifest_id, "use": use, "iat": issued, "exp": issued + LIFETIME_SECONDS}
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_base64url(_signature(key, signed))}"


def read(key: bytes, token: str, use: Use) -> str:
    """Return the manifest that a token names. Raises TokenError."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_base64url(_signature(key, signed)).encode(), signature.encode()):
        msg = "the token's signature is not valid"
        raise TokenError(msg)
    claims = _decoded(signed.partition(".")[2])  # we signed it, so it has the claims that we put in
    if claims["exp"] <= time.time():
        msg = "the token has expired"
        raise TokenError(msg)
    if claims["use"] != use:
        msg = f"expected a token for {use}, received one for {claims['use']}"
        raise TokenError(msg)
    return str(claims["sub"])


def _signature(key: bytes, signed: str) -> bytes:
    return hmac.digest(key, signed.encode(), "sha256")


def _encoded(part: Mapping[str, str | int]) -> str:
    return _base64url(json.dumps(part, separators=(",", ":")).encode())


def _decoded(part: str) -> dict[str, Any]:
    padding = "=" * (-len(part) % 4)
    return json.loads(base64.urlsafe_b64decode(part + padding))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

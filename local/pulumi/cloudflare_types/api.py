"""Cloudflare's API through the official SDK: makes a call, and returns its result or an error for the user."""

from typing import Any, Literal, cast

import cloudflare

from local.pulumi.errors import ApiError
from local.pulumi.wire import Properties

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

# A repeatable call is tried three times in all. A POST creates a new object each time, so it is sent once.
_RETRIES = 2
# A version upload starts the Worker in a scratch runtime first.
_TIMEOUT_SECONDS = 120


class Api:
    """A client of one API, with one token."""

    def __init__(self, base_url: str, api_token: str) -> None:
        self._base_url = base_url
        self._client = cloudflare.Cloudflare(
            base_url=base_url,
            api_token=api_token,
            timeout=_TIMEOUT_SECONDS,
            http_client=cloudflare.DefaultHttpxClient(trust_env=False),  # a proxy cannot reach the loopback address
        )
        # If the environment has these, the SDK would use them instead of the token; they are only for the real
        # Cloudflare.
        self._client.api_email = self._client.api_key = self._client.user_service_key = None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, method: Method, path: str, body: object = None, query: Properties | None = None) -> Any:
        """Make a call and return the envelope's `result`. Raises ApiError."""
        options = {"params": query or {}, "max_retries": 0 if method == "POST" else _RETRIES}
        send = {
            "GET": self._client.get,
            "POST": self._client.post,
            "PUT": self._client.put,
            "PATCH": self._client.patch,
            "DELETE": self._client.delete,
        }[method]
        arguments: dict[str, Any] = {} if method == "GET" or body is None else {"body": body}
        try:
            envelope = send(path, cast_to=object, options=cast("Any", options), **arguments)
        except cloudflare.APIStatusError as error:
            raise ApiError(f"{_message(error)} [{method} {path}]", error.status_code) from error
        except cloudflare.APIError as error:
            silence = f"{self._base_url} does not answer (see `python -m local status`): {error.message}"
            raise ApiError(f"{silence} [{method} {path}]", 0) from error
        return cast("Properties", envelope).get("result") if isinstance(envelope, dict) else None


def _message(error: cloudflare.APIStatusError) -> str:
    """Return Cloudflare's own text: the messages of the envelope's errors, or else the whole body."""
    body: object = error.body
    if isinstance(body, dict):
        errors = cast("list[Properties]", cast("Properties", body).get("errors") or [])
        messages = [f"{item.get('message', '')} (code {item.get('code', '?')})" for item in errors]
        if messages:
            return "; ".join(messages)
    return f"HTTP {error.status_code}: {error.response.text.strip() or error.response.reason_phrase}"

"""A client of Cloudflare's REST API, for things that the Pulumi provider has no resource for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

CLOUDFLARE_API_URL = "https://api.cloudflare.com/client/v4"

REQUEST_TIMEOUT_SECONDS = 60
"""The slowest request is a D1 query, which has 30 s (https://developers.cloudflare.com/d1/platform/limits/)."""


class ApiError(Exception):
    """The API refused a request, or could not be reached."""


class NotFoundError(ApiError):
    """The API knows no resource at this path."""


class RefusedTokenError(ApiError):
    """The API refuses the token, or the token does not allow the request."""


class UnreachableError(ApiError):
    """The API did not answer."""


@dataclass(frozen=True)
class Credentials:
    """The caller's credentials: a token, or a key with its user's email, or a user service key; each may be empty."""

    api_token: str = ""
    api_key: str = ""
    email: str = ""
    api_user_service_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that carry the credentials, as the Cloudflare provider sends them."""
        if self.api_token:
            return {"Authorization": f"Bearer {self.api_token}"}
        if self.api_key:
            return {"X-Auth-Key": self.api_key, "X-Auth-Email": self.email}
        return {"X-Auth-User-Service-Key": self.api_user_service_key} if self.api_user_service_key else {}


PROVIDER_SETTINGS: dict[str, tuple[str, str]] = {
    "base_url": ("baseUrl", "CLOUDFLARE_BASE_URL"),
    "api_token": ("apiToken", "CLOUDFLARE_API_TOKEN"),
    "api_key": ("apiKey", "CLOUDFLARE_API_KEY"),
    "email": ("email", "CLOUDFLARE_EMAIL"),
    "api_user_service_key": ("apiUserServiceKey", "CLOUDFLARE_API_USER_SERVICE_KEY"),
}
"""The Cloudflare provider's settings for the API's address and credentials, each with its key in a stack's config and
its environment variable (https://www.pulumi.com/registry/packages/cloudflare/installation-configuration/)."""


class CloudflareApi:
    """A client of the API at one address, with one caller's credentials. A string as the credentials is a token."""

    def __init__(self, base_url: str, credentials: Credentials | str) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(base_url)  # a proxy could not reach the loopback address
        caller = Credentials(credentials) if isinstance(credentials, str) else credentials
        self._session.headers.update(caller.headers)

    @classmethod
    def from_settings(cls, get: Callable[[str], str | None]) -> CloudflareApi:
        """Read address and credentials from a provider's settings; missing ones come from the environment.

        Args:
            get: returns the value of a setting named in ``PROVIDER_SETTINGS``.
        """
        values = {name: get(name) or os.environ.get(PROVIDER_SETTINGS[name][1]) or "" for name in PROVIDER_SETTINGS}
        base_url = values.pop("base_url") or CLOUDFLARE_API_URL
        return cls(base_url, Credentials(**values))

    def get(self, path: str) -> Any:
        """Return the result of a GET.

        Raises:
            ApiError: the request failed; the subclass says how.
        """
        return self._request("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the result of a POST.

        Raises:
            ApiError: the request failed; the subclass says how.
        """
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        url = f"{self.base_url}/{path}"
        try:
            reply = self._session.request(method, url, json=body, timeout=REQUEST_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise UnreachableError(f"{self.base_url} cannot be reached: {type(error).__name__}") from error
        where = f"({method} {url}: {reply.status_code})"
        if not reply.ok:
            raise _kind_of(reply)(f"{_message(reply)} {where}")
        try:
            return reply.json()["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(f"expected Cloudflare's API, got {reply.text!r:.60} {where}") from error


LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is the loopback address."""
    return urlsplit(url).hostname in LOOPBACK_HOSTS


INVALID_REQUEST_HEADERS = 6003
"""Cloudflare's error code for a malformed token; it comes with status 400."""


def _kind_of(reply: requests.Response) -> type[ApiError]:
    if reply.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
        return RefusedTokenError
    if re.search(rf'"code":\s*{INVALID_REQUEST_HEADERS}\b', reply.text):
        return RefusedTokenError
    return NotFoundError if reply.status_code == requests.codes.not_found else ApiError


def _message(reply: requests.Response) -> str:
    """Return Cloudflare's error messages, or the whole body if it has another shape."""
    try:
        errors = [f"{error['message']} [code: {error['code']}]" for error in reply.json()["errors"]]
        return "; ".join(errors) or reply.text
    except (ValueError, KeyError, TypeError):
        return reply.text

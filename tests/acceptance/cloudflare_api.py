"""Cloudflare's REST API, as far as the acceptance suite looks at a deployment through it."""

from __future__ import annotations

from typing import Any

import requests

TIMEOUT_SECONDS = 30


class ApiError(Exception):
    """The API refused a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class CloudflareApi:
    """One account's API."""

    def __init__(self, base_url: str, token: str, account_id: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._account_url = f"{self.base_url}/accounts/{account_id}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str) -> Any:
        """Return the result of a GET below the account."""
        return self._request("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the result of a POST below the account."""
        return self._request("POST", path, body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        reply = self._session.request(method, f"{self._account_url}/{path}", json=body, timeout=TIMEOUT_SECONDS)
        if not reply.ok:
            raise ApiError(reply.status_code, reply.text)
        return reply.json()["result"]

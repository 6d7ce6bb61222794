"""A local Cloudflare that the benchmark starts for itself, and its REST API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import httpx

import local as instance
from bench.errors import MeasuredSystemError
from bench.processes import resident_bytes
from local import Instance

Json = Any

_REQUEST_SECONDS = 300  # an import of a large table takes long


class LocalCloud:
    """A running local Cloudflare with a state folder of its own. A context manager."""

    instance: Instance
    """Set once it is running."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def __enter__(self) -> Self:
        try:
            self.instance, _ = instance.start(self.state_dir, port=0)
        except BaseException:  # for an interrupt too: the server would keep running
            instance.stop(self.state_dir)
            raise
        self._http = httpx.Client(
            base_url=f"{self.instance.base_url}/accounts/{self.instance.account_id}",
            headers={"Authorization": f"Bearer {self.instance.api_token}"},
            timeout=_REQUEST_SECONDS,
            trust_env=False,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        instance.stop(self.state_dir)

    def get(self, path: str) -> Json:
        """Return the result of a GET; the path is relative to the account."""
        return self._request("GET", path, None)

    def post(self, path: str, body: Json) -> Json:
        """Return the result of a POST; the path is relative to the account."""
        return self._request("POST", path, body)

    def patch(self, path: str, body: Json) -> Json:
        """Return the result of a PATCH; the path is relative to the account."""
        return self._request("PATCH", path, body)

    def upload_script(self, name: str, code: str, bindings: list[Json]) -> None:
        """Upload and deploy a Worker of one module, as wrangler does."""
        metadata = {"main_module": "index.js", "compatibility_date": "2026-03-01", "bindings": bindings}
        files = {
            "metadata": (None, json.dumps(metadata), "application/json"),
            "index.js": ("index.js", code, "application/javascript+module"),
        }
        _checked(self._http.put(f"/workers/scripts/{name}", files=files))
        _checked(self._http.post(f"/workers/scripts/{name}/subdomain", json={"enabled": True}))

    def worker_url(self, name: str) -> str:
        """Return the address of a Worker."""
        return self.get(f"/workers/workers/{name}")["subdomain"]["url"]

    def memory_bytes(self) -> int:
        """Return the total resident memory of its processes, in bytes."""
        return resident_bytes(self.instance.pid)

    def _request(self, method: str, path: str, body: Json) -> Json:
        return _checked(self._http.request(method, path, json=body))


def _checked(reply: httpx.Response) -> Json:
    if not reply.is_success:
        raise MeasuredSystemError(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text}")
    return reply.json()["result"]

"""A client of a running instance's REST API, for the commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx

from local.cli.instance import Instance, InstanceError

_CALL_SECONDS = 20
_PAGE_SIZE = 50


class ApiClient:
    """A client of one instance. Every method raises InstanceError, with the API's own message if it refuses."""

    def __init__(self, running: Instance, *, seconds: float = _CALL_SECONDS) -> None:
        self.running = running
        self._seconds = seconds
        headers = {"Authorization": f"Bearer {running.api_token}"}
        self._http = httpx.Client(base_url=running.base_url, headers=headers, timeout=seconds, trust_env=False)

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """Find the instance of a state folder. Raises InstanceError if none is running."""
        running = Instance.find(state_dir)
        if running is None:
            msg = f"not running (state in {state_dir}): start it with `python -m local start`"
            raise InstanceError(msg)
        return cls(running)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Call a path, and return the result. It is relative to the account, or begins with a slash."""
        return self._envelope(method, path, json=body, headers=headers)["result"]

    def all(self, path: str) -> list[dict[str, Any]]:
        """Read all pages of a list."""
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            envelope = self._envelope("GET", path, params={"page": page, "per_page": _PAGE_SIZE})
            items += envelope["result"]
            if page >= envelope["result_info"]["total_pages"]:
                return items
            page += 1

    def one(self, path: str) -> Any:
        """Read one resource."""
        return self.call("GET", path)

    def _envelope(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        path = path if path.startswith("/") else f"/accounts/{self.running.account_id}/{path}"
        try:
            envelope: dict[str, Any] = self._http.request(method, path, **more).json()
        except httpx.TimeoutException as error:
            msg = f"{method} {path} got no answer in {self._seconds:g} s: see `python -m local logs`"
            raise InstanceError(msg) from error
        except (httpx.TransportError, ValueError) as error:
            msg = f"{method} {path} failed ({error}): see `python -m local logs`"
            raise InstanceError(msg) from error
        if not envelope["success"]:
            raise InstanceError("; ".join(f"{error['message']} (code {error['code']})" for error in envelope["errors"]))
        return envelope

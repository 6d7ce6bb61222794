"""A client of the account's REST API that finds fault with answers that contradict themselves."""

from __future__ import annotations

from typing import Any

import httpx

from local import Instance
from tests.faults.ledger import Ledger

_CALL_SECONDS = 30


class Cloud:
    """The account's REST API; every answer is Cloudflare's envelope, an error's too."""

    def __init__(self, instance: Instance, ledger: Ledger) -> None:
        self.ledger = ledger
        self.faults_url = f"{instance.base_url}/local/faults"
        self._http = httpx.Client(
            base_url=f"{instance.base_url}/accounts/{instance.account_id}",
            headers={"Authorization": f"Bearer {instance.api_token}"},
            timeout=_CALL_SECONDS,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; None when it was refused or nobody answered."""
        answer = self.envelope(method, path, body)
        return answer["result"] if answer is not None and answer["success"] else None

    def accepts(self, method: str, path: str, body: Any = None) -> bool:
        """Send a request, and tell whether it was acknowledged."""
        answer = self.envelope(method, path, body)
        return answer is not None and answer["success"]

    def envelope(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """Send a request and give the whole envelope; None when nobody answered."""
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.TransportError:
            return None
        try:
            answer: dict[str, Any] = reply.json()
            has_errors = bool(answer["errors"])
        except (ValueError, KeyError, TypeError):
            self.ledger.complain(f"{method} {path}: {reply.status_code} {reply.text[:200]!r} is no envelope")
            return None
        if has_errors == reply.is_success or answer["success"] != reply.is_success:
            self.ledger.complain(f"{method} {path}: {reply.status_code} {reply.text[:200]!r} contradicts itself")
        return answer

    def must(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must be answered with success."""
        answer = self.envelope(method, path, body)
        assert answer is not None, f"nobody answered {method} {path}"
        assert answer["success"], f"{method} {path}: {answer}"
        return answer["result"]

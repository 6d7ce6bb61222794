"""Raw HTTP against the local Cloudflare, and the resources that many tests need."""

import base64
import itertools
import json
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import httpx

from local.cli.instance import Instance
from tests.local import published

Json = Any
T = TypeVar("T")

_serial = itertools.count(1)

ECHO = """
export default {
  async fetch(request, env) { return Response.json({ greeting: env.GREETING ?? null }) },
  async queue(batch, env) { for (const message of batch.messages) message.ack() },
  async scheduled() {},
}
"""


def unique(prefix: str) -> str:
    """Make a name that no other test uses."""
    return f"{prefix}-{next(_serial)}"


def module(code: str = ECHO, name: str = "index.js") -> dict[str, str]:
    """Make a module as it goes up."""
    content = base64.b64encode(code.encode()).decode()
    return {"name": name, "content_type": "application/javascript+module", "content_base64": content}


def version(code: str = ECHO, **more: Json) -> dict[str, Json]:
    """Make the body of a version upload."""
    return {"main_module": "index.js", "compatibility_date": "2025-04-01", "modules": [module(code)], **more}


def form(code: str = ECHO, **metadata: Json) -> dict[str, Any]:
    """Make the form of a script's upload, as arguments of `Rest.send`."""
    known = {"main_module": "index.js", "compatibility_date": "2025-04-01"}
    return {
        "files": {
            "metadata": (None, json.dumps(known | metadata), "application/json"),
            "index.js": ("index.js", code, "application/javascript+module"),
        }
    }


def providers_worker(name: str) -> dict[str, Json]:
    """Make the body of a Worker as the Pulumi provider sends it, every default included."""
    return {
        "logpush": False,
        "name": name,
        "observability": {
            "enabled": True,
            "head_sampling_rate": 1,
            "logs": {
                "destinations": [],
                "enabled": True,
                "head_sampling_rate": 1,
                "invocation_logs": True,
                "persist": True,
            },
            "traces": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True},
        },
        "subdomain": {"enabled": True, "previews_enabled": False},
        "tags": [],
        "tail_consumers": [],
    }


def eventually(probe: Callable[[], T | None], seconds: float = 10) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + seconds
    while (answer := probe()) is None:
        assert time.monotonic() < deadline, "nothing came of it in time"
        time.sleep(0.05)
    return answer


class Rest:
    """The account's part of the API."""

    def __init__(self, cloud: Instance) -> None:
        self.account = f"/accounts/{cloud.account_id}"
        self.http = httpx.Client(
            base_url=cloud.base_url,
            headers={"Authorization": f"Bearer {cloud.api_token}"},
            timeout=60,
            trust_env=False,
            event_hooks={"response": [published.check]},
        )

        self._idle: dict[str, Json] | None = None
        self._web = httpx.Client(timeout=60, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self._web.close()

    def visit(self, url: str) -> httpx.Response:
        """Ask a Worker."""
        return self._web.get(url)

    def send(self, method: str, path: str, body: Json = None, **more: Any) -> httpx.Response:
        """Send a request; `body` becomes JSON."""
        sent = {} if body is None else {"json": body}
        return self.http.request(method, self.account + path, **sent, **more)

    def result(self, method: str, path: str, body: Json = None, **more: Any) -> Json:
        """Send a request that must succeed."""
        response = self.send(method, path, body, **more)
        assert response.status_code == 200, response.text
        envelope = response.json()
        assert envelope["success"] is True
        assert envelope["errors"] == []
        assert envelope["messages"] == []
        return envelope["result"]

    def upload(self, name: str, code: str = ECHO, *, path: str = "", query: str = "", **metadata: Json) -> Json:
        """Upload a script as wrangler does, as a form; `path` goes below the script's own."""
        return self.result(
            "PUT" if not path else "POST", f"/workers/scripts/{name}{path}{query}", **form(code, **metadata)
        )

    def refusal(self, method: str, path: str, body: Json = None, **more: Any) -> tuple[int, int, str]:
        """Send a request that must be refused: status, code and message of the one error."""
        response = self.send(method, path, body, **more)
        return refusal_of(response)

    def database(self, **more: Json) -> dict[str, Json]:
        return self.result("POST", "/d1/database", {"name": unique("db"), **more})

    def queue(self, **settings: Json) -> dict[str, Json]:
        return self.result("POST", "/queues", {"queue_name": unique("queue"), "settings": settings})

    def worker(self) -> dict[str, Json]:
        return self.result("POST", "/workers/workers", {"name": unique("worker"), "subdomain": {"enabled": True}})

    def idle_worker(self) -> dict[str, Json]:
        """Give a Worker that is never deployed, the same one every time: for requests that come to nothing."""
        self._idle = self._idle or self.worker()
        return self._idle

    def deployed_worker(self, code: str = ECHO, **more: Json) -> dict[str, Json]:
        worker = self.worker()
        path = f"/workers/workers/{worker['id']}/versions?deploy=true"
        self.result("POST", path, version(code, **more))
        return worker


def refusal_of(response: httpx.Response) -> tuple[int, int, str]:
    """Read the one error of a refused request, and check everything around it."""
    envelope = response.json()
    assert response.status_code >= 400, response.text
    assert response.headers["x-should-retry"] == "false"
    assert "\n" not in response.text
    assert envelope["success"] is False
    assert envelope["result"] is None
    assert envelope["messages"] == []
    [error] = envelope["errors"]
    return response.status_code, error["code"], error["message"]

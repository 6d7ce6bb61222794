"""Asks an account and a local Cloudflare the same things, and tells where their answers differ."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from local import Instance, start, stop

NOBODY = "f" * 32
NO_UUID = "00000000-0000-4000-8000-000000000000"
REQUEST_SECONDS = 60


@dataclass(frozen=True)
class Difference:
    """One answer that is not the same."""

    question: str
    account: str
    local: str


Shape = dict[str, Any]
"""An answer without its values: status, error codes, and the types of what the result has."""


def differences(base_url: str, api_token: str, account_id: str) -> list[Difference]:
    """Ask both. What is made is under a random name, and deleted in any case."""
    theirs = answers(base_url, api_token, account_id)
    with _local() as instance:
        ours = answers(instance.base_url, instance.api_token, instance.account_id)
    return compare(theirs, ours)


def compare(theirs: dict[str, Shape], ours: dict[str, Shape]) -> list[Difference]:
    """Tell which answers differ."""
    return [
        Difference(question, _written(theirs[question]), _written(ours[question]))
        for question in theirs
        if theirs[question] != ours[question]
    ]


def table(found: Sequence[Difference]) -> str:
    """Write the differences as Markdown."""
    rows = "".join(f"| {each.question} | {each.account} | {each.local} |\n" for each in found)
    head = "| question | the account | the local Cloudflare |\n| --- | --- | --- |\n"
    return head + rows if found else "The account and the local Cloudflare gave the same answers."


def answers(base_url: str, api_token: str, account_id: str) -> dict[str, Shape]:
    """Ask everything of one API."""
    name = f"diff-{secrets.token_hex(4)}"
    headers = {"Authorization": f"Bearer {api_token}"}
    url = f"{base_url.rstrip('/')}/accounts/{account_id}/"
    with httpx.Client(base_url=url, headers=headers, timeout=REQUEST_SECONDS) as http:
        found: dict[str, Shape] = {}

        def ask(question: str, method: str, path: str, body: Any = None) -> Any:
            reply = http.request(method, path, json=body)
            found[question] = _shape(reply)
            return reply.json().get("result") if reply.is_success else None

        for question, path in {
            "a queue that is not there": f"queues/{NOBODY}",
            "a database that is not there": f"d1/database/{NO_UUID}",
            "a namespace that is not there": f"storage/kv/namespaces/{NOBODY}",
            "a Worker that is not there": f"workers/workers/{name}",
            "a Workflow that is not there": f"workflows/{name}",
        }.items():
            ask(question, "GET", path)
        ask("a queue without a name", "POST", "queues", {})
        ask("a database without a name", "POST", "d1/database", {})
        _queue(ask, name)
        _database(ask, name)
        _namespace(ask, name)
    return found


def _queue(ask: Any, name: str) -> None:
    queue = ask("a new queue", "POST", "queues", {"queue_name": name})
    if queue is None:
        return
    path = f"queues/{queue['queue_id']}"
    try:
        ask("a queue of a name that is taken", "POST", "queues", {"queue_name": name})
        ask("a message", "POST", f"{path}/messages", {"body": {"a": 1}, "content_type": "json"})
        ask("a pull without a pull consumer", "POST", f"{path}/messages/pull", {"batch_size": 1})
        ask("a pull consumer", "POST", f"{path}/consumers", {"type": "http_pull", "settings": {"batch_size": 5}})
        ask("a second consumer", "POST", f"{path}/consumers", {"type": "http_pull"})
        ask("a delay that is too long", "POST", f"{path}/messages", {"body": 1, "delay_seconds": 1_000_000})
    finally:
        ask("the end of a queue", "DELETE", path)


def _database(ask: Any, name: str) -> None:
    database = ask("a new database", "POST", "d1/database", {"name": name})
    if database is None:
        return
    path = f"d1/database/{database['uuid']}"
    try:
        ask("a table", "POST", f"{path}/query", {"sql": "CREATE TABLE t (a INTEGER, b TEXT)"})
        ask("a row", "POST", f"{path}/query", {"sql": "INSERT INTO t VALUES (?, ?) RETURNING *", "params": [1, "x"]})
        ask("a statement that is wrong", "POST", f"{path}/query", {"sql": "SELEC 1"})
        ask("a table that is not there", "POST", f"{path}/query", {"sql": "SELECT * FROM nope"})
        ask("too few parameters", "POST", f"{path}/query", {"sql": "SELECT ?1, ?2", "params": [1]})
    finally:
        ask("the end of a database", "DELETE", path)


def _namespace(ask: Any, name: str) -> None:
    namespace = ask("a new namespace", "POST", "storage/kv/namespaces", {"title": name})
    if namespace is None:
        return
    path = f"storage/kv/namespaces/{namespace['id']}"
    try:
        ask("a namespace of a title that is taken", "POST", "storage/kv/namespaces", {"title": name})
        ask("the keys of an empty namespace", "GET", f"{path}/keys")
        ask("a key that is not there", "GET", f"{path}/values/nope")
    finally:
        ask("the end of a namespace", "DELETE", path)


def _shape(reply: httpx.Response) -> Shape:
    try:
        body: Any = reply.json()
    except ValueError:
        return {"status": reply.status_code, "body": "no JSON"}
    errors: list[dict[str, Any]] = body.get("errors") or []
    return {
        "status": reply.status_code,
        "errors": [each.get("code") for each in errors],
        "result": types_of(body.get("result")),
    }


def types_of(value: Any) -> Any:
    """Give the types that a value is made of: of a list, those of its first item."""
    if isinstance(value, dict):
        return {str(key): types_of(each) for key, each in sorted(cast("dict[str, Any]", value).items())}
    if isinstance(value, list):
        return [types_of(each) for each in cast("list[Any]", value)[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _written(shape: Shape) -> str:
    return str(shape).replace("|", "\\|")


@contextmanager
def _local() -> Generator[Instance]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        instance, _ = start(state, 0)
        try:
            yield instance
        finally:
            stop(state)

"""Hyperdrive: configurations by REST and through the SDK, and a Worker's way to a database."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.local.rest import Rest, eventually, unique

CONFIGS = "/hyperdrive/configs"
ORIGIN = {"scheme": "postgres", "host": "db.example.com", "database": "app", "user": "me", "password": "se/cret"}

ASKING = """
export default { async fetch(request, env) {
  const socket = env.DB.connect()
  const writer = socket.writable.getWriter()
  await writer.write(new TextEncoder().encode("hello"))
  const { value } = await socket.readable.getReader().read()
  const { user, password, database } = env.DB
  return Response.json({ said: new TextDecoder().decode(value), user, password, database })
} }
"""


def new_config(rest: Rest, **origin: Any) -> dict[str, Any]:
    return rest.result("POST", CONFIGS, {"name": unique("hyperdrive"), "origin": ORIGIN | origin})


def _sdk_config(w: Any) -> Any:
    return w.sdk.hyperdrive.configs.create(account_id=w.account, name=unique("sdk"), origin=ORIGIN | {"port": 5432})


# Each is called once by test_python_sdk.py, with its World, and gives whether the reply is right.
SDK_CALLS: dict[str, Callable[[Any], bool]] = {
    "hyperdrive.configs.create": lambda w: _sdk_config(w).origin.port == 5432,
    "hyperdrive.configs.list": lambda w: [one.id for one in w.sdk.hyperdrive.configs.list(account_id=w.account)] != [],
    "hyperdrive.configs.get": lambda w: (
        w.sdk.hyperdrive.configs.get(new_config(w.rest)["id"], account_id=w.account).origin.host == ORIGIN["host"]
    ),
    "hyperdrive.configs.update": lambda w: (
        w.sdk.hyperdrive.configs.update(
            new_config(w.rest)["id"], account_id=w.account, name=unique("sdk"), origin=ORIGIN | {"port": 1}
        ).origin.port
        == 1
    ),
    "hyperdrive.configs.edit": lambda w: (
        w.sdk.hyperdrive.configs.edit(
            new_config(w.rest)["id"], account_id=w.account, origin={"host": "other", "port": 2}
        ).origin.host
        == "other"
    ),
    "hyperdrive.configs.delete": lambda w: (
        w.sdk.hyperdrive.configs.delete(new_config(w.rest)["id"], account_id=w.account) is None
    ),
    "hyperdrive.configs.restart": lambda w: (
        w.sdk.hyperdrive.configs.restart(new_config(w.rest)["id"], account_id=w.account).restarted_on is not None
    ),
}


@contextmanager
def echoing_database() -> Generator[tuple[int, list[bytes]]]:
    """Answer each connection with what it says first."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(100))
                    connection.sendall(heard[-1].upper())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def bound(rest: Rest, config_id: str) -> str:
    """Deploy a Worker that asks the database, and give its address."""
    binding = {"type": "hyperdrive", "name": "DB", "id": config_id}
    return rest.deployed_worker(ASKING, bindings=[binding])["subdomain"]["url"]


def ask(rest: Rest, url: str) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        response = rest.visit(url)
        return response.json() if response.status_code == 200 else None

    return eventually(probe)


def test_a_config_is_complete_and_keeps_its_secret(rest: Rest) -> None:
    made = new_config(rest)
    assert made["origin"] == {name: value for name, value in ORIGIN.items() if name != "password"} | {"port": 5432}
    assert (made["caching"], made["origin_connection_limit"]) == ({"disabled": False}, 60)
    assert rest.result("GET", f"{CONFIGS}/{made['id']}") == made
    assert made in rest.result("GET", f"{CONFIGS}?per_page=1000")


def test_an_edit_keeps_what_it_does_not_name(rest: Rest) -> None:
    made = new_config(rest)
    path = f"{CONFIGS}/{made['id']}"
    edited = rest.result("PATCH", path, {"name": "", "origin": {"user": "you"}, "caching": {"max_age": 5}})
    assert edited["name"] == made["name"]
    assert edited["origin"] == made["origin"] | {"user": "you"}
    assert edited["caching"] == {"disabled": False, "max_age": 5}
    off = rest.result("PATCH", path, {"caching": {"disabled": True, "max_age": 5}})
    assert off["caching"] == {"disabled": True}, "its times are not kept"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"origin": ORIGIN}, (400, 2008)),
        ({"name": "n"}, (400, 2008)),
        ({"name": "n", "origin": ORIGIN | {"scheme": "oracle"}}, (400, 2008)),
        ({"name": "n", "origin": ORIGIN | {"port": 0}}, (400, 2008)),
        ({"name": "n", "origin": ORIGIN, "origin_connection_limit": 101}, (400, 2008)),
        ({"name": "n", "origin": ORIGIN | {"access_client_id": "i"}}, (501, 2008)),
        ({"name": "n", "origin": ORIGIN | {"service_id": "s"}}, (501, 2008)),
        ({"name": "n", "origin": ORIGIN, "mtls": {"sslmode": "require"}}, (501, 2008)),
        ({"name": "n", "integration": {"provider": "planetscale"}}, (501, 2008)),
    ],
)
def test_what_does_not_fit_or_cannot_be_here_is_refused(
    rest: Rest, body: dict[str, Any], refusal: tuple[int, int]
) -> None:
    assert rest.refusal("POST", CONFIGS, body)[:2] == refusal


def test_a_name_is_taken_once_and_a_config_goes(rest: Rest) -> None:
    made, other = new_config(rest), new_config(rest)
    body = {"name": made["name"], "origin": ORIGIN}
    assert rest.refusal("POST", CONFIGS, body)[:2] == (409, 2017)
    assert rest.refusal("PATCH", f"{CONFIGS}/{other['id']}", {"name": made["name"]})[:2] == (409, 2017)
    rest.result("DELETE", f"{CONFIGS}/{made['id']}")
    for method in ("GET", "DELETE"):
        assert rest.refusal(method, f"{CONFIGS}/{made['id']}")[:2] == (404, 2016)


def test_a_binding_needs_its_config(rest: Rest) -> None:
    worker = rest.worker()
    version = {
        "main_module": "index.js",
        "compatibility_date": "2026-01-01",
        "bindings": [{"type": "hyperdrive", "name": "DB", "id": "0" * 32}],
    }
    assert rest.refusal("POST", f"/workers/workers/{worker['id']}/versions", version)[:2] == (400, 10021)


def test_the_database_may_be_on_this_machine(rest: Rest) -> None:
    with echoing_database() as (port, heard):
        config = new_config(rest, host="127.0.0.1", port=port)
        assert heard == [], "nobody connects before a Worker does"
        answer = ask(rest, bound(rest, config["id"]))
    assert answer["said"] == "HELLO"
    assert (answer["user"], answer["password"], answer["database"]) == ("me", "se/cret", "app")


def test_each_connection_is_one_to_the_database(rest: Rest) -> None:
    with echoing_database() as (port, heard):
        url = bound(rest, new_config(rest, host="127.0.0.1", port=port)["id"])
        for _ in range(3):
            assert ask(rest, url)["said"] == "HELLO"
    assert heard == [b"hello"] * 3


def test_an_edit_reaches_a_deployed_worker(rest: Rest) -> None:
    with echoing_database() as (port, _), echoing_database() as (second, heard):
        config = new_config(rest, host="127.0.0.1", port=port)
        url = bound(rest, config["id"])
        ask(rest, url)
        rest.result("PATCH", f"{CONFIGS}/{config['id']}", {"origin": {"port": second}})
        ask(rest, url)
    assert heard == [b"hello"]

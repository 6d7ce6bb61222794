"""Tails: who may listen, what they hear, and what filters leave out."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudflare import Cloudflare
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from local.api.web_socket import Masker
from local.cli.instance import Instance
from local.products.tails.filters import passes
from local.products.tails.subscribers import Event
from tests.local.rest import Rest, eventually, unique

CODE = """
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname
    console.log("asked for", path, { deep: [1] })
    if (path === "/throw") throw new TypeError("no such thing")
    return new Response("ok", { status: 201 })
  },
}
"""
TAIL_WORKER = """
let heard = []
export default {
  fetch: () => Response.json(heard),
  tail(events) {
    for (const { outcome, logs, event } of events) heard.push([outcome, logs[0].message[1], event.response?.status])
  },
}
"""
SECONDS = 5  # an event comes within milliseconds


@contextmanager
def listening(rest: Rest, name: str, *filters: dict[str, Any]) -> Generator[ClientConnection]:
    tail = rest.result("POST", f"/workers/scripts/{name}/tails", {"filters": filters})
    with connect(tail["url"], subprotocols=["trace-v1"], proxy=None) as socket:  # pyright: ignore[reportArgumentType]
        yield socket


def heard(socket: ClientConnection) -> Event:
    return json.loads(socket.recv(timeout=SECONDS))


@pytest.fixture(scope="module")
def spoken(rest: Rest) -> tuple[str, str]:
    """Deploy the Worker that all of these listen to: its name and its address."""
    name = unique("talker")
    rest.upload(name, CODE)
    return name, rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def test_live_through_the_sdk(sdk: Cloudflare, cloud: Instance, spoken: tuple[str, str]) -> None:
    tails, account = sdk.workers.scripts.tail, cloud.account_id
    made = tails.create(spoken[0], account_id=account)
    assert made is not None
    assert made.url.startswith(f"ws://127.0.0.1:{cloud.port}/")
    left = datetime.fromisoformat(made.expires_at) - datetime.now(UTC)
    assert timedelta(hours=5) < left <= timedelta(hours=6)  # recorded: six hours
    tails.delete(made.id, account_id=account, script_name=spoken[0])
    tails.delete(made.id, account_id=account, script_name=spoken[0])


def test_an_invocation_is_heard_as_it_was(rest: Rest, spoken: tuple[str, str]) -> None:
    name, url = spoken
    with listening(rest, name) as socket:
        assert socket.subprotocol == "trace-v1"
        rest.visit(f"{url}/here?x=1")
        event = heard(socket)
        assert (event["outcome"], event["scriptName"]) == ("ok", name)
        assert event["event"]["request"]["url"] == f"{url}/here?x=1"
        assert event["event"]["request"]["method"] == "GET"
        assert event["event"]["response"] == {"status": 201}
        assert [(log["level"], log["message"]) for log in event["logs"]] == [
            ("log", ["asked for", "/here", {"deep": [1]}])
        ]
        [deployment, *_] = rest.result("GET", f"/workers/scripts/{name}/deployments")["deployments"]
        assert event["scriptVersion"] == {"id": deployment["versions"][0]["version_id"]}
        rest.visit(f"{url}/throw")
        event = heard(socket)
        assert event["outcome"] == "exception"
        assert [(one["name"], one["message"]) for one in event["exceptions"]] == [("TypeError", "no such thing")]


def test_a_tail_goes_on_through_a_deployment(rest: Rest) -> None:
    name = unique("talker")
    rest.upload(name, CODE)
    url = rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]
    with listening(rest, name) as socket:
        rest.upload(name, CODE.replace("asked for", "now asked for"))
        rest.visit(url)
        assert heard(socket)["logs"][0]["message"][0] == "now asked for"


def test_filters_leave_out_the_rest(rest: Rest, spoken: tuple[str, str]) -> None:
    name, url = spoken
    with listening(rest, name, {"outcome": ["exception"]}, {"query": "/throw"}) as socket:
        rest.visit(f"{url}/quiet")
        rest.visit(f"{url}/throw")
        assert heard(socket)["outcome"] == "exception"


def test_each_hears_for_itself_and_is_forgotten_when_it_goes(rest: Rest, spoken: tuple[str, str]) -> None:
    name, url = spoken
    with listening(rest, name) as one, listening(rest, name, {"method": ["POST"]}) as other:
        assert len(rest.result("GET", f"/workers/scripts/{name}/tails")) == 2
        rest.visit(url)
        assert heard(one)["outcome"] == "ok"
        with pytest.raises(TimeoutError):
            other.recv(timeout=0.3)
    eventually(lambda: rest.result("GET", f"/workers/scripts/{name}/tails") == [] or None)


def test_two_connections_of_one_tail_hear_each_event(rest: Rest, spoken: tuple[str, str]) -> None:
    name, url = spoken
    tail = rest.result("POST", f"/workers/scripts/{name}/tails", {"filters": []})
    with connect(tail["url"], proxy=None) as stays:
        with connect(tail["url"], proxy=None) as goes:
            rest.visit(f"{url}/both")
            assert heard(stays) == heard(goes)
        rest.visit(f"{url}/one")
        assert heard(stays)["event"]["request"]["url"] == f"{url}/one"
    eventually(lambda: rest.result("GET", f"/workers/scripts/{name}/tails") == [] or None)


@pytest.mark.parametrize("said", [b"bytes", "text", b""])
def test_what_a_client_says_has_no_effect(rest: Rest, spoken: tuple[str, str], said: bytes | str) -> None:
    name, url = spoken
    with listening(rest, name) as socket:
        socket.send(said)
        rest.visit(f"{url}/after")
        assert heard(socket)["event"]["request"]["url"] == f"{url}/after"


def test_wranglers_unmasked_first_message_is_taken(rest: Rest, spoken: tuple[str, str]) -> None:
    name, url = spoken
    with listening(rest, name) as socket:
        socket.socket.sendall(Frame(Opcode.TEXT, b'{"debug":false}').serialize(mask=False))
        socket.send("masked, as it should be")
        rest.visit(url)
        assert heard(socket)["outcome"] == "ok"


def test_frames_may_be_cut_anywhere() -> None:
    frames = [Frame(Opcode.BINARY, bytes([size % 256]) * size) for size in (0, 1, 125, 126, 70_000)]
    stream = b"".join(frame.serialize(mask=False) for frame in frames)
    whole = Masker().feed(stream)
    masker = Masker()
    assert b"".join(masker.feed(stream[at : at + 7]) for at in range(0, len(stream), 7)) == whole
    masked = b"".join(frame.serialize(mask=True) for frame in frames)
    assert Masker().feed(masked) == masked


def test_who_does_not_know_the_address_hears_nothing(cloud: Instance, rest: Rest, spoken: tuple[str, str]) -> None:
    tail = rest.result("POST", f"/workers/scripts/{spoken[0]}/tails")
    for address in (f"ws://127.0.0.1:{cloud.port}/tails/guess", f"{tail['url']}x"):
        with pytest.raises(InvalidStatus, match="404"):
            connect(address, proxy=None)
    with pytest.raises(InvalidStatus, match="403"):
        connect(tail["url"], proxy=None, origin="https://example.com")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "one", [{"sampling_rate": 2}, {"outcome": "ok"}, {"method": [1]}, {"header": {}}, {"colour": "red"}, {"query": 1}]
)
def test_a_filter_that_does_not_fit_is_refused(rest: Rest, spoken: tuple[str, str], one: dict[str, Any]) -> None:
    refusal = rest.refusal("POST", f"/workers/scripts/{spoken[0]}/tails", {"filters": [one]})
    assert refusal[:2] == (400, 10026)


def test_nobody_has_no_tail(rest: Rest) -> None:
    assert rest.refusal("POST", "/workers/scripts/nobody/tails")[:2] == (404, 10007)
    assert rest.refusal("GET", "/workers/scripts/nobody/tails")[:2] == (404, 10007)


EVENT: Event = {
    "outcome": "ok",
    "scriptVersion": {"id": "v1"},
    "logs": [{"message": ["a", {"key": "value"}]}],
    "event": {"request": {"method": "GET", "headers": {"x-kind": "a test", "cf-connecting-ip": "127.0.0.1"}}},
}
SCHEDULED = EVENT | {"event": {"cron": "* * * * *"}}


@pytest.mark.parametrize(
    ("one", "event", "expected"),
    [
        ({}, EVENT, True),
        ({"sampling_rate": 1}, EVENT, True),
        ({"sampling_rate": 0}, EVENT, False),
        ({"outcome": ["ok", "canceled"]}, EVENT, True),
        ({"outcome": ["exception"]}, EVENT, False),
        ({"method": ["GET"]}, EVENT, True),
        ({"method": ["GET"]}, SCHEDULED, False),
        ({"header": {"key": "X-Kind", "query": ""}}, EVENT, True),
        ({"header": {"key": "X-Kind", "query": "test"}}, EVENT, True),
        ({"header": {"key": "X-Kind", "query": "toast"}}, EVENT, False),
        ({"header": {"key": "X-Other", "query": ""}}, EVENT, False),
        ({"client_ip": ["self"]}, EVENT, True),
        ({"client_ip": ["127.0.0.1"]}, EVENT, True),
        ({"client_ip": ["10.0.0.1"]}, EVENT, False),
        ({"client_ip": ["self"]}, SCHEDULED, False),
        ({"query": "value"}, EVENT, True),
        ({"query": "other"}, EVENT, False),
        ({"scriptVersion": "v1"}, EVENT, True),
        ({"scriptVersion": "v2"}, EVENT, False),
        ({"query": "value", "method": ["POST"]}, EVENT, False),
    ],
)
def test_what_a_filter_lets_pass(one: dict[str, Any], event: Event, expected: bool) -> None:
    assert passes(event, [{}, one]) is expected


def test_a_tail_worker_is_told_of_each_invocation(rest: Rest) -> None:
    listener = rest.deployed_worker(TAIL_WORKER)
    name = unique("talker")
    consumers = [{"service": consumer} for consumer in (listener["name"], name)]
    rest.upload(name, CODE, tail_consumers=consumers)
    url = rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]
    for path in ("/a", "/throw"):
        rest.visit(url + path)
    heard = [["ok", "/a", 201], ["exception", "/throw", None]]
    eventually(lambda: rest.visit(listener["subdomain"]["url"]).json() == heard or None)
    again = rest.deployed_worker(TAIL_WORKER)
    rest.result("PATCH", f"/workers/scripts/{name}/script-settings", {"tail_consumers": [{"service": again["name"]}]})
    rest.visit(url + "/b")
    eventually(lambda: rest.visit(again["subdomain"]["url"]).json() == [["ok", "/b", 201]] or None)


def test_a_tail_worker_has_to_be_there(rest: Rest) -> None:
    """The code and the text are those that a user met (workers-sdk issue 8275)."""
    refusal = (400, 10203, "Tail Worker does not exist on this account. Check the Worker name and try again.")
    listener, name = rest.deployed_worker(TAIL_WORKER), unique("talker")
    script, nobody = f"/workers/scripts/{name}/script-settings", {"tail_consumers": [{"name": "nobody"}]}
    assert rest.refusal("POST", "/workers/workers", {"name": name, **nobody}) == refusal
    rest.upload(name, CODE, tail_consumers=[{"service": listener["name"]}])
    worker = f"/workers/workers/{name}"
    assert rest.refusal("PATCH", script, nobody) == rest.refusal("PATCH", worker, nobody) == refusal
    rest.result("DELETE", f"/workers/scripts/{listener['name']}?force=true")
    assert rest.result("PATCH", worker, {"logpush": True})["tail_consumers"] == [{"name": listener["name"]}]

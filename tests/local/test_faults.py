"""Faults on request: by REST, by the command line, in `status`, and as a deployed Worker meets them."""

import argparse
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from local.cli import faults
from local.cli.instance import Instance
from local.products.faults.kinds import PRODUCTS
from tests.local.rest import Json, Rest, eventually, refusal_of, unique

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "bad-day.md"
FAST_SECONDS = 0.05  # for setting and clearing; a fault run does both between its requests

WRITER = """
const shown = (error) => Response.json({ ...error, error: error.message })
export default { async fetch(request, env) {
  try {
    switch (new URL(request.url).pathname) {
      case "/read": return Response.json(await env.DB.prepare("SELECT count(*) AS count FROM rows").first())
      case "/write": await env.DB.prepare("INSERT INTO rows VALUES (1)").run(); break
      case "/put": await env.KV.put("key", "value"); break
      case "/send": await env.QUEUE.send({}); break
    }
    return Response.json({})
  } catch (error) { return shown(error) }
} }
"""


@pytest.fixture(autouse=True)
def _good_day(rest: Rest) -> Generator[None]:
    """End all faults after each test: the instance is that of all tests."""
    yield
    rest.http.delete("/local/faults")


class Stage:
    """A Worker with a database, a queue and a namespace of its own."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self.database = rest.database()
        self.queue = rest.queue()
        self.namespace = rest.result("POST", "/storage/kv/namespaces", {"title": unique("faults")})
        create = {"sql": "CREATE TABLE rows (value INTEGER)"}
        rest.result("POST", f"/d1/database/{self.database['uuid']}/query", create)
        bindings = [
            {"type": "d1", "name": "DB", "id": self.database["uuid"]},
            {"type": "queue", "name": "QUEUE", "queue_name": self.queue["queue_name"]},
            {"type": "kv_namespace", "name": "KV", "namespace_id": self.namespace["id"]},
        ]
        self.worker = rest.deployed_worker(WRITER, bindings=bindings)
        eventually(lambda: self.ask("/read") or None)

    def ask(self, path: str) -> Json:
        return self._rest.visit(self.worker["subdomain"]["url"] + path).json()


@pytest.fixture(scope="module")
def stage(rest: Rest) -> Stage:
    return Stage(rest)


def fault(rest: Rest, product: str, error: str, **more: Json) -> Json:
    """Set a fault that must be taken."""
    answer = rest.http.post("/local/faults", json={"product": product, "error": error, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def listed(rest: Rest) -> list[Json]:
    return rest.http.get("/local/faults").json()["result"]


def refused(rest: Rest, **body: Json) -> tuple[int, int, str]:
    return refusal_of(rest.http.post("/local/faults", json=body))


def cli(cloud: Instance, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", *arguments, "--state", str(cloud.state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def test_a_worker_meets_it_until_it_is_cleared(rest: Rest, stage: Stage) -> None:
    set_fault = fault(rest, "d1", "overloaded", resource=stage.database["name"], seed=7)
    assert set_fault["resource"] == {"id": stage.database["uuid"], "name": stage.database["name"]}
    expected = {"error": "D1_ERROR: D1 DB is overloaded. Requests queued for too long."}
    assert [stage.ask("/read"), stage.ask("/write"), stage.ask("/send")] == [expected, expected, {}]
    assert [(one["id"], one["calls"], one["faults"]) for one in listed(rest)] == [(set_fault["id"], 2, 2)]

    cleared = rest.http.delete(f"/local/faults/{set_fault['id']}").json()["result"]
    assert (cleared["calls"], cleared["faults"], cleared["seed"]) == (2, 2, 7)
    assert stage.ask("/read") == {"count": 0}
    assert listed(rest) == []


def test_a_lost_reply_is_that_of_a_statement_that_ran(rest: Rest, stage: Stage) -> None:
    before = stage.ask("/read")["count"]
    fault(rest, "d1", "reply-lost", on="write", nth=2)
    told = [stage.ask("/write") for _ in range(3)]
    assert told == [{}, {"error": "D1_ERROR: Network connection lost."}, {}]
    assert stage.ask("/read")["count"] == before + 3


def test_a_full_database_can_be_read(rest: Rest, stage: Stage) -> None:
    fault(rest, "d1", "full")
    assert stage.ask("/write") == {"error": "D1_ERROR: Exceeded maximum DB size"}
    assert "count" in stage.ask("/read")


def test_it_is_over_at_its_time_and_still_counted(rest: Rest, stage: Stage) -> None:
    fault(rest, "queues", "too-many-requests", for_seconds=0.5)
    assert stage.ask("/send") == {"error": "Queue send failed: Too Many Requests"}
    eventually(lambda: stage.ask("/send") == {} or None)
    (over,) = listed(rest)
    assert over["status"] == "over"
    assert over["calls"] == over["faults"] >= 1


def test_a_key_takes_one_write_a_second(rest: Rest, stage: Stage) -> None:
    limit = fault(rest, "kv", "write-limit", resource=stage.namespace["id"])
    assert (limit["per_second"], limit["rate"], limit["nth"]) == (1, None, None)
    assert [stage.ask("/put"), stage.ask("/put")] == [{}, {"error": "KV PUT failed: 429 Too Many Requests"}]
    eventually(lambda: stage.ask("/put") == {} or None)


def test_the_same_seed_hits_the_same_calls(rest: Rest, stage: Stage) -> None:
    def hits(**more: Json) -> tuple[int, list[bool]]:
        seed = fault(rest, "queues", "error", rate=0.5, **more)["seed"]
        found = ["error" in stage.ask("/send") for _ in range(20)]
        rest.http.delete("/local/faults")
        return seed, found

    seed, first = hits()
    assert any(first)
    assert not all(first)
    assert hits(seed=seed) == (seed, first)


def test_setting_and_clearing_are_fast(rest: Rest, stage: Stage) -> None:
    def fastest(body: Json) -> float:
        times: list[float] = []
        for _ in range(15):
            started = time.monotonic()
            fault(rest, **body)
            rest.http.delete("/local/faults")
            times.append((time.monotonic() - started) / 2)
        return min(times)

    stage.ask("/read")
    assert fastest({"product": "d1", "error": "reset"}) < FAST_SECONDS
    assert fastest({"product": "durable-objects", "error": "code-updated"}) < FAST_SECONDS


def test_a_deployment_ends_no_fault_and_no_count(rest: Rest, stage: Stage) -> None:
    fault(rest, "queues", "error", nth=3)
    assert stage.ask("/send") == {}
    rest.deployed_worker()
    assert [stage.ask("/send"), "error" in stage.ask("/send")] == [{}, True]
    assert [(one["calls"], one["faults"]) for one in listed(rest)] == [(3, 1)]


def test_every_kind_is_taken_and_told_of(rest: Rest) -> None:
    kinds = rest.http.get("/local/faults/kinds").json()["result"]
    assert {(kind["product"], kind["error"]) for kind in kinds} == {
        (name, error) for name, product in PRODUCTS.items() for error in product.kinds
    }
    for kind in kinds:
        latency = {"latency_ms": [1, 2]} if kind["error"] == "latency" else {}
        set_fault = fault(rest, kind["product"], kind["error"], for_seconds=0, **latency)
        assert set_fault["message"] == kind["message"]
        if kind["product"] == "worker":
            assert set_fault["latency_ms"] == [0, 1000]
    assert len(listed(rest)) == len(kinds)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "product: Required"),
        ({"product": "d2", "error": "reset"}, "product: Invalid enum value. Expected 'd1' | 'kv' | "),
        ({"product": "d1"}, "error: Required"),
        ({"product": "d1", "error": "on fire"}, "error: Invalid enum value. Expected 'overloaded' | "),
        ({"product": "d1", "error": "reset", "rate": 1.5}, "rate: Number must be less than or equal to 1"),
        ({"product": "d1", "error": "reset", "nth": 0}, "nth: Number must be greater than or equal to 1"),
        ({"product": "d1", "error": "reset", "nth": 1, "rate": 1}, "nth: Expected either rate or nth, received both"),
        ({"product": "d1", "error": "reset", "per_second": 1}, "per_second: Only a limit has it"),
        ({"product": "kv", "error": "write-limit", "rate": 1}, "rate: A limit hits what is above it"),
        ({"product": "kv", "error": "write-limit", "on": "get"}, "on: Invalid enum value. Expected 'put', received"),
        ({"product": "queues", "error": "error", "on": ["send", "ack"]}, "on: Invalid enum value. Expected 'send' | "),
        ({"product": "d1", "error": "latency"}, "latency_ms: Required"),
        ({"product": "d1", "error": "latency", "latency_ms": [9, 1]}, "latency_ms: Expected a number or [lowest, "),
        ({"product": "d1", "error": "reset", "seed": -1}, "seed: Number must be greater than or equal to 0"),
        ({"product": "d1", "error": "reset", "for_seconds": "60s"}, "for_seconds: Expected number, received string"),
        ({"product": "d1", "error": "reset", "sead": 7}, "sead: Unknown field. Expected "),
    ],
)
def test_what_does_not_fit_is_refused(rest: Rest, body: Json, problem: str) -> None:
    status, code, message = refused(rest, **body)
    assert (status, code) == (400, 1400)
    assert message.startswith(problem)


def test_the_page_has_every_kind_and_its_examples_work(cloud: Instance, rest: Rest, stage: Stage) -> None:
    page = PAGE.read_text()
    for name, product in PRODUCTS.items():
        table = page.partition(f"| `{name}` |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`|nothing, later) \|", table, re.MULTILINE)
        assert dict(rows) == {error: kind.message for error, kind in product.kinds.items()}
    parser = argparse.ArgumentParser()
    faults.add_parser(parser.add_subparsers())
    examples = re.findall(r"^\$ python -m local (faults set .*)$", page, re.MULTILINE)
    assert {example.split()[2] for example in examples} == set(PRODUCTS)
    for example in examples:
        words = shlex.split(example.replace("my-consumer", stage.worker["name"]))
        arguments = parser.parse_args([*words, "--state", str(cloud.state_dir)])
        assert arguments.run(arguments) == 0
    assert len(listed(rest)) == len(examples)


def test_a_resource_must_be_there(rest: Rest, stage: Stage) -> None:
    status, code, message = refused(rest, product="queues", error="error", resource="nowhere")
    assert (status, code) == (404, 1404)
    assert stage.queue["queue_name"] in message
    assert refusal_of(rest.http.delete("/local/faults/none"))[:2] == (404, 1404)


def test_it_needs_the_token(cloud: Instance) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert httpx.request(method, f"{cloud.base_url}/local/faults", trust_env=False).status_code == 400


def test_the_command_line(cloud: Instance, rest: Rest, stage: Stage) -> None:
    name = stage.database["name"]
    options = ["--rate", "0.5", "--seed", "7", "--for", "1h", "--resource", name, "--on", "read", "--on", "write"]
    done = cli(cloud, "faults", "set", "d1", "--error", "latency", "--latency-ms", "1-2", *options)
    assert done.returncode == 0, done.stderr
    (set_fault,) = listed(rest)
    assert (set_fault["rate"], set_fault["seed"], set_fault["on"]) == (0.5, 7, ["read", "write"])
    assert set_fault["latency_ms"] == [1, 2]
    stage.ask("/read")

    shown = cli(cloud, "faults", "list").stdout
    assert shown.startswith(f"{set_fault['id']}  d1 latency of {name} on read, write  rate 0.5, seed 7, after 1-2 ms")
    assert "of 1 calls" in shown
    assert f"Faults on request:\n  {set_fault['id']}" in cli(cloud, "status").stdout

    assert cli(cloud, "faults", "clear", set_fault["id"]).stdout.startswith(f"cleared  {set_fault['id']}")
    assert cli(cloud, "faults", "list").stdout == "no faults\n"
    assert cli(cloud, "faults", "clear").stdout == "no faults\n"
    assert "Faults on request: none" in cli(cloud, "status").stdout
    assert "write-limit" in cli(cloud, "faults", "kinds", "kv").stdout


def test_the_command_line_says_what_is_wrong(cloud: Instance) -> None:
    done = cli(cloud, "faults", "set", "d1", "--error", "nothing")
    assert (done.returncode, done.stderr.startswith("error: error: Invalid enum value.")) == (1, True)
    assert "expected a time such as" in cli(cloud, "faults", "set", "d1", "--error", "reset", "--for", "soon").stderr
    assert cli(cloud, "faults", "kinds", "d2").stderr.startswith("error: expected one of d1, durable-objects")

"""A wrangler project with routes and custom domains deploys as it is, once its zone is there."""

import json
from typing import Any

import httpx
import pytest

from local.cli.adopt import adopt
from local.cli.api_client import ApiClient
from local.cli.instance import Instance
from tests.local.rest import Rest
from tests.wrangler.wrangler_cli import Wrangler

NAME = "zoned"
ZONE = "example.com"
CODE = "export default { fetch: (request) => new Response('at ' + request.url) }"
ROUTES: list[Any] = [
    f"www.{ZONE}/tasks/*",
    {"pattern": f"*.{ZONE}/images/*", "zone_name": ZONE},
    {"pattern": f"app.{ZONE}", "custom_domain": True},
]


@pytest.fixture(scope="module")
def zone_id(cloud: Instance) -> str:
    with ApiClient(cloud) as api:
        return adopt(api, "zone", ZONE, "a" * 32)


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder = tmp_path_factory.mktemp("zoned")
    (folder / "index.js").write_text(CODE)
    return Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))


def write_config(wrangler: Wrangler, routes: list[Any], **more: Any) -> None:
    config = {"name": NAME, "main": "index.js", "compatibility_date": "2026-03-01", "routes": routes, **more}
    (wrangler.folder / "wrangler.json").write_text(json.dumps(config))


def ask(rest: Rest, host: str, path: str) -> httpx.Response:
    url = rest.result("GET", f"/workers/workers/{NAME}")["subdomain"]["url"]
    return httpx.get(f"{url}{path}", headers={"Host": host}, trust_env=False)


def places(rest: Rest, zone_id: str) -> tuple[set[str], set[str]]:
    """Name the Worker's routes and its custom domains."""
    routes = rest.http.get(f"/zones/{zone_id}/workers/routes").json()["result"]
    domains = rest.result("GET", f"/workers/domains?service={NAME}")
    return {route["pattern"] for route in routes if route["script"] == NAME}, {one["hostname"] for one in domains}


def test_what_has_no_zone_is_told(wrangler: Wrangler) -> None:
    write_config(wrangler, ["www.example.org/*"])
    assert "Could not find zone for `www.example.org`" in wrangler.fails("deploy")
    write_config(wrangler, ["www.example.org/*"], workers_dev=True)  # then wrangler does not look first
    said = wrangler.fails("deploy")
    assert "There is no zone for www.example.org: create it with `python -m local adopt zone NAME`" in said


def test_routes_and_a_custom_domain(wrangler: Wrangler, rest: Rest, zone_id: str) -> None:
    write_config(wrangler, ROUTES)
    said = wrangler("deploy")
    for told in (f"www.{ZONE}/tasks/*", f"*.{ZONE}/images/* (zone name: {ZONE})", f"app.{ZONE} (custom domain"):
        assert told in said
    assert places(rest, zone_id) == ({f"www.{ZONE}/tasks/*", f"*.{ZONE}/images/*"}, {f"app.{ZONE}"})
    assert ask(rest, f"app.{ZONE}", "/any?a=1").text == f"at http://app.{ZONE}/any?a=1"
    assert ask(rest, f"www.{ZONE}", "/tasks/1").text == f"at http://www.{ZONE}/tasks/1"
    assert ask(rest, f"any.{ZONE}", "/images/cat.png").status_code == 200
    assert ask(rest, f"www.{ZONE}", "/other").status_code == 404


def test_what_is_taken_out_goes_with_the_next_deployment(wrangler: Wrangler, rest: Rest, zone_id: str) -> None:
    write_config(wrangler, [ROUTES[0], {"pattern": f"new.{ZONE}", "custom_domain": True}], workers_dev=False)
    wrangler("deploy")
    assert places(rest, zone_id) == ({f"www.{ZONE}/tasks/*"}, {f"new.{ZONE}"})
    by_id = {"pattern": f"www.{ZONE}/*", "zone_id": zone_id}
    write_config(wrangler, [by_id, {"pattern": f"new.{ZONE}", "custom_domain": True, "zone_id": zone_id}])
    wrangler("triggers", "deploy")
    assert places(rest, zone_id) == ({f"www.{ZONE}/*"}, {f"new.{ZONE}"})


def test_another_worker_s_route_is_not_taken(wrangler: Wrangler) -> None:
    assert '"zoned" is already assigned to routes' in wrangler.fails("deploy", "--name", "other-zoned")
    write_config(wrangler, [f"www.{ZONE}/*"], workers_dev=True)
    said = wrangler.fails("deploy", "--name", "other-zoned")
    assert "workers.api.error.duplicate_route [code: 10020]" in said


def test_the_worker_of_a_route_is_tailed_by_it(wrangler: Wrangler) -> None:
    with wrangler.start("tail", f"www.{ZONE}/*", "--format", "pretty") as tail:
        assert tail.stdout is not None
        heard = iter(tail.stdout.readline, "")
        try:
            assert any(f"Connected to {NAME}, waiting for logs" in line for line in heard)
        finally:
            tail.kill()


def test_they_go_with_the_worker(wrangler: Wrangler, rest: Rest, zone_id: str) -> None:
    wrangler("delete", "--name", NAME)
    assert places(rest, zone_id) == (set(), set())

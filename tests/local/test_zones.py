"""Zones, with the routes and custom domains of Workers: by REST, through the SDK, and by Host at a Worker's port."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.cli import adopt
from local.cli.api_client import ApiClient
from local.cli.instance import Instance
from tests.local.rest import Json, Rest, refusal_of, unique

SHOWS_ITS_MARK = "export default { fetch(request, env) { return new Response(env.MARK + ' ' + request.url) } }"

FETCHES = """
export default {
  async fetch(request) {
    const url = new URL(request.url).searchParams.get('url');
    return fetch(url).catch((error) => new Response(`not reached: ${error}`));
  },
};
"""
"""Fetches what it is told to. Names of example.com end at no address."""


def new_zone(rest: Rest) -> dict[str, Any]:
    body = {"name": f"{unique('zone')}.example.com", "account": {"id": rest.account.rpartition("/")[2]}}
    return outside(rest, "POST", "/zones", body)


def outside(rest: Rest, method: str, path: str, body: Any = None) -> Any:
    """Call what is under no account."""
    response = rest.http.request(method, path, **({} if body is None else {"json": body}))
    assert response.status_code == 200, response.text
    return response.json()["result"]


def refused(rest: Rest, method: str, path: str, body: Any = None) -> tuple[int, int, str]:
    return refusal_of(rest.http.request(method, path, json=body))


def new_route(rest: Rest, zone: dict[str, Any], pattern: str, script: str | None) -> dict[str, Any]:
    body = {"pattern": pattern, **({"script": script} if script else {})}
    return outside(rest, "POST", f"/zones/{zone['id']}/workers/routes", body)


def new_domain(rest: Rest, zone: dict[str, Any], service: str) -> dict[str, Any]:
    hostname = f"{unique('app')}.{zone['name']}"
    return rest.result("PUT", "/workers/domains", {"hostname": hostname, "service": service})


def marked(rest: Rest) -> dict[str, Any]:
    """Deploy a Worker that tells its name."""
    worker = rest.worker()
    binding = {"type": "plain_text", "name": "MARK", "text": worker["name"]}
    rest.upload(worker["name"], SHOWS_ITS_MARK, bindings=[binding])
    return worker


@pytest.fixture(scope="module")
def one(rest: Rest) -> Json:
    return marked(rest)


@pytest.fixture(scope="module")
def other(rest: Rest) -> Json:
    return marked(rest)


def ask(worker: dict[str, Any], address: str, **headers: str) -> httpx.Response:
    """Ask for an address at a Worker's port, as a client does that was told to find the name there."""
    host, _, path = address.partition("/")
    with httpx.Client(trust_env=False) as web:
        return web.get(f"{worker['subdomain']['url']}/{path}", headers={"Host": host, **headers})


def _route(w: Any) -> Json:
    zone = new_zone(w.rest)
    return new_route(w.rest, zone, f"{zone['name']}/sdk/*", w.script) | {"zone_id": zone["id"]}


def _domain(w: Any) -> Json:
    return new_domain(w.rest, new_zone(w.rest), w.script)


def _sdk_route(w: Any) -> bool:
    zone = new_zone(w.rest)
    pattern = f"{zone['name']}/sdk/*"
    return w.sdk.workers.routes.create(zone_id=zone["id"], pattern=pattern, script=w.script).pattern == pattern


def _sdk_domain(w: Any) -> bool:
    zone = new_zone(w.rest)
    hostname = f"sdk.{zone['name']}"
    made = w.sdk.workers.domains.update(
        account_id=w.account, hostname=hostname, service=w.script, zone_id=zone["id"], zone_name=zone["name"]
    )
    return (made.hostname, made.service, made.zone_name) == (hostname, w.script, zone["name"])


def _ids(listed: Any) -> list[str]:
    return [one.id for one in listed]


# Each is called once by test_python_sdk.py, with its World, and gives whether the reply is right.
SDK_CALLS: dict[str, Callable[[Any], bool]] = {
    "zones.create": lambda w: (
        w.sdk.zones.create(account={"id": w.account}, name=f"{unique('sdk')}.example.com").status == "active"
    ),
    "zones.list": lambda w: (
        _ids(w.sdk.zones.list(name=(zone := new_zone(w.rest))["name"], match="all")) == [zone["id"]]
    ),
    "zones.get": lambda w: w.sdk.zones.get(zone_id=(zone := new_zone(w.rest))["id"]).name == zone["name"],
    "zones.edit": lambda w: w.sdk.zones.edit(zone_id=new_zone(w.rest)["id"], paused=True).paused is True,
    "zones.delete": lambda w: w.sdk.zones.delete(zone_id=(zone := new_zone(w.rest))["id"]).id == zone["id"],
    "workers.routes.create": _sdk_route,
    "workers.routes.list": lambda w: (
        _ids(w.sdk.workers.routes.list(zone_id=(made := _route(w))["zone_id"])) == [made["id"]]
    ),
    "workers.routes.get": lambda w: (
        w.sdk.workers.routes.get((made := _route(w))["id"], zone_id=made["zone_id"]).script == w.script
    ),
    "workers.routes.update": lambda w: (
        w.sdk.workers.routes.update((made := _route(w))["id"], zone_id=made["zone_id"], pattern=made["pattern"]).script
        is None
    ),
    "workers.routes.delete": lambda w: (
        w.sdk.workers.routes.delete((made := _route(w))["id"], zone_id=made["zone_id"]).id == made["id"]
    ),
    "workers.domains.update": _sdk_domain,
    "workers.domains.list": lambda w: (
        _ids(w.sdk.workers.domains.list(account_id=w.account, zone_id=(made := _domain(w))["zone_id"])) == [made["id"]]
    ),
    "workers.domains.get": lambda w: (
        w.sdk.workers.domains.get((made := _domain(w))["id"], account_id=w.account).hostname == made["hostname"]
    ),
    "workers.domains.delete": lambda w: (
        w.sdk.workers.domains.delete(_domain(w)["id"], account_id=w.account) is not None
    ),
}


def test_a_zone_is_there_once(rest: Rest, cloud: Instance) -> None:
    name = f"{unique('once')}.example.com"
    with ApiClient(cloud) as api:
        zone_id = adopt.adopt(api, "zone", name.upper(), None)
    zone = outside(rest, "GET", f"/zones/{zone_id}")
    assert (zone["name"], zone["status"], zone["account"]["id"]) == (name, "active", cloud.account_id)
    body = {"name": name, "account": {"id": cloud.account_id}}
    assert refused(rest, "POST", "/zones", body) == (400, 1061, f"{name} already exists")
    assert outside(rest, "DELETE", f"/zones/{zone_id}") == {"id": zone_id}
    assert refused(rest, "GET", f"/zones/{zone_id}")[:2] == (404, 1001)
    assert refused(rest, "GET", "/zones/example.com")[:2] == (404, 7003)


@pytest.mark.parametrize("name", ["example", "*.example.com", "exa mple.com", "-a.example.com", "a" * 64 + ".com"])
def test_a_name_has_a_form(rest: Rest, cloud: Instance, name: str) -> None:
    status, code, said = refused(rest, "POST", "/zones", {"name": name, "account": {"id": cloud.account_id}})
    assert (status, code) == (400, 1004)
    assert name in said


def test_another_account_has_no_zones_here(rest: Rest) -> None:
    body = {"name": "other.example.com", "account": {"id": "f" * 32}}
    assert refused(rest, "POST", "/zones", body) == (403, 10000, "Authentication error")


@pytest.mark.parametrize("kind", ["secondary", "internal"])
def test_other_types_of_zones_are_refused(rest: Rest, cloud: Instance, kind: str) -> None:
    body = {"name": "typed.example.com", "account": {"id": cloud.account_id}, "type": kind}
    assert refused(rest, "POST", "/zones", body)[0] == 501


def test_zones_are_found(rest: Rest, cloud: Instance) -> None:
    first, second = new_zone(rest), new_zone(rest)

    def found(query: str) -> list[str]:
        listed = outside(rest, "GET", f"/zones?per_page=50&{query}")
        return [zone["id"] for zone in listed if zone["id"] in (first["id"], second["id"])]

    both = [zone["id"] for zone in sorted((first, second), key=lambda zone: zone["name"])]
    assert found(f"name={first['name']}&account.id={cloud.account_id}") == [first["id"]]
    assert found(f"name=starts_with:{second['name']}") == [second["id"]]
    assert found(f"name=not_equal:{first['name']}") == [second["id"]]
    assert found("status=active&type=full,partial") == both
    assert found("order=name&direction=desc") == both[::-1]
    assert found("type=partial") == []
    assert found(f"name={first['name']}&status=pending") == []
    assert found(f"name={first['name']}&status=pending&match=any") == [first["id"]]
    assert refused(rest, "GET", "/zones?name=like:x")[:2] == (400, 1004)


def test_the_most_specific_route_wins(rest: Rest, one: Json, other: Json) -> None:
    """The rules by themselves are tested in tests/data_plane/hosts.test.js."""
    zone = new_zone(rest)
    name = zone["name"]
    new_route(rest, zone, f"*{name}/*", one["name"])
    new_route(rest, zone, f"www.{name}/images/*", other["name"])
    new_route(rest, zone, f"www.{name}/images/none*", None)
    assert ask(other, f"{name}/images/cat.png").text == f"{one['name']} http://{name}/images/cat.png"
    assert ask(one, f"www.{name}/images/cat.png").text.startswith(other["name"])
    assert ask(one, f"www.{name}/images/nonesuch").status_code == 404


def test_a_domain_takes_all_paths_and_a_route_goes_before_it(rest: Rest, one: Json, other: Json) -> None:
    zone, origin, router = new_zone(rest), one, other
    domain = new_domain(rest, zone, origin["name"])
    host = domain["hostname"]
    assert (domain["zone_id"], domain["zone_name"], domain["environment"]) == (zone["id"], zone["name"], "production")
    assert ask(router, f"{host}/any/path").text == f"{origin['name']} http://{host}/any/path"
    new_route(rest, zone, f"{host}/auth*", router["name"])
    bypass = new_route(rest, zone, f"{host}/auth/none", None)
    assert ask(origin, f"{host}/auth").text.startswith(router["name"])
    assert ask(origin, f"{host}/auth/none").text.startswith(origin["name"])
    assert ask(origin, f"{host}/auth", **{"Sec-Fetch-Site": "cross-site"}).status_code == 200
    path = f"/zones/{zone['id']}/workers/routes/{bypass['id']}"
    assert refused(rest, "PUT", path, {"pattern": f"{host}/auth*"})[1] == 10020
    outside(rest, "PUT", path, {"pattern": f"{host}/auth/none", "script": router["name"]})
    assert ask(origin, f"{host}/auth/none").text.startswith(router["name"])


def test_a_name_that_is_nobodys_is_refused(rest: Rest, one: Json) -> None:
    zone, worker = new_zone(rest), one
    assert ask(worker, f"{zone['name']}/").status_code == 403
    domain = new_domain(rest, zone, worker["name"])
    assert ask(worker, f"{domain['hostname']}/").status_code == 200
    outside(rest, "PATCH", f"/zones/{zone['id']}", {"paused": True})
    assert ask(worker, f"{domain['hostname']}/").status_code == 403
    outside(rest, "PATCH", f"/zones/{zone['id']}", {"paused": False})
    assert ask(worker, f"{domain['hostname']}/").status_code == 200
    outside(rest, "DELETE", f"/zones/{zone['id']}")
    assert ask(worker, f"{domain['hostname']}/").status_code == 403
    assert rest.refusal("GET", f"/workers/domains/{domain['id']}")[0] == 404


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("example.org/*", "Route pattern must include zone name: "),
        ("*ample.com/*", "Route pattern must include zone name: "),
        ("{name}/?query", "Route pattern should not have query parameters "),
        ("{name}/*.jpg", "Route pattern may only contain wildcards at the beginning of the hostname"),
        ("a*.{name}/", "Route pattern may only contain wildcards at the beginning of the hostname"),
        ("a b.{name}/", "Could not understand route pattern "),
        ("{name}:8787/*", "Route pattern must include zone name: "),
    ],
)
def test_a_pattern_has_a_form(rest: Rest, pattern: str, said: str) -> None:
    zone = new_zone(rest)
    body = {"pattern": pattern.format(name=zone["name"])}
    status, code, message = refused(rest, "POST", f"/zones/{zone['id']}/workers/routes", body)
    assert (status, code) == (400, 10022)
    assert message.startswith(said)


def test_a_pattern_is_there_once_and_its_worker_exists(rest: Rest) -> None:
    zone, name = new_zone(rest), rest.idle_worker()["name"]
    new_route(rest, zone, f"{zone['name']}/*", name)
    for same in (f"{zone['name']}/*", f"{zone['name'].upper()}/*"):
        body = {"pattern": same, "script": name}
        told = refused(rest, "POST", f"/zones/{zone['id']}/workers/routes", body)
        assert told == (409, 10020, "workers.api.error.duplicate_route")
    body = {"pattern": f"{zone['name']}/other", "script": unique("absent")}
    assert refused(rest, "POST", f"/zones/{zone['id']}/workers/routes", body)[:2] == (400, 10019)
    assert refused(rest, "GET", f"/zones/{zone['id']}/workers/routes/{'0' * 32}")[:2] == (404, 10009)


def test_routes_and_domains_go_with_their_worker(rest: Rest) -> None:
    zone, worker = new_zone(rest), rest.worker()
    new_route(rest, zone, f"{zone['name']}/*", worker["name"])
    domain = new_domain(rest, zone, worker["name"])
    [told] = rest.result("GET", f"/workers/workers/{worker['id']}")["references"]["domains"]
    assert (told["hostname"], told["certificate_id"]) == (domain["hostname"], domain["cert_id"])
    rest.result("DELETE", f"/workers/workers/{worker['id']}")
    assert outside(rest, "GET", f"/zones/{zone['id']}/workers/routes") == []
    assert rest.result("GET", f"/workers/domains?zone_id={zone['id']}") == []


def test_a_domain_goes_over_to_another_worker(rest: Rest, one: Json, other: Json) -> None:
    zone = new_zone(rest)
    domain = new_domain(rest, zone, one["name"])
    same = rest.result("PUT", "/workers/domains", {"hostname": domain["hostname"], "service": one["name"]})
    assert same == domain
    moved = rest.result("PUT", "/workers/domains", {"hostname": domain["hostname"], "service": other["name"]})
    assert moved["service"] == other["name"]
    assert rest.refusal("DELETE", f"/workers/domains/{domain['id']}")[0] == 404, "of whoever had it before"
    assert ask(one, f"{domain['hostname']}/").text.startswith(other["name"])
    outside(rest, "DELETE", f"/zones/{zone['id']}")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"hostname": "app.example.org"}, 400),
        ({"hostname": "*.{zone}"}, 400),
        ({"hostname": "{zone}/path"}, 400),
        ({"hostname": "app.{zone}", "zone_name": "example.com"}, 400),
        ({"hostname": "app.{zone}", "zone_id": "0" * 32}, 404),
        ({"hostname": "app.{zone}", "service": "absent"}, 404),
        ({"hostname": "app.{zone}", "environment": "staging"}, 501),
        ({"hostname": "app.{zone}", "previews_enabled": True}, 501),
    ],
)
def test_a_domain_that_does_not_fit_is_refused(rest: Rest, more: dict[str, Any], status: int) -> None:
    zone = new_zone(rest)
    body = {"service": rest.idle_worker()["name"], **more}
    body["hostname"] = body["hostname"].format(zone=zone["name"])
    assert rest.refusal("PUT", "/workers/domains", body)[0] == status
    assert rest.result("GET", f"/workers/domains?zone_id={zone['id']}") == []


def test_wrangler_puts_all_routes_of_a_worker(rest: Rest, one: Json, other: Json) -> None:
    zone, second = new_zone(rest), new_zone(rest)
    kept, going = (new_route(rest, zone, f"{zone['name']}/{path}", one["name"]) for path in ("kept", "going"))
    taken = new_route(rest, second, f"{second['name']}/*", other["name"])
    path = f"/workers/scripts/{one['name']}/routes"
    wanted = [{"pattern": kept["pattern"]}, {"pattern": f"*.{second['name']}/new", "zone_id": second["id"]}]
    assert rest.result("PUT", path, wanted) == [route["pattern"] for route in wanted]
    found = {
        route["pattern"]: route["id"]
        for part in (zone, second)
        for route in outside(rest, "GET", f"/zones/{part['id']}/workers/routes")
        if route["script"] == one["name"]
    }
    assert set(found) == {route["pattern"] for route in wanted}
    assert found[kept["pattern"]] == kept["id"]
    assert going["pattern"] not in found
    assert rest.refusal("PUT", path, [{"pattern": taken["pattern"]}])[:2] == (409, 10020)
    assert rest.refusal("PUT", path, [{"pattern": "example.org/*"}])[:2] == (400, 1001)
    assert rest.refusal("PUT", path, {"pattern": "example.org/*"})[:2] == (400, 10026)
    for part in (zone, second):
        outside(rest, "DELETE", f"/zones/{part['id']}")


def test_wrangler_is_told_what_would_change(rest: Rest, other: Json) -> None:
    zone, mine = new_zone(rest), marked(rest)
    kept, going, taken = (new_domain(rest, zone, service["name"]) for service in (mine, mine, other))
    new = f"new.{zone['name']}"
    origins = [{"hostname": hostname} for hostname in (kept["hostname"], taken["hostname"], new)]
    path = f"/workers/scripts/{mine['name']}/domains"
    changes = rest.result("POST", f"{path}/changeset?replace_state=true", origins)
    assert [one["hostname"] for one in changes["added"]] == [new]
    assert [one["id"] for one in changes["removed"]] == [going["id"]]
    assert {one["id"]: one["modified"] for one in changes["updated"]} == {kept["id"]: False, taken["id"]: True}
    assert changes["conflicting"] == []
    assert rest.result("POST", f"{path}/changeset", origins)["removed"] == []
    status, _, said = rest.refusal("PUT", f"{path}/records", {"origins": origins})
    assert status == 409
    assert taken["hostname"] in said
    assert rest.result("GET", f"/workers/domains/records/{taken['id']}")["service"] == other["name"]
    rest.result("PUT", f"{path}/records", {"origins": origins, "override_existing_origin": True})
    listed = rest.result("GET", f"/workers/domains/records?service={mine['name']}")
    assert sorted(one["hostname"] for one in listed) == sorted((kept["hostname"], taken["hostname"], new))
    off = [{"hostname": new, "enabled": False}]
    rest.result("PUT", f"{path}/records", {"origins": off, "override_existing_origin": True})
    assert ask(mine, f"{new}/").status_code == 403


def test_the_scheme_of_a_pattern_is_not_looked_at(rest: Rest, one: Json) -> None:
    zone, worker = new_zone(rest), one
    new_route(rest, zone, f"https://{zone['name']}/*", worker["name"])
    assert ask(worker, f"{zone['name']}/").status_code == 200


def test_a_zone_has_no_dns(rest: Rest) -> None:
    zone = new_zone(rest)
    assert refused(rest, "GET", f"/zones/{zone['id']}/dns_records")[0] == 501
    assert (zone["status"], zone["activated_on"]) == ("active", zone["created_on"])


def test_a_worker_does_not_reach_another_one_by_its_domain(rest: Rest, one: Json) -> None:
    zone, port = new_zone(rest), one["subdomain"]["url"].rpartition(":")[2]
    hostname = new_domain(rest, zone, one["name"])["hostname"]
    assert ask(one, f"{hostname}/").status_code == 200, "who is told where it is gets there"
    worker = rest.worker()
    rest.upload(worker["name"], FETCHES)
    for url in (f"http://{hostname}/", f"http://{hostname}:{port}/"):
        told = rest.visit(f"{worker['subdomain']['url']}/?url={url}").text
        assert told != f"{one['name']} {url}", told
        assert told.startswith("not reached: "), told

"""Versions under names of their own: VERSION-NAME.localhost and ALIAS-NAME.localhost, on any Worker's port."""

from typing import Any

import httpx
import pytest

from tests.local.rest import Rest, form, unique, version

SHOWS_ITS_MARK = "export default { fetch(request, env) { return new Response(env.MARK + new URL(request.url).host) } }"


def mark(text: str) -> list[dict[str, str]]:
    return [{"type": "plain_text", "name": "MARK", "text": text}]


def ask(url: str, host: str, **more: Any) -> httpx.Response:
    with httpx.Client(trust_env=False) as web:
        return web.request(more.pop("method", "GET"), url, headers={"Host": host, **more.pop("headers", {})}, **more)


@pytest.fixture(scope="module")
def name(rest: Rest) -> str:
    """Deploy a Worker with previews."""
    name = unique("previewed")
    rest.upload(name, SHOWS_ITS_MARK, bindings=mark("live "))
    rest.result("POST", f"/workers/scripts/{name}/subdomain", {"enabled": True, "previews_enabled": True})
    return name


def subdomain(rest: Rest, name: str) -> dict[str, Any]:
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]


def upload(rest: Rest, name: str, text: str, **annotations: str) -> dict[str, Any]:
    given = {f"workers/{key}": value for key, value in annotations.items()}
    return rest.upload(name, SHOWS_ITS_MARK, path="/versions", bindings=mark(text), annotations=given)


def test_a_version_answers_under_its_own_name(rest: Rest, name: str) -> None:
    uploaded = upload(rest, name, "first ")
    assert uploaded["metadata"]["has_preview"] is True
    told = subdomain(rest, name)
    host = f"{uploaded['id'][:8]}{told['preview_url_suffix']}"
    assert ask(told["url"], host).text == f"first {host}"
    assert ask(told["url"], host.upper()).text.startswith("first ")
    assert rest.visit(told["url"]).text.startswith("live ")
    assert ask(told["url"], f"{name}.localhost").text.startswith("live ")
    [listed] = [v for v in rest.result("GET", f"/workers/workers/{name}/versions") if v["id"] == uploaded["id"]]
    assert listed["urls"] == [f"http://{host}"]


def test_any_port_knows_all_names(rest: Rest, name: str) -> None:
    uploaded = upload(rest, name, "elsewhere ")
    other = rest.deployed_worker()
    host = f"{uploaded['id'][:8]}-{name}.localhost"
    assert ask(other["subdomain"]["url"], host).text.startswith("elsewhere ")


def test_an_alias_moves_to_the_version_that_names_it_last(rest: Rest, name: str) -> None:
    url = subdomain(rest, name)["url"]
    upload(rest, name, "one ", alias="staging")
    assert ask(url, f"staging-{name}.localhost").text.startswith("one ")
    upload(rest, name, "two ", alias="staging")
    assert ask(url, f"staging-{name}.localhost").text.startswith("two ")


@pytest.mark.parametrize("alias", ["Staging", "1st", "a_b", "-a", "a-", "a.b", "x" * 60])
def test_an_alias_must_be_part_of_a_name(rest: Rest, name: str, alias: str) -> None:
    refused = form(SHOWS_ITS_MARK, bindings=mark(""), annotations={"workers/alias": alias})
    assert rest.refusal("POST", f"/workers/scripts/{name}/versions", **refused)[:2] == (400, 10021)


def test_previews_can_be_switched_off(rest: Rest) -> None:
    name = unique("private")
    rest.upload(name, SHOWS_ITS_MARK, bindings=mark("live "))
    uploaded = upload(rest, name, "hidden ")
    url = subdomain(rest, name)["url"]
    assert ask(url, f"{uploaded['id'][:8]}-{name}.localhost").text.startswith("live ")
    [listed, _] = rest.result("GET", f"/workers/workers/{name}/versions")
    assert listed["urls"] == []


def test_a_worker_with_durable_objects_has_none(rest: Rest) -> None:
    name = unique("stateful")
    code = "export class A { fetch() {} }; export default { fetch() { return new Response('live') } }"
    rest.upload(name, code, migrations={"new_tag": "v1", "new_sqlite_classes": ["A"]})
    rest.result("POST", f"/workers/scripts/{name}/subdomain", {"enabled": True, "previews_enabled": True})
    uploaded = rest.upload(name, code, path="/versions")
    assert uploaded["metadata"]["has_preview"] is False
    assert ask(subdomain(rest, name)["url"], f"{uploaded['id'][:8]}-{name}.localhost").text == "live"


def test_props_arrive_at_the_entrypoint(rest: Rest) -> None:
    target, caller = unique("target"), unique("caller")
    code = (
        'import { WorkerEntrypoint } from "cloudflare:workers"\n'
        "export class Api extends WorkerEntrypoint { whoami() { return this.ctx.props } }\n"
        "export class Über extends WorkerEntrypoint { whoami() { return ['Über', this.ctx.props] } }\n"
        "class Quoted extends WorkerEntrypoint { whoami() { return ['quoted', this.ctx.props] } }\n"
        'export { Quoted as "any name: 1/2" }\n'
        "export default class extends WorkerEntrypoint { whoami() { return ['default', this.ctx.props] } }"
    )
    rest.upload(target, code)
    props = {"tenant": "t1", "nested": {"list": [1, None, "é"]}}
    services = [
        {"type": "service", "name": "API", "service": target, "entrypoint": "Api", "props": props},
        {"type": "service", "name": "PLAIN", "service": target, "entrypoint": "Api"},
        {"type": "service", "name": "UMLAUT", "service": target, "entrypoint": "Über", "props": {"a": 1}},
        {"type": "service", "name": "QUOTED", "service": target, "entrypoint": "any name: 1/2"},
        {"type": "service", "name": "MAIN", "service": target, "props": {"b": 2}},
        {"type": "service", "name": "NAMED", "service": target, "entrypoint": "default", "props": {"c": 3}},
    ]
    asks = """export default { async fetch(_, env) {
      const told = Object.entries(env).map(async ([name, service]) => [name, await service.whoami()])
      return Response.json(Object.fromEntries(await Promise.all(told)))
    } }"""
    rest.upload(caller, asks, bindings=services)
    told = rest.visit(subdomain(rest, caller)["url"]).json()
    assert told == {
        "API": props,
        "PLAIN": {},
        "UMLAUT": ["Über", {"a": 1}],
        "QUOTED": ["quoted", {}],
        "MAIN": ["default", {"b": 2}],
        "NAMED": ["default", {"c": 3}],
    }
    [first, *_] = rest.result("GET", f"/workers/scripts/{caller}/settings")["bindings"]
    assert first["props"] == props
    wrong = [{"type": "service", "name": "API", "service": target, "props": "text"}]
    assert rest.refusal("PUT", f"/workers/scripts/{caller}", **form(asks, bindings=wrong))[:2] == (400, 10021)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Host": "rebound.example"}, False),
        ({"Host": "127.0.0.1.example:80"}, False),
        ({"Host": "localhost"}, True),
        ({"Host": "[::1]:1"}, True),
        ({"Host": "127.1.2.3"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example", "Authorization": "Bearer t"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:5173"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:1"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
    ],
)
def test_pages_elsewhere_cannot_write(rest: Rest, headers: dict[str, str], *, allowed: bool) -> None:
    url = rest.result("GET", f"/workers/workers/{rest.idle_worker()['id']}")["subdomain"]["url"]
    with httpx.Client(trust_env=False) as web:
        response = web.post(url, headers=headers, content="x")
        read = web.get(url, headers=headers)
    assert (response.status_code != 403) == allowed, response.text
    if not allowed:
        assert "--no-browser-checks" in response.text
    assert (read.status_code == 403) == (not allowed and "Host" in headers)


def test_an_entrypoint_must_be_there(rest: Rest) -> None:
    target, caller = unique("target"), unique("caller")
    rest.upload(target, "export default { fetch() { return new Response('target') } }; export const Other = {}")
    bound = [{"type": "service", "name": "API", "service": target, "entrypoint": "Missing"}]
    asks = "export default { fetch(_, env) { return new Response(env.API ? 'bound' : 'not bound') } }"
    status, code, message = rest.refusal("PUT", f"/workers/scripts/{caller}", **form(asks, bindings=bound))
    assert (status, code) == (400, 10021)
    assert message.startswith(f"Service binding 'API' references entrypoint 'Missing' of Worker '{target}'")


def test_an_entrypoint_that_leaves_holds_up_nobody(rest: Rest) -> None:
    target, caller = unique("target"), unique("caller")
    start = 'import { WorkerEntrypoint } from "cloudflare:workers"; export default { fetch() {} }\n'
    rest.upload(target, f"{start}export class Api extends WorkerEntrypoint {{ a() {{}} }}")
    bound = [{"type": "service", "name": "API", "service": target, "entrypoint": "Api"}]
    asks = "export default { fetch(_, env) { return new Response(env.API ? 'bound' : 'not bound') } }"
    rest.upload(caller, asks, bindings=bound)
    rest.upload(target, start)
    assert rest.visit(subdomain(rest, caller)["url"]).text == "not bound"


def test_a_worker_binds_an_entrypoint_of_its_own(rest: Rest) -> None:
    worker = rest.worker()
    code = (
        'import { WorkerEntrypoint } from "cloudflare:workers"\n'
        "export class Own extends WorkerEntrypoint { a() { return this.ctx.props.who } }\n"
        "export default { async fetch(_, env) { return new Response(await env.OWN.a()) } }"
    )
    own = {"type": "service", "name": "OWN", "service": worker["name"], "entrypoint": "Own", "props": {"who": "me"}}
    path = f"/workers/workers/{worker['id']}/versions?deploy=true"
    rest.result("POST", path, version(code, bindings=[own]))
    assert rest.visit(subdomain(rest, worker["name"])["url"]).text == "me"

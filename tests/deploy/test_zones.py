"""A zone with a route and a custom domain of a Worker, on a real instance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli import instance
from local.cli.api_client import ApiClient
from local.cli.instance import Instance
from local.pulumi.target import Target
from tests.deploy.conftest import Stack
from tests.deploy.stand_in_api import StandInApi

PROGRAM = """
    zone = cf.Zone("zone", account={{"id": ACCOUNT}}, name="example.com")
    worker = cf.Worker("worker", account_id=ACCOUNT, name="zoned", subdomain={{"enabled": True}})
    version = cf.WorkerVersion(
        "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", compatibility_date="2025-04-01",
        modules=[{{
            "name": "index.js", "content_type": "application/javascript+module", "content_file": "index.js",
        }}],
    )
    deployment = cf.WorkersDeployment(
        "deployment", account_id=ACCOUNT, script_name=worker.name, strategy="percentage",
        versions=[{{"percentage": 100, "version_id": version.id}}],
    )
    domain = cf.WorkersCustomDomain(
        "domain", account_id=ACCOUNT, hostname="{hostname}", service=deployment.script_name, zone_id={zone_id},
        opts=pulumi.ResourceOptions(depends_on=[zone]),
    )
    route = cf.WorkersRoute("route", zone_id=zone.id, pattern="{pattern}", script={script})
    pulumi.export("url", worker.subdomain.url)
    pulumi.export("route", route.id)
    pulumi.export("domain", domain.id)
"""


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Instance]:
    running, _ = instance.start(tmp_path / "cloudflare", port=0)
    yield running
    instance.stop(tmp_path / "cloudflare")


@pytest.fixture
def zoned(tmp_path: Path, api: StandInApi, cloud: Instance) -> Stack:
    stack = Stack(tmp_path / "program", api, Target(cloud.base_url, cloud.api_token))
    stack.write("index.js", 'export default { fetch: (request) => new Response("at " + request.url) }')
    return stack


def declare(stack: Stack, **changes: str) -> None:
    known = {
        "hostname": "app.example.com",
        "zone_id": "None",
        "pattern": "www.example.com/tasks/*",
        "script": "deployment.script_name",
    }
    stack.program(PROGRAM.format(**known | changes))


def ask(stack: Stack, host: str, path: str) -> httpx.Response:
    return httpx.get(f"{stack.outputs['url']}{path}", headers={"Host": host}, trust_env=False)


def listed(cloud: Instance) -> list[list[Any]]:
    with ApiClient(cloud) as api:
        return [api.one(path) for path in ("/zones", "workers/domains", "workers/workers")]


def test_the_life_of_a_zone(zoned: Stack, cloud: Instance) -> None:
    declare(zoned)
    zoned.up()
    assert ask(zoned, "app.example.com", "/any").text == "at http://app.example.com/any"
    assert ask(zoned, "www.example.com", "/tasks/1").text == "at http://www.example.com/tasks/1"
    assert ask(zoned, "www.example.com", "/other").status_code == 404
    before = dict(zoned.outputs)
    for command in ("up", "refresh", "up"):
        outcome = zoned.deploy(command)
        assert (outcome.errors, {action.value for action, count in outcome.tally.items() if count}) == ([], {"same"})
    declare(zoned, hostname="new.example.com", zone_id="zone.id", pattern="*example.com/*")
    zoned.up()
    assert (zoned.lines("+-"), zoned.lines("~")) == (["domain"], ["route"])
    assert zoned.outputs["route"] == before["route"]
    assert zoned.outputs["domain"] != before["domain"]
    assert ask(zoned, "new.example.com", "/").status_code == 200
    declare(zoned, hostname="new.example.com", pattern="*example.com/*", script="None")
    zoned.up()
    assert (zoned.lines("+-"), zoned.lines("~")) == ([], ["route"]), "a zone that is not named any more is no change"
    assert ask(zoned, "other.example.com", "/").status_code == 404
    assert zoned.deploy("destroy").errors == []
    assert listed(cloud) == [[], [], []]


def test_what_was_changed_by_hand_is_seen(zoned: Stack, cloud: Instance) -> None:
    declare(zoned)
    zoned.up()
    with ApiClient(cloud) as api:
        [zone] = api.one("/zones")
        [route] = api.one(f"/zones/{zone['id']}/workers/routes")
        api.call("PUT", f"/zones/{zone['id']}/workers/routes/{route['id']}", {"pattern": "example.com/*"})
        [domain] = api.one("workers/domains")
        api.call("DELETE", f"workers/domains/{domain['id']}")
    zoned.deploy("refresh")
    zoned.up()
    assert (zoned.lines("+"), zoned.lines("~")) == (["domain"], ["route"])
    assert ask(zoned, "www.example.com", "/tasks/1").status_code == 200

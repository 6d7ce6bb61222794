"""The component's settings `domain`, `route` and `zone_id` on the local Cloudflare."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from local.cli.adopt import adopt
from local.cli.api_client import ApiClient
from local.pulumi.outputs import read_outputs
from tests.commands.command import run
from tests.journey.project import Project, local_cloudflare

STACK = "local"
DOMAIN, ROUTE = "tasks.example.com", "www.example.com/tasks/*"


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield Project(tmp_path_factory.mktemp("project"), state)


def test_a_stack_has_a_domain_and_a_route(project: Project) -> None:
    with ApiClient.of(project.state) as api:
        zone_id = adopt(api, "zone", "example.com", None)
        project.configure(STACK, domain=DOMAIN, route=ROUTE, zone_id=zone_id)
        project.deploy("up", STACK)
        assert read_outputs(project.state, STACK)["url"] == f"https://{DOMAIN}"
        assert ask(api, DOMAIN, "/tasks").status_code == 200
        assert "error" in ask(api, "www.example.com", "/tasks/none").json(), "the Worker's own"
        assert ask(api, "www.example.com", "/other").text == "There is nothing here yet\n"
        assert "nothing changed" in project.deploy("up", STACK)
        known = ("--stack", STACK, "--state", project.state)
        ended = run("ops", "submit", "--data", "work", "--wait", *known, cwd=project.folder)
        assert "completed" in ended, "the Worker is found here, and not where the domain leads"

        project.configure(STACK, domain=DOMAIN)
        project.deploy("up", STACK)
        assert api.one(f"/zones/{zone_id}/workers/routes") == []
        assert ask(api, DOMAIN, "/tasks").status_code == 200

        project.deploy("destroy", STACK, "--delete-data")
        for path in ("workers/domains", "workers/workers", "d1/database", "queues"):
            assert api.one(path) == [], path
        assert [zone["id"] for zone in api.one("/zones")] == [zone_id], "it is not the stack's"


def ask(api: ApiClient, host: str, path: str) -> httpx.Response:
    [worker] = api.all("workers/workers")
    return httpx.get(f"{worker['subdomain']['url']}{path}", headers={"Host": host}, trust_env=False)

"""Deploys that are killed, whose Cloudflare is killed, and that meet others: one more `up` finishes what they began."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path

import httpx
import pytest

from local.pulumi.outputs import read_outputs
from ops.client import TaskRunnerClient
from ops.task import Status
from tests.commands.command import COMMAND_SECONDS
from tests.faults.audit import print_kills
from tests.faults.cloud import Cloud
from tests.faults.conftest import MAX_RETRIES, STACK, configure
from tests.faults.deployer import DEPLOYER, up
from tests.faults.events import Events
from tests.faults.ledger import Ledger
from tests.faults.victims import CONTROL_PLANE, DATA_PLANE, DEPLOY, WORKERD, Victims
from tests.journey.project import Project
from tests.wrangler.wrangler_cli import Wrangler

LONGEST_PAUSE_SECONDS = 4
"""About what a deploy takes."""

SHORTEST_PAUSE_SECONDS = 0.5

WORK_SECONDS = 60

WORKER = "task-runner-dev"
PERCENT = 100

WRANGLER_KILLS = 3
LONGEST_WRANGLER_SECONDS = 2
"""About what a deploy by wrangler takes."""

RIVALS = 3
CHANGES = 30


def names(cloud: Cloud) -> list[str]:
    """Name everything that the account has, each by its kind."""
    databases = cloud.must("GET", "/d1/database?per_page=100")
    queues = cloud.must("GET", "/queues?per_page=100")
    workers = cloud.must("GET", "/workers/workers?per_page=100")
    found = [f"database {each['name']}" for each in databases]
    found += [f"queue {each['queue_name']}" for each in queues]
    return sorted(found + [f"worker {each['name']}" for each in workers])


def works(project: Project) -> None:
    """Demand a stack that a next `up` leaves as it is, and that completes a task."""
    assert "nothing changed" in project.deploy("up", STACK)
    url = str(read_outputs(project.state, STACK)["url"])
    with TaskRunnerClient(url) as client:
        task = client.submit(b"after the faults")
        assert client.wait(task.task_id, timeout_seconds=WORK_SECONDS).status == Status.COMPLETED


def test_a_killed_deploy_goes_on(project: Project, victims: Victims, events: Events, chance: random.Random) -> None:
    for number, victim in enumerate((DEPLOYER, CONTROL_PLANE, WORKERD, DEPLOYER, DATA_PLANE)):
        configure(project, STACK, max_retries=MAX_RETRIES - number)  # something to change, however far the last one got
        deploy = up(project, STACK)
        try:
            time.sleep(chance.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            if victim == DEPLOYER:
                deploy.kill()
                victims.count(DEPLOYER, DEPLOY)
            else:
                victims.kill_when_there(victim, DEPLOY)
            output, _ = deploy.communicate(timeout=COMMAND_SECONDS)
        finally:
            deploy.kill()
            deploy.wait()
        assert "Traceback" not in output, output
        victims.restart()
    project.deploy("up", STACK)
    cloud = Cloud(victims.restart(), Ledger(events))
    try:
        assert names(cloud) == [
            "database task-runner-db-dev",
            "queue task-runner-dlq-dev",
            "queue task-runner-queue-dev",
            "worker task-runner-dev",
        ]
    finally:
        cloud.close()
    works(project)
    print_kills(victims.kills)


def test_of_deploys_at_once_one_goes_on_and_the_others_say_why_not(project: Project, cloud: Cloud) -> None:
    deploys = [up(project, STACK) for _ in range(RIVALS)]
    try:
        for number in range(CHANGES):  # by REST, beside the deploys
            queue = cloud.must("POST", "/queues", {"queue_name": f"beside-{number}"})["queue_id"]
            cloud.must("DELETE", f"/queues/{queue}")
        outputs = [deploy.communicate(timeout=COMMAND_SECONDS)[0] for deploy in deploys]
    finally:
        for deploy in deploys:
            deploy.kill()
            deploy.wait()
    refused = [output for deploy, output in zip(deploys, outputs, strict=True) if deploy.returncode != 0]
    assert len(refused) < RIVALS, outputs
    for output in refused:
        assert re.search(rf"^error: stack {STACK} is being deployed by process \S+; wait for it to end$", output, re.M)
    json.loads((project.state / "stacks" / "ephemera" / f"{STACK}.json").read_text())
    works(project)
    assert cloud.ledger.unexpected == []
    print(f"\ndeploys at once: {RIVALS}, refused with a reason: {len(refused)}; changes beside them: {CHANGES}")


WRANGLERS_WORKER = """
export default {
  fetch: (request, env) => new Response(env.MARK),
  queue(batch) { batch.retryAll(); }, // its consumer and its schedule need their handlers
  scheduled() {},
};
"""


def write_wrangler(wrangler: Wrangler, name: str, mark: str) -> None:
    """Write the Worker that wrangler deploys."""
    config = {"name": name, "main": "index.js", "compatibility_date": "2026-03-01", "vars": {"MARK": mark}}
    (wrangler.folder / "index.js").write_text(WRANGLERS_WORKER)
    (wrangler.folder / "wrangler.json").write_text(json.dumps(config))


def deployed_version(cloud: Cloud, worker: str) -> str:
    """Give the version in force, which has to be there and to have all of the traffic."""
    deployment = cloud.must("GET", f"/workers/scripts/{worker}/deployments")["deployments"][0]
    [share] = deployment["versions"]
    assert share["percentage"] == PERCENT
    version_id: str = share["version_id"]
    assert cloud.must("GET", f"/workers/scripts/{worker}/versions/{version_id}")["id"] == version_id
    return version_id


@pytest.fixture
def wrangler(victims: Victims, tmp_path: Path) -> Wrangler:
    for folder in ("wrangler", "home"):
        (tmp_path / folder).mkdir()
    return Wrangler(victims.restart(), tmp_path / "wrangler", tmp_path / "home")


def test_a_killed_wrangler_deploys_the_next_time(
    wrangler: Wrangler, cloud: Cloud, victims: Victims, chance: random.Random
) -> None:
    for number in range(WRANGLER_KILLS):
        write_wrangler(wrangler, "killed", str(number))
        with wrangler.start("deploy") as deploy:
            time.sleep(chance.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_WRANGLER_SECONDS))
            deploy.kill()
            victims.count(DEPLOYER, DEPLOY)
    write_wrangler(wrangler, "killed", "at last")
    wrangler("deploy")
    assert names(cloud) == ["worker killed"]
    deployed_version(cloud, "killed")
    [worker] = cloud.must("GET", "/workers/workers")
    assert httpx.get(worker["subdomain"]["url"], trust_env=False).text == "at last"
    assert cloud.ledger.unexpected == []
    print_kills(victims.kills)


def test_wrangler_beside_up_on_one_worker(project: Project, wrangler: Wrangler, cloud: Cloud) -> None:
    """As on Cloudflare, whoever deploys last is in force; the other one's version stays, and can be gone back to."""
    project.deploy("up", STACK)
    configure(project, STACK, max_retries=MAX_RETRIES - 1)
    write_wrangler(wrangler, WORKER, "wrangler's")
    with up(project, STACK) as program, wrangler.start("deploy") as rival:
        output, _ = program.communicate(timeout=COMMAND_SECONDS)
        said = "".join(rival.communicate(timeout=COMMAND_SECONDS))
    assert program.returncode == 0, output
    assert rival.returncode == 0, said
    deployed_version(cloud, WORKER)
    project.deploy("refresh", STACK)
    project.deploy("up", STACK)
    works(project)
    assert cloud.ledger.unexpected == []

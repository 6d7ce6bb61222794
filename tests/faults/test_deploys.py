"""Deploys that are killed, whose Cloudflare is killed, and that meet others: one more `up` finishes what they began."""

from __future__ import annotations

import json
import random
import re
import subprocess
import time

from local.deploy.outputs import read_outputs
from ops.client import TaskRunnerClient
from tests.faults.audit import unfinished_tasks
from tests.faults.conftest import MAX_RETRIES, STACK
from tests.faults.ledger import Ledger
from tests.faults.load import Cloud
from tests.faults.victims import CONTROL_PLANE, DATA_PLANE, WORKERD, Victims
from tests.journey.project import COMMAND_SECONDS, Project, start

DEPLOY = "deploy"

LONGEST_PAUSE_SECONDS = 4
"""About what a deploy takes."""

SHORTEST_PAUSE_SECONDS = 0.5

RIVALS = 3
CHANGES = 30


def up(project: Project) -> subprocess.Popen[str]:
    return start("local", "up", "--stack", STACK, "--state", project.state, cwd=project.folder)


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
        task_id = client.submit(b"after the faults").task_id
    assert unfinished_tasks(url, [task_id]) == {}


def test_a_killed_deploy_goes_on(project: Project, victims: Victims, chance: random.Random) -> None:
    for number, victim in enumerate((DEPLOY, CONTROL_PLANE, WORKERD, DEPLOY, DATA_PLANE)):
        project.configure(STACK, max_retries=MAX_RETRIES - number)  # something to change, however far the last one got
        deploy = up(project)
        try:
            time.sleep(chance.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))
            if victim == DEPLOY:
                deploy.kill()
                victims.kills[DEPLOY] += 1
            else:
                victims.kill_when_there(victim)
            output, _ = deploy.communicate(timeout=COMMAND_SECONDS)
        finally:
            deploy.kill()
            deploy.wait()
        assert "Traceback" not in output, output
        victims.restart()
    project.deploy("up", STACK)
    cloud = Cloud(victims.restart().base_url, Ledger())
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
    print(f"\nkills around deploys: {dict(victims.kills)}")


def test_of_deploys_at_once_one_goes_on_and_the_others_say_why_not(project: Project, cloud: Cloud) -> None:
    deploys = [up(project) for _ in range(RIVALS)]
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
        assert re.search(r"^error: stack faults is being deployed by process \S+; wait for it to end$", output, re.M)
    json.loads((project.state / "stacks" / "ephemera" / f"{STACK}.json").read_text())
    works(project)
    assert cloud.ledger.unexpected == []
    print(f"\ndeploys at once: {RIVALS}, refused with a reason: {len(refused)}; changes beside them: {CHANGES}")

"""The command line against a real instance, with a program of every supported type."""

import json
import shutil
import signal
import stat
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from tests.commands.command import COMMAND_SECONDS, ROOT, Process, start
from tests.journey.project import local_cloudflare

PROGRAM = """
    import pulumi
    import pulumi_cloudflare as cf

    from resources import Pause, Schema

    config = pulumi.Config()
    account = config.require("account_id")
    db = cf.D1Database("db", account_id=account, name="sample", read_replication={"mode": "disabled"})
    schema = Schema("schema", account, db.uuid)
    dlq = cf.Queue("dlq", account_id=account, queue_name="sample-dlq")
    queue = cf.Queue("queue", account_id=account, queue_name="sample")
    worker = cf.Worker("worker", account_id=account, name="sample", subdomain={"enabled": True})
    version = cf.WorkerVersion(
        "version", account_id=account, worker_id=worker.id, main_module="index.js", compatibility_date="2025-04-01",
        modules=[{
            "name": "index.js", "content_type": "application/javascript+module", "content_file": "worker/index.js",
        }, {
            "name": "texts/colon.txt", "content_type": "text/plain", "content_file": "worker/colon",
        }],
        bindings=[
            {"type": "d1", "name": "DB", "id": db.uuid},
            {"type": "queue", "name": "DLQ", "queue_name": dlq.queue_name},
            {"type": "ratelimit", "name": "LIMIT", "namespace_id": "7", "simple": {"limit": 100, "period": 10}},
            {"type": "queue", "name": "QUEUE", "queue_name": queue.queue_name},
            {"type": "secret_text", "name": "SECRET", "text": pulumi.Output.secret(config.require("token"))},
        ],
        opts=pulumi.ResourceOptions(depends_on=[schema]),
    )
    deployment = cf.WorkersDeployment(
        "deployment", account_id=account, script_name=worker.name, strategy="percentage",
        versions=[{"percentage": 100, "version_id": version.id}],
    )
    consumer = cf.QueueConsumer(
        "consumer", account_id=account, queue_id=queue.queue_id, type="worker", script_name=deployment.script_name,
        dead_letter_queue=dlq.queue_name,
        settings={"batch_size": 5, "max_retries": config.require_int("retries"), "max_wait_time_ms": 0},
    )
    cf.QueueConsumer("dlq-consumer", account_id=account, queue_id=dlq.queue_id, type="http_pull")
    cf.WorkersCronTrigger(
        "cron", account_id=account, script_name=deployment.script_name, schedules=[{"cron": "0 0 1 1 *"}],
    )
    if config.get_bool("pause"):
        paused = Pause("pause", pulumi.ResourceOptions(depends_on=[consumer]))
        cf.Queue("late", account_id=account, queue_name="late", opts=pulumi.ResourceOptions(depends_on=[paused]))
    pulumi.export("url", worker.subdomain.url)
    pulumi.export("tables", schema.tables)
    pulumi.export("consumer_id", consumer.consumer_id)
    pulumi.export("queue_id", queue.queue_id)
"""

RESOURCES = """
    import time
    from pathlib import Path

    import pulumi
    import requests
    from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider


    class SchemaProvider(ResourceProvider):
        def configure(self, req):
            self.url, self.token = req.config.require("cloudflare:baseUrl"), req.config.require("cloudflare:apiToken")

        def diff(self, id_, olds, news):
            return DiffResult(changes=False, replaces=["database"] if olds["database"] != news["database"] else [])

        def create(self, props):
            url = f"{self.url}/accounts/{props['account']}/d1/database/{props['database']}/query"
            sql = "CREATE TABLE IF NOT EXISTS notes (text); SELECT name FROM sqlite_master WHERE name = 'notes'"
            reply = requests.post(url, json={"sql": sql}, headers={"Authorization": f"Bearer {self.token}"})
            reply.raise_for_status()
            rows = reply.json()["result"][-1]["results"]
            return CreateResult("schema", {**props, "tables": [row["name"] for row in rows]})


    class Schema(Resource):
        tables: pulumi.Output[list[str]]

        def __init__(self, name, account, database):
            super().__init__(SchemaProvider(), name, {"account": account, "database": database, "tables": None})


    class PauseProvider(ResourceProvider):
        def create(self, props):
            paused = Path("paused")
            paused.touch()
            end = time.monotonic() + 60
            while paused.exists() and time.monotonic() < end:
                time.sleep(0.05)
            return CreateResult("pause", props)

        def diff(self, id_, olds, news):
            return DiffResult(changes=False)


    class Pause(Resource):
        def __init__(self, name, opts):
            super().__init__(PauseProvider(), name, {}, opts)
"""

WORKER = """
    import colon from './texts/colon.txt';
    export default {
        async fetch(_, env) {
            const { success } = await env.LIMIT.limit({ key: "k" });
            await env.DLQ.send("a letter");
            return new Response(`%s${colon} ${env.SECRET} ${success}`);
        },
        queue() {},
        scheduled() {},
    };
"""

TOKEN = "a-token-that-nobody-may-read"  # noqa: S105 it opens nothing


class Project:
    """The program in a folder of its own, and the command line, which never prints the stack's token."""

    token = TOKEN

    def __init__(self, folder: Path, state_dir: Path) -> None:
        self.folder = folder
        self.state_dir = state_dir
        self.write("Pulumi.yaml", "name: sample\nruntime: python\nconfig: {retries: {type: integer, default: 3}}\n")
        self.write("__main__.py", PROGRAM)
        self.write("resources.py", RESOURCES)
        self.write("worker/index.js", WORKER % "one")
        self.write("worker/colon", ":")
        self.configure()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def configure(self, **values: object) -> None:
        lines = [
            "config:",
            "  cloudflare:baseUrl: http://127.0.0.1:9780/client/v4",
            f"  sample:account_id: '{'0' * 32}'",
            f"  sample:token: {self.token}",
            *(f"  sample:{key}: {value}" for key, value in values.items()),
        ]
        self.write("Pulumi.local.yaml", "\n".join(lines))

    def command(self, *arguments: str) -> Process:
        words = ("local", *arguments, "--state", self.state_dir)
        return start(*words, cwd=self.folder, env={"PYTHONPATH": str(ROOT)})

    def run(self, *arguments: str, expect: int = 0) -> str:
        with self.command(*arguments) as process:
            printed, _ = process.communicate(timeout=COMMAND_SECONDS)
        assert process.returncode == expect, printed
        assert self.token not in printed
        return printed

    @property
    def outputs(self) -> dict[str, Any]:
        return read_outputs(self.state_dir, "local", "sample")

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.state_dir / "stacks" / "sample" / "local.json").read_text())["deployment"]

    @property
    def api(self) -> httpx.Client:
        instance = Instance.find(self.state_dir)
        assert instance
        headers = {"Authorization": f"Bearer {instance.api_token}"}
        return httpx.Client(
            base_url=f"{instance.base_url}/accounts/{instance.account_id}", headers=headers, trust_env=False
        )

    def fetch(self) -> str:
        with urllib.request.urlopen(self.outputs["url"], timeout=10) as reply:  # noqa: S310
            return reply.read().decode()

    def pause(self) -> Process:
        """Begin an `up` that pauses before its last resource until `go_on`; returns in the pause."""
        self.configure(pause="true")
        self.go_on()
        process = self.command("up")
        until = time.monotonic() + COMMAND_SECONDS
        while not (self.folder / "paused").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)
        return process

    def go_on(self) -> None:
        """End the pause."""
        (self.folder / "paused").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def instance_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state_dir = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state_dir):
        yield state_dir


@pytest.fixture
def project(instance_dir: Path, tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path, instance_dir)
    yield project
    project.configure()
    project.run("destroy", "--delete-data")
    with project.api as api:
        for path in ("d1/database", "queues", "workers/workers"):
            assert api.get(path).json()["result"] == [], path
    shutil.rmtree(tmp_path)


def test_the_life_of_a_stack(project: Project) -> None:
    assert "Resources: 10 created" in project.run("up")
    assert project.outputs["tables"] == ["notes"]
    assert project.fetch() == f"one: {TOKEN} true"
    assert "Resources: 10, nothing changed" in project.run("up")
    assert "Resources: 10, nothing changed" in project.run("refresh")

    project.write("worker/index.js", WORKER % "two")
    project.configure(retries=7)
    document = json.loads(project.run("up", "--json"))
    assert document["summary"] == {"same": 7, "update": 1, "replace": 2}
    assert {step["urn"].split("::")[-1]: step["changes"] for step in document["steps"]} == {
        "version": ["modules[index.js].contentSha256"],
        "deployment": ["versions[0].versionId"],
        "consumer": ["settings.maxRetries"],
    }
    assert document["outputs"]["tables"] == ["notes"]
    assert document["errors"] == []
    assert project.fetch() == f"two: {TOKEN} true"

    consumer = f"queues/{project.outputs['queue_id']}/consumers/{project.outputs['consumer_id']}"
    with project.api as api:
        body = {"type": "worker", "script_name": "sample", "settings": {"batch_size": 5, "max_retries": 1}}
        assert api.put(consumer, json=body).status_code == 200
        assert api.put("workers/scripts/sample/schedules", json=[]).status_code == 200
        oldest = api.get("workers/workers/sample/versions").json()["result"][-1]["id"]
        body = {"strategy": "percentage", "versions": [{"percentage": 100, "version_id": oldest}]}
        assert api.post("workers/scripts/sample/deployments", json=body).status_code == 200
        assert project.fetch() == f"one: {TOKEN} true"
        printed = project.run("refresh")
        assert "~ settings.maxRetries: 7 → 1" in printed
        assert '~ deadLetterQueue: "sample-dlq" → ""' in printed
        assert "Resources: 3 updated, 7 unchanged" in printed
        assert "Resources: 2 updated, 1 replaced, 7 unchanged" in project.run("up")
        assert api.get(consumer).json()["result"]["settings"]["max_retries"] == 7
        assert api.get(consumer).json()["result"]["dead_letter_queue"] == "sample-dlq"
        [schedule] = api.get("workers/scripts/sample/schedules").json()["result"]["schedules"]
        assert schedule["cron"] == "0 0 1 1 *"
        assert project.fetch() == f"two: {TOKEN} true"
        assert "Resources: 10, nothing changed" in project.run("refresh")

    assert project.run("output", "consumer_id").strip() == project.outputs["consumer_id"]

    project.write("worker/index.js", "export default {")
    printed = project.run("up", expect=1)
    assert "error: WorkerVersion version: " in printed
    assert "SyntaxError" in printed
    assert project.fetch() == f"two: {TOKEN} true"


def test_a_secret_is_the_owners_alone(project: Project) -> None:
    project.run("up")
    project.token = TOKEN[::-1]
    project.configure()
    assert "~ bindings.SECRET.text: [secret] changed" in project.run("preview")
    printed = project.run("up")
    assert "~ bindings.SECRET.text: [secret] changed" in printed
    assert TOKEN not in printed
    assert project.fetch() == f"one: {project.token} true"
    assert "Resources: 10, nothing changed" in project.run("refresh")
    state_file = project.state_dir / "stacks" / "sample" / "local.json"
    assert stat.S_IMODE(state_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(project.state_dir.stat().st_mode) == 0o700
    with project.api as api:
        versions = api.get("workers/workers/sample/versions").text
    logs = [file.read_text() for file in (project.state_dir / "logs").iterdir()]
    assert logs
    assert not any(token in text for text in (versions, *logs) for token in (TOKEN, project.token))


def test_a_killed_up_and_an_interrupted_one_are_gone_on_with(project: Project) -> None:
    with project.pause() as process:
        process.kill()
    assert [item["type"] for item in project.state["pending_operations"]] == ["creating"]

    with project.pause() as process:
        assert f"is being deployed by process {process.pid}" in project.run("up", expect=1)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        printed = ""
        while "stopping; what is under way is finished first" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        project.go_on()
        printed += process.communicate(timeout=COMMAND_SECONDS)[0]
    assert process.returncode == 1
    assert "info: Resource pause: its create was interrupted" in printed
    assert "error: interrupted; what was done is kept" in printed
    assert "Failed, before that: 1 created, 10 unchanged" in printed

    assert "Resources: 1 created, 11 unchanged" in project.run("up")


def test_no_instance(project: Project, tmp_path: Path) -> None:
    project.state_dir, kept = tmp_path / "nowhere", project.state_dir
    printed = project.run("up", expect=1)
    assert (
        printed
        == f"error: no local Cloudflare is running: start it with `python -m local start --state {tmp_path}/nowhere`\n"
    )
    project.state_dir = kept

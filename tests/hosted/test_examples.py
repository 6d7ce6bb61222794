"""The examples and the template, each deployed to a local Cloudflare, with a task that is completed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from components.toolchain import node_command, npm_command
from local.cli.instance import Instance
from local.core.credentials import LOCAL_ACCOUNT_ID
from local.pulumi.display import JsonDisplay
from local.pulumi.outputs import read_outputs
from local.pulumi.wire import from_struct, to_struct
from tests.commands.command import ROOT, start
from tests.hosted.engine import HostedEngine, Plugin
from tests.journey.project import local_cloudflare

COMMAND_SECONDS = 240


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield state


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `pip install` has put the component, with nothing of the repository beside it."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    shutil.rmtree(ROOT / "ephemera.egg-info", ignore_errors=True)
    return target


@pytest.fixture(scope="module")
def engine(state: Path) -> Iterator[tuple[HostedEngine, Plugin]]:
    instance = Instance.find(state)
    assert instance is not None
    with Plugin() as plugin:
        engine = HostedEngine(plugin, {}, instance.base_url, instance.api_token, JsonDisplay())
        yield engine, plugin
        engine.close()


def up(folder: Path, state: Path, installed: Path) -> str:
    """Deploy a program that finds the component where it is installed."""
    environment = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    with start("local", "up", "--stack", folder.name, "--state", state, cwd=folder, env=environment) as command:
        output, _ = command.communicate(timeout=COMMAND_SECONDS)
    assert command.returncode == 0, output
    return output


def configure(folder: Path, project: str, **settings: Any) -> None:
    config = {
        "cloudflare:baseUrl": "http://127.0.0.1:9780/client/v4",
        f"{project}:account_id": LOCAL_ACCOUNT_ID,
        **{f"{project}:{name}": value for name, value in settings.items()},
    }
    (folder / f"Pulumi.{folder.name}.yaml").write_text(yaml.safe_dump({"config": config}))


def complete(url: str, payload: str, handler: str) -> Any:
    """Have a handler do a task; return the task's result."""
    reply = httpx.post(f"{url}/task", params={"handler": handler}, content=payload).raise_for_status()
    task = httpx.get(f"{url}/task/{reply.json()['taskId']}?wait=30", timeout=60).raise_for_status().json()
    assert task["status"] == "completed", task
    return task["result"]


def test_a_package_has_the_workers_code_and_nothing_of_the_repository(installed: Path) -> None:
    package = installed / "ephemera"
    for name in ("task_runner.py", "bundle/cli.js", "worker/index.js", "worker/migrations/0001_tasks.sql"):
        assert (package / name).is_file(), name
    assert not (installed / "local").exists()
    assert not (installed / "components").exists()


def test_two_runners_stand_beside_each_other_with_a_bucket(tmp_path: Path, state: Path, installed: Path) -> None:
    folder = tmp_path / "two-runners"
    shutil.copytree(ROOT / "examples" / "two-runners", folder)
    configure(folder, "two-runners")
    up(folder, state, installed)
    outputs = read_outputs(state, folder.name)
    assert complete(outputs["mail_url"], "a letter", "default")["bytes"] == 8
    assert re.fullmatch(r"[0-9a-f-]{36}\.png", complete(outputs["images_url"], "an image", "keep")["key"])
    assert "nothing changed" in up(folder, state, installed)


def test_the_template_is_a_project_of_its_own(tmp_path: Path, state: Path, installed: Path) -> None:
    folder = tmp_path / "greetings"
    shutil.copytree(ROOT / "template", folder)
    project = (folder / "Pulumi.yaml").read_text()  # as `pulumi new` fills it in
    written = project.replace("${PROJECT}", "greetings").replace("${DESCRIPTION}", "Greets").split("template:")[0]
    (folder / "Pulumi.yaml").write_text(written)
    configure(folder, "greetings", public="true")
    up(folder, state, installed)
    assert complete(read_outputs(state, folder.name)["url"], '{"name": "Ada"}', "greet") == {"greeting": "Hello, Ada!"}


def test_yaml_by_the_component_host(engine: tuple[HostedEngine, Plugin]) -> None:
    hosted, _ = engine
    declared = yaml.safe_load((ROOT / "examples" / "yaml" / "Pulumi.yaml").read_text())["resources"]["runner"]
    properties = {**declared["properties"], "accountId": LOCAL_ACCOUNT_ID}
    with hosted.playing("task-runner-yaml", "local") as address, grpc.insecure_channel(address) as channel:
        stub: Any = resource_pb2_grpc.ResourceMonitorStub(channel)
        request = resource_pb2.RegisterResourceRequest(
            type=declared["type"], name=declared["name"], custom=False, remote=True, object=to_struct(properties)
        )
        outputs = from_struct(stub.RegisterResource(request).object)
    assert outputs["workerName"] == "nightly-dev"
    assert complete(outputs["url"], "by night", "default")["bytes"] == 8
    hosted.destroy()


SDK = """
const pulumi = require('@pulumi/pulumi');
const outputs = %s;
class TaskRunner extends pulumi.ComponentResource {
  constructor(name, args, opts) {
    const unknown = Object.fromEntries(outputs.map((output) => [output, undefined]));
    super('ephemera:index:TaskRunner', name, { ...unknown, ...args }, opts, true);
  }
}
module.exports = { TaskRunner };
"""
"""What `pulumi package add` makes of the schema, without its types."""


def test_typescript_by_the_component_host(tmp_path: Path, engine: tuple[HostedEngine, Plugin]) -> None:
    hosted, plugin = engine
    folder = tmp_path / "typescript"
    shutil.copytree(ROOT / "examples" / "typescript", folder, ignore=shutil.ignore_patterns("node_modules", "bin"))
    call([*npm_command(), "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    schema = json.loads(plugin.stub.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema)
    outputs = sorted(schema["resources"]["ephemera:index:TaskRunner"]["properties"])
    sdk = folder / "node_modules" / "@pulumi" / "ephemera"
    sdk.mkdir()
    (sdk / "package.json").write_text('{"name": "@pulumi/ephemera", "version": "0.1.0", "main": "index.js"}')
    (sdk / "index.js").write_text(SDK % json.dumps(outputs))
    (sdk / "index.d.ts").write_text("export declare const TaskRunner: new (...args: any[]) => any;")
    call([*node_command(), "node_modules/typescript/bin/tsc", "-p", "."], folder)
    with hosted.playing("task-runner-typescript", "local") as address:
        run_program(folder, address, plugin.engine_address)
    outputs_of_stack = next(each.outputs for each in hosted.state.resources if each.type == "pulumi:pulumi:Stack")
    assert outputs_of_stack["queueName"] == "words-queue-dev"
    assert complete(outputs_of_stack["url"], "one two three", "count") == {"words": 3}
    with hosted.playing("task-runner-typescript", "local") as address:
        before = {each.urn: each.id for each in hosted.state.resources}
        run_program(folder, address, plugin.engine_address)
    assert {each.urn: each.id for each in hosted.state.resources} == before, "a second run changes nothing"
    hosted.destroy()


def run_program(folder: Path, monitor: str, engine: str) -> None:
    """Run a program as the CLI's Node.js host does."""
    arguments = {"monitor": monitor, "engine": engine, "project": "task-runner-typescript", "stack": "local"}
    options = [word for name, value in {**arguments, "pwd": str(folder)}.items() for word in (f"--{name}", value)]
    config = json.dumps({"task-runner-typescript:accountId": LOCAL_ACCOUNT_ID})
    command = [*node_command(), "node_modules/@pulumi/pulumi/cmd/run/index.js", *options, "bin/index.js"]
    call(command, folder, PULUMI_CONFIG=config)


def call(command: list[str], folder: Path, **variables: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(node_command()[0]).parent}{os.pathsep}{os.environ['PATH']}",
        **variables,
    }
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, cwd=folder, env=environment, timeout=COMMAND_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

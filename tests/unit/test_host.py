"""The component's plugin: its schema, and a component that it constructs over gRPC."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from components.task_runner_args import TaskRunnerArgs
from local.pulumi.display import JsonDisplay
from local.pulumi.wire import from_struct, hide, to_struct
from tests.hosted.engine import HostedEngine, Plugin
from tests.unit.recorded_stack import ACCOUNT_ID

TOKEN = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing


@pytest.fixture(scope="module")
def plugin() -> Iterator[Plugin]:
    with Plugin() as plugin:
        yield plugin


def register(address: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Register a remote task runner, as an SDK of any language does; return its outputs."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = resource_pb2_grpc.ResourceMonitorStub(channel)
        request = resource_pb2.RegisterResourceRequest(
            type="ephemera:index:TaskRunner", name=name, custom=False, remote=True, object=to_struct(inputs)
        )
        return from_struct(stub.RegisterResource(request).object)


def test_its_schema_has_every_setting_and_output(plugin: Plugin) -> None:
    schema = json.loads(plugin.stub.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema)
    assert schema["name"] == "ephemera"
    component = schema["resources"]["ephemera:index:TaskRunner"]
    assert component["isComponent"] is True
    assert len(component["inputProperties"]) == len(TaskRunnerArgs.__dataclass_fields__)
    assert component["requiredInputs"] == ["accountId"]
    assert component["inputProperties"]["stateStore"]["plain"] is True
    assert component["inputProperties"]["maxRetries"]["type"] == "integer"
    assert component["inputProperties"]["maxRetries"]["description"].startswith("Retries after the first attempt")
    assert {"url", "workerName", "databaseId"} <= set(component["properties"])
    assert set(schema["types"]["ephemera:index:ApiToken"]["properties"]) == {"name", "role", "token"}


def test_it_constructs_a_component(plugin: Plugin) -> None:
    engine = HostedEngine(plugin, {}, "http://127.0.0.1:9/client/v4", "t", JsonDisplay())
    tokens = [{"name": "ci", "role": "submit", "token": TOKEN}]
    with engine.playing("hosted", "test", dry_run=True) as address:
        outputs = register(
            address, "words", {"accountId": ACCOUNT_ID, "maxRetries": 7, "apiTokens": tokens, "shards": 2}
        )
    engine.close()
    by_name = {each.urn.rsplit("::", 1)[1]: each for each in engine.state.resources}
    assert Counter(each.type.rsplit(":", 1)[1] for each in by_name.values()) == {
        "TaskRunner": 1,
        "PartsRecord": 1,
        "Rollout": 1,
        "D1Database": 2,
        "D1Migrations": 2,
        "Queue": 3,
        "QueueConsumer": 3,
        "Worker": 1,
        "WorkerVersion": 1,
        "WorkersDeployment": 1,
        "WorkersCronTrigger": 1,
    }
    assert by_name["words-consumer"].inputs["settings"]["maxRetries"] == 7
    assert by_name["words-worker"].inputs["name"] == "words-dev"
    assert outputs["queueName"] == "words-queue-dev"
    version = by_name["words-version"].inputs
    assert "contentBase64" in version["modules"][0]
    assert TOKEN not in json.dumps(hide(version))


def test_what_is_wrong_is_told_in_the_words_of_the_component(plugin: Plugin) -> None:
    engine = HostedEngine(plugin, {}, "http://127.0.0.1:9/client/v4", "t", JsonDisplay())
    with (
        engine.playing("hosted", "test", dry_run=True) as address,
        pytest.raises(grpc.RpcError, match=r"account_id: expected a Cloudflare account id .*, got 'x'"),
    ):
        register(address, "words", {"accountId": "x"})
    engine.close()

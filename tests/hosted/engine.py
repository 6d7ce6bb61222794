"""Pulumi's engine for programs in other processes: the local deploy's own, over gRPC, with the component's plugin.

The CLI is not needed, but what it would do is: it tells the plugin where the monitor is, has it construct what a
program registers as remote, and asks it to check, compare, make and change the resources of its own types.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_pb2,
    resource_pb2_grpc,
)

from local.pulumi.cloudflare_types import cloudflare_types
from local.pulumi.cloudflare_types.api import Api
from local.pulumi.diff import Diff, compare
from local.pulumi.dynamic import TYPE_PREFIX, DynamicType
from local.pulumi.engine import Engine
from local.pulumi.errors import CheckError, DeployError
from local.pulumi.monitor import Monitor
from local.pulumi.resource_types import Created, Found, ResourceTypes
from local.pulumi.state_file import Resource, State
from local.pulumi.target import Target
from local.pulumi.wire import Properties, from_struct, reveal, to_struct
from tests.commands.command import ROOT

WORKERS = 32
"""A component that is being constructed holds one, and its children need others."""
CALL_SECONDS = 120
FEATURES = frozenset({"secrets", "aliasSpecs", "deletedWith"})
OWN_TYPES = ("ephemera:index:D1Migrations", "ephemera:index:PartsRecord", "ephemera:index:Rollout")
TELLING_INPUTS = ("database_id", "parts", "rollout_percent")
"""An input that each of them has, and no other one."""


class Plugin:
    """The component's plugin in a process of its own, started as the CLI starts it; and what it and programs say."""

    def __init__(self, folder: Path = ROOT) -> None:
        self.said: list[str] = []
        self._log_server = grpc.server(ThreadPoolExecutor(WORKERS))
        self.engine_address = f"127.0.0.1:{self._log_server.add_insecure_port('127.0.0.1:0')}"
        engine_pb2_grpc.add_EngineServicer_to_server(_Log(self.said), self._log_server)  # pyright: ignore[reportUnknownMemberType]
        self._log_server.start()
        command = [sys.executable, "-u", str(folder), self.engine_address]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def __enter__(self) -> Plugin:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.terminate()
        self._process.communicate()
        self._log_server.stop(None)


class PluginType:
    """A resource type that the plugin provides."""

    deletes = True

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def check(self, old: Resource | None, inputs: Properties) -> Properties:
        olds = to_struct(reveal(old.inputs) if old else {})
        request = provider_pb2.CheckRequest(urn=self._urn(inputs), olds=olds, news=to_struct(inputs))
        reply = self._ask(lambda: self._stub.Check(request))
        if reply.failures:
            raise CheckError("; ".join(f"{each.property}: {each.reason}" for each in reply.failures))
        return from_struct(reply.inputs)

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        olds, news = to_struct(reveal(old.outputs)), to_struct(reveal(inputs))
        request = provider_pb2.DiffRequest(urn=old.urn, id=old.id, olds=olds, news=news)
        reply = self._ask(lambda: self._stub.Diff(request))
        if reply.changes == provider_pb2.DiffResponse.DIFF_NONE:
            return Diff()
        return Diff(compare(old.inputs, inputs))

    def preview(self, old: Resource | None, inputs: Properties) -> Properties:  # noqa: ARG002 the interface's
        return inputs

    def create(self, inputs: Properties) -> Created:
        request = provider_pb2.CreateRequest(urn=self._urn(inputs), properties=to_struct(inputs))
        reply = self._ask(lambda: self._stub.Create(request))
        return Created(reply.id, from_struct(reply.properties))

    def update(self, old: Resource, inputs: Properties) -> Properties:
        olds, news = to_struct(reveal(old.outputs)), to_struct(inputs)
        request = provider_pb2.UpdateRequest(urn=old.urn, id=old.id, olds=olds, news=news)
        return from_struct(self._ask(lambda: self._stub.Update(request)).properties)

    def read(self, resource: Resource) -> Found | None:
        properties = to_struct(reveal(resource.outputs))
        request = provider_pb2.ReadRequest(urn=resource.urn, id=resource.id, properties=properties)
        reply = self._ask(lambda: self._stub.Read(request))
        return Found(reply.id, reveal(resource.inputs), from_struct(reply.properties)) if reply.id else None

    def delete(self, resource: Resource) -> None:
        properties = to_struct(reveal(resource.outputs))
        request = provider_pb2.DeleteRequest(urn=resource.urn, id=resource.id, properties=properties)
        self._ask(lambda: self._stub.Delete(request))

    def find(self, inputs: Properties) -> Found | None:  # noqa: ARG002 the interface's
        return None

    def contents(self, resource: Resource, planned: Properties | None) -> str:  # noqa: ARG002 the interface's
        return ""

    def created_at(self, found: Found) -> str:  # noqa: ARG002 the interface's
        return ""

    def _urn(self, inputs: Properties) -> str:
        """Make up a URN for what has none yet; only its type counts."""
        [kind] = [kind for name, kind in zip(TELLING_INPUTS, OWN_TYPES, strict=True) if name in inputs]
        return f"urn:pulumi:test::test::{kind}::new"

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except grpc.RpcError as error:
            raise DeployError(error.details()) from error  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] a call's error has them


class HostedEngine:
    """One stack, deployed by programs that reach the engine over gRPC."""

    def __init__(self, plugin: Plugin, config: dict[str, str], base_url: str, api_token: str, display: Any) -> None:
        self.state = State()
        self._plugin = plugin
        self._config = {**config, "cloudflare:baseUrl": base_url, "cloudflare:apiToken": api_token}
        self._display = display
        self._api = Api(base_url, api_token)
        self._target = Target(base_url, api_token)
        types = {**cloudflare_types(self._api), **dict.fromkeys(OWN_TYPES, PluginType(plugin.stub))}
        self._types = ResourceTypes(types, DynamicType(self._config, "hosted"), TYPE_PREFIX)

    def close(self) -> None:
        self._api.close()

    @contextmanager
    def playing(self, project: str, stack: str, *, dry_run: bool = False) -> Generator[str]:
        """Run an engine for a program; give the address of its monitor."""
        engine = Engine(self.state, lambda _: None, self._types, self._display, self._target, dry_run=dry_run)
        server = grpc.server(ThreadPoolExecutor(WORKERS))
        port = server.add_insecure_port("127.0.0.1:0")
        address = f"127.0.0.1:{port}"
        monitor = Monitor(engine, project, stack)
        servicer = _Monitor(monitor, self._plugin, self._config, project, stack, address, dry_run=dry_run)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(servicer, server)  # pyright: ignore[reportUnknownMemberType]
        server.start()
        try:
            yield address
            engine.finish(complete=not engine.failures)
        finally:
            server.stop(None)
        if engine.failures:
            raise AssertionError("\n".join(map(str, engine.failures)))

    def destroy(self) -> None:
        engine = Engine(self.state, lambda _: None, self._types, self._display, self._target, dry_run=False)
        engine.delete(list(self.state.resources))
        assert engine.failures == []


class _Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """The monitor of the local deploy, and remote components beside it. Method names are the protocol's."""

    def __init__(
        self,
        monitor: Monitor,
        plugin: Plugin,
        config: dict[str, str],
        project: str,
        stack: str,
        address: str,
        *,
        dry_run: bool,
    ) -> None:
        self._monitor = monitor
        self._plugin = plugin
        self._config = config
        self._project = project
        self._stack = stack
        self._address = address
        self._dry_run = dry_run

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in FEATURES)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return self._monitor.GetDeploymentInfo(request)

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        try:
            return self._construct(request) if request.remote else self._monitor.RegisterResource(request)
        except Exception as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return self._monitor.RegisterResourceOutputs(request)

    def SignalAndWaitForShutdown(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return empty_pb2.Empty()

    def _construct(self, request: Any) -> Any:
        dependencies = {
            name: provider_pb2.ConstructRequest.PropertyDependencies(urns=list(value.urns))
            for name, value in request.propertyDependencies.items()
        }
        try:
            reply = self._plugin.stub.Construct(
                provider_pb2.ConstructRequest(
                    project=self._project,
                    stack=self._stack,
                    config=self._config,
                    configSecretKeys=["cloudflare:apiToken"],
                    dryRun=self._dry_run,
                    monitorEndpoint=self._address,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    inputs=request.object,
                    inputDependencies=dependencies,
                    providers=request.providers,
                    aliases=request.aliases,
                    dependencies=request.dependencies,
                    protect=request.protect,
                ),
                timeout=CALL_SECONDS,
            )
        except grpc.RpcError as error:
            raise DeployError(error.details()) from error  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] a call's error has them
        return resource_pb2.RegisterResourceResponse(urn=reply.urn, object=reply.state)


class _Log(engine_pb2_grpc.EngineServicer):
    """Where programs say what they have to. Method names are the protocol's."""

    def __init__(self, said: list[str]) -> None:
        self._said = said
        self._root = ""

    def Log(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._said.append(request.message)
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return engine_pb2.RequirePulumiVersionResponse()

    def GetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

"""Offers the component to programs in other languages, as a Pulumi plugin that the CLI starts in its own process.

The plugin constructs the component, and also provides the component's own resources (``own_resource.py``): a TypeScript
program has no Python in which they could run as dynamic resources.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf import empty_pb2, struct_pb2
from pulumi.dynamic import ResourceProvider
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime import proto, rpc, settings
from pulumi.runtime.proto import provider_pb2_grpc

from .d1_migrations import D1Migrations
from .own_resource import PACKAGE, begin_hosting, type_token
from .parts_record import PartsRecord
from .rollout import Rollout
from .task_runner import TaskRunner

VERSION = "0.1.0"

MAX_MESSAGE_BYTES = 400 * 1024 * 1024
"""The limit that Pulumi's own plugins use. Messages contain the Worker's code, so that gRPC's default would be too
small.
"""

_T = TypeVar("_T")


def is_plugin_process() -> bool:
    """Tell whether Pulumi started this process as a plugin. A stack's program, in contrast, has a resource monitor."""
    return settings.get_monitor() is None


def serve() -> None:
    """Serve the component until the process ends. Pulumi reads the port from standard output.

    Pulumi's ``component_provider_host`` does the same for plugins that only have components.
    """
    begin_hosting()
    asyncio.run(_serve(sys.argv[-1] if len(sys.argv) > 1 else ""))


async def _serve(engine_address: str) -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)])
    provider = ComponentProvider([TaskRunner], PACKAGE, version=VERSION)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Host(provider, sys.argv[1:], engine_address), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


class Host(ProviderServicer):
    """Constructs the component and provides its own resources. The method names are those of Pulumi's protocol."""

    _providers: Mapping[str, ResourceProvider] = {
        type_token(kind): kind.make_provider() for kind in (D1Migrations, PartsRecord, Rollout)
    }

    async def Configure(self, request: Any, context: Any) -> proto.ConfigureResponse:  # noqa: ARG002, N802
        """Ask the engine for inputs without secret marks; it marks the outputs that depend on them as secret again."""
        return proto.ConfigureResponse(acceptSecrets=False, acceptResources=True, acceptOutputs=True)

    async def Check(self, request: Any, context: Any) -> proto.CheckResponse:  # noqa: N802
        """Check a resource's new inputs against its old ones."""
        provider, olds, news = self._provider(request.urn), _read(request.olds), _read(request.news)
        result = await _guarded(context, lambda: provider.check(olds, news))
        failures = [proto.CheckFailure(property=each.property, reason=each.reason) for each in result.failures]
        return proto.CheckResponse(inputs=await _written(result.inputs), failures=failures)

    async def Diff(self, request: Any, context: Any) -> proto.DiffResponse:  # noqa: N802
        """Compare the wanted state with the present one."""
        provider, olds, news = self._provider(request.urn), _read(request.olds), _read(request.news)
        result = await _guarded(context, lambda: provider.diff(request.id, olds, news))
        changes = proto.DiffResponse.DIFF_SOME if result.changes else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(changes=changes, replaces=result.replaces or [])

    async def Create(self, request: Any, context: Any) -> proto.CreateResponse:  # noqa: N802
        """Create a resource."""
        provider, properties = self._provider(request.urn), _read(request.properties)
        result = await _guarded(context, lambda: provider.create(properties))
        return proto.CreateResponse(id=result.id, properties=await _written(result.outs or {}))

    async def Update(self, request: Any, context: Any) -> proto.UpdateResponse:  # noqa: N802
        """Update a resource."""
        provider, olds, news = self._provider(request.urn), _read(request.olds), _read(request.news)
        result = await _guarded(context, lambda: provider.update(request.id, olds, news))
        return proto.UpdateResponse(properties=await _written(result.outs or {}))

    async def Read(self, request: Any, context: Any) -> proto.ReadResponse:  # noqa: N802
        """Read a resource."""
        provider, properties = self._provider(request.urn), _read(request.properties)
        result = await _guarded(context, lambda: provider.read(request.id, properties))
        return proto.ReadResponse(
            id=result.id or "", properties=await _written(result.outs or {}), inputs=request.inputs
        )

    async def Delete(self, request: Any, context: Any) -> empty_pb2.Empty:  # noqa: N802
        """Delete a resource."""
        provider, properties = self._provider(request.urn), _read(request.properties)
        await _guarded(context, lambda: provider.delete(request.id, properties))
        return empty_pb2.Empty()

    def _provider(self, urn: str) -> ResourceProvider:
        """Return the provider of a resource's type, which is the last type in its URN, after those of its parents."""
        return self._providers[urn.split("::")[2].rsplit("$", 1)[-1]]


def _read(properties: struct_pb2.Struct) -> dict[str, Any]:
    return cast("dict[str, Any]", rpc.unwrap_rpc_secret(rpc.deserialize_properties(properties, keep_unknowns=True)))


async def _written(properties: dict[str, Any]) -> struct_pb2.Struct:
    return await cast("Awaitable[struct_pb2.Struct]", rpc.serialize_properties(properties, {}))


async def _guarded(context: Any, work: Callable[[], _T]) -> _T:
    """Run work that waits for Cloudflare in a thread; report its exception's own message to Pulumi."""
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        await context.abort(grpc.StatusCode.UNKNOWN, str(error) or type(error).__name__)
        raise

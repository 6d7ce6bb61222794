"""The resource monitor and the engine log that Pulumi's SDK calls, in this process instead of over gRPC."""

import threading
from typing import NoReturn

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from local.pulumi.engine import Engine
from local.pulumi.errors import DeployError
from local.pulumi.goal import goal_from_request
from local.pulumi.steps import Display, Severity
from local.pulumi.wire import from_struct, to_struct

_FEATURES = [
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
]

_SEVERITIES: dict[int, Severity] = {
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor:
    """Answers the SDK's calls, which come from several threads. The method names are the protocol's."""

    def __init__(self, engine: Engine, project: str, stack: str) -> None:
        self._engine = engine
        self._project = project
        self._stack = stack
        self._aliases: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, _request: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:  # noqa: N802
        """Return which features the engine has; the SDK refuses programs that use others."""
        return resource_pb2.DeploymentInfo(supportedFeatures=_FEATURES)

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        """Create or update a resource as the program wants it."""
        with self._lock:
            goal = goal_from_request(request, self._stack, self._project, self._aliases)
            self._aliases[goal.urn] = goal.aliases
        registered = self._engine.register(goal)
        return resource_pb2.RegisterResourceResponse(
            urn=registered.urn, id=registered.id, object=to_struct(registered.outputs)
        )

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> empty_pb2.Empty:  # noqa: N802
        """Take the outputs of the stack or of a component."""
        self._engine.set_outputs(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, _request: empty_pb2.Empty) -> empty_pb2.Empty:  # noqa: N802
        """Let the program end at once: nothing here calls back into it."""
        return empty_pb2.Empty()

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> NoReturn:  # noqa: N802
        """Refuse a provider function."""
        _refuse(f"the function {request.tok}")

    def Call(self, request: resource_pb2.ResourceCallRequest) -> NoReturn:  # noqa: N802
        """Refuse a method of a resource."""
        _refuse(f"the method {request.tok}")

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> NoReturn:  # noqa: N802
        """Refuse to read a resource that the stack does not own."""
        _refuse(f"reading an existing resource ({request.type} {request.name})")

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse all other methods of the protocol."""
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(f"the engine feature {name}")


class EngineLog:
    """Takes the program's messages from pulumi.log."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802
        """Pass a message on; debug messages are the SDK's own."""
        severity = _SEVERITIES.get(request.severity)
        if severity:
            self._display.message(severity, request.message, request.urn)
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, _request: engine_pb2.RequirePulumiVersionRequest) -> empty_pb2.Empty:  # noqa: N802
        """Accept every version: there is no CLI."""
        return empty_pb2.Empty()


def _refuse(what: str) -> NoReturn:
    raise DeployError(f"{what} is not supported by the local deploy; the Pulumi CLI has it")

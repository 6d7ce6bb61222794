"""A task runner declared under Pulumi's mocks: every resource with its exact inputs and dependencies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from unittest import mock

import pulumi
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import run_pulumi_func
from pulumi.runtime.sync_await import _sync_await  # pyright: ignore[reportPrivateUsage]

from components import TaskRunner, TaskRunnerArgs
from components.part import Part
from components.worker_code import WorkerCode, build_worker

ACCOUNT_ID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Registration:
    """What the engine is told of a resource."""

    type: str
    inputs: dict[str, Any]
    depends_on: frozenset[str]
    """The names of the resources that must be there before it."""
    parent: str
    protect: bool
    provider: str = ""
    ignore_changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordedStack:
    """Every resource by name, in the order of registration, and the component's outputs."""

    resources: dict[str, Registration]
    outputs: dict[str, Any]

    def inputs(self, name: str) -> dict[str, Any]:
        return self.resources[name].inputs

    def precedes(self, first: str, second: str) -> bool:
        """Tell whether the second resource waits for the first, over any number of steps."""
        direct = self.resources[second].depends_on
        return first in direct or any(self.precedes(first, each) for each in direct if each in self.resources)


class _Mocks(pulumi.runtime.Mocks):
    """Answers with the inputs, and with the ids that Cloudflare would give."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs: dict[str, Any] = args.inputs  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        computed: dict[str, dict[str, Any]] = {
            "cloudflare:index/d1Database:D1Database": {"uuid": f"{args.name} uuid"},
            "cloudflare:index/queue:Queue": {"queueId": f"{args.name} id"},
            "cloudflare:index/worker:Worker": {"subdomain": {**inputs.get("subdomain", {}), "url": "http://worker"}},
            "pulumi-python:dynamic/task-runner:Rollout": {"split": [{"version_id": "v2", "percentage": 100}]},
        }
        return f"{args.name} id", {**inputs, **computed.get(args.typ, {})}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"the program calls no function, yet {args.token} was called")


class _RecordingMonitor(mocks.MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Mocks())
        self.registrations: dict[str, Registration] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the name is gRPC's)
        if request.type != "pulumi:pulumi:Stack":
            self.registrations[request.name] = Registration(
                type=request.type,
                inputs=rpc.deserialize_properties(request.object),
                depends_on=frozenset(_name(urn) for urn in request.dependencies),
                parent=_name(request.parent),
                protect=request.protect,
                provider=_name(request.provider.rsplit("::", 1)[0]) if request.provider else "",
                ignore_changes=tuple(request.ignoreChanges),
                aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
            )
        response: Any = super().RegisterResource(request)  # pyright: ignore[reportUnknownMemberType]
        return response


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """Give the loop that the SDK expects of its thread; a test that ran ``asyncio.run`` before left the thread none."""
    return asyncio.new_event_loop()


_BUILT: dict[str, WorkerCode] = {}


def _build_once(
    stores: list[Part], engines: list[Part], handlers: object = None, *, nodejs: bool = False
) -> WorkerCode:
    """Build the Worker as the component has it built; the built-in handlers do not change meanwhile."""
    assert handlers is None
    key = repr((stores, engines, nodejs))
    if key not in _BUILT:
        _BUILT[key] = build_worker(stores, engines, nodejs=nodejs)
    return _BUILT[key]


def record(declare: Callable[[], Any]) -> tuple[dict[str, Registration], Any]:
    """Run a part of a program under mocks; return what it registered and what it returned."""
    asyncio.set_event_loop(_event_loop())
    monitor = _RecordingMonitor()
    mocks.set_mocks(monitor.mocks, project="ephemera", stack="test", monitor=monitor)
    returned: list[Any] = []

    async def program() -> None:
        returned.append(declare())

    with mock.patch("components.task_runner.build_worker", _build_once):
        _sync_await(run_pulumi_func(program))
    return monitor.registrations, returned[0]


def record_task_runner(
    name: str = "task-runner",
    opts: Callable[[], pulumi.ResourceOptions] | None = None,
    **settings: Any,
) -> RecordedStack:
    """Declare a task runner with these settings, open to all where nothing else is said."""

    def declare() -> TaskRunner:
        return TaskRunner(name, task_runner_args(**settings), opts() if opts else None)

    return record_component(declare)


def task_runner_args(**settings: Any) -> TaskRunnerArgs:
    """Return settings, open to all where nothing else is said."""
    if "api_tokens" not in settings:
        settings = {"public": True, **settings}
    given: dict[str, Any] = {"account_id": ACCOUNT_ID, **settings}
    return TaskRunnerArgs(**given)


def record_component(declare: Callable[[], TaskRunner]) -> RecordedStack:
    """Declare a task runner with whatever else a program has, and keep its outputs."""
    outputs: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        outputs[name] = value

    def program() -> None:
        for name, output in declare().outputs.items():
            output.apply(partial(keep, name))

    registrations, _ = record(program)
    return RecordedStack(registrations, outputs)

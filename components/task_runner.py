"""The task runner as one Pulumi component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pulumi
import pulumi_cloudflare as cloudflare

from components.engine import ENGINES, Engine
from components.former_parts import FormerParts, former_bindings
from components.part import Part, engine_of, store_of
from components.shards import Shards
from components.state_store import DURABLE_OBJECT_CLASS, STATE_STORES, Bindings, StateStore, read_caveat
from components.task_runner_args import Engine as EngineName
from components.task_runner_args import StateStore as StateStoreName
from components.task_runner_args import TaskRunnerArgs
from components.worker_code import COMPATIBILITY_DATE, MAIN_MODULE, SWEPT_STORES, read_modules
from components.worker_settings import RESERVED_BINDINGS, settings_bindings

SWEEP_SCHEDULE = "* * * * *"
"""When the sweeper runs: every minute, the shortest that a cron trigger takes."""

PROTECTED_ENVIRONMENTS = frozenset({"uat", "prod"})
"""Where a store cannot be deleted or replaced before it is unprotected."""


class TaskRunner(pulumi.ComponentResource):
    """An asynchronous task runner: an HTTP API, a store of task state, and what carries a task to its handler.

    Resources are created in the order in which they need each other, so that no request, message or cron run ever meets
    a Worker without its parts: store and queues; schema; code; consumer, workflow and cron. They are deleted in the
    reverse order.
    """

    outputs: dict[str, pulumi.Output[str | None]]
    """``url`` (providers before 6.23 do not tell it) and ``worker_name``; then, with d1, ``database_name`` and
    ``database_id``; with kv, ``namespace_name`` and ``namespace_id``; with durable-object, ``durable_object_class``;
    with queue, ``queue_name``, ``queue_id``, ``dlq_name`` and ``dlq_id``; with workflow, ``workflow_name``. Those of
    further shards end in their number: ``database_name_1``. Those of former stores and engines are among them for as
    long as these are kept."""

    def __init__(
        self,
        name: str,
        args: TaskRunnerArgs,
        former: FormerParts | None = None,
        opts: pulumi.ResourceOptions | None = None,
        *,
        bindings: Sequence[cloudflare.WorkerVersionBindingArgs] = (),
    ) -> None:
        """Declare a task runner.

        Args:
            name: the component's name; its children's names begin with it.
            args: the settings.
            former: the stores and engines that hold tasks of an earlier deployment, and until when; see
                ``read_former_parts``. None when there are none.
            opts: the component's options.
            bindings: what handlers need beside the task runner's own bindings: buckets, databases, services, secrets.

        Raises:
            ValueError: two bindings have one name.
        """
        super().__init__("ephemera:index:TaskRunner", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        former = former or {}
        self._tell_what_to_know(args, former)

        store_parts = [store_of(args), *(part for part in former if part.is_store)]
        engine_parts = [engine_of(args), *(part for part in former if not part.is_store)]
        stores = [
            STATE_STORES[cast("StateStoreName", each)](name, args, child, shards)
            for each, shards in _shards(args, store_parts).items()
        ]
        engines = [
            ENGINES[cast("EngineName", each)](name, args, child, shards)
            for each, shards in _shards(args, engine_parts).items()
        ]

        worker = _declare_worker(name, args, child, stores, engines)
        parts = [*stores, *engines]
        all_bindings = _all_bindings(
            [settings_bindings(args), former_bindings(former), *(each.bindings for each in parts)], bindings
        )
        version = _declare_version(
            name,
            args,
            child,
            worker,
            [*store_parts, *engine_parts],
            all_bindings,
            [each for store in stores for each in store.ready],
        )
        deployment = _declare_deployment(name, args, child, worker, version)
        for engine in engines:
            engine.attach(deployment.script_name)
        _declare_sweeper(
            name, args, child, deployment, is_needed=any(each.name in SWEPT_STORES for each in store_parts)
        )

        self.outputs = {
            "url": worker.subdomain.apply(_url),
            "worker_name": worker.name,
            **{key: pulumi.Output.from_input(value) for part in parts for key, value in part.outputs.items()},
        }
        self.register_outputs(self.outputs)

    def _tell_what_to_know(self, args: TaskRunnerArgs, former: FormerParts) -> None:
        caveat = read_caveat(args.state_store)
        if caveat:
            pulumi.log.warn(caveat, resource=self)
        if args.durable_object_data == "delete":
            pulumi.log.warn(
                f"durable_object_data is delete: class {DURABLE_OBJECT_CLASS} goes, with every task in its objects; "
                "there is no way back",
                resource=self,
            )
        for part, until in former.items():
            kept = "its objects delete themselves; durable_object_data says what becomes of their class"
            then = kept if part.name == "durable-object" else f"the first `up` after {until} removes it"
            pulumi.log.info(f"tasks in the former {part} are read and finished there; {then}", resource=self)


def _shards(args: TaskRunnerArgs, parts: Sequence[Part]) -> dict[str, Shards]:
    """Return the names of parts, in their order, with as many shards as the part of that name has that has the most."""
    present = store_of(args)
    protected = {present.name: present.shards} if args.env in PROTECTED_ENVIRONMENTS else {}
    counts = {each.name: max(other.shards for other in parts if other.name == each.name) for each in parts}
    return {name: Shards(count, protected.get(name, 0)) for name, count in counts.items()}


def _declare_worker(
    name: str,
    args: TaskRunnerArgs,
    opts: pulumi.ResourceOptions,
    stores: Sequence[StateStore],
    engines: Sequence[Engine],
) -> cloudflare.Worker:
    before = [resource for store in stores for resource in store.holds_state]
    before += [resource for engine in engines for resource in engine.precedes_worker]
    holds_state = args.env in PROTECTED_ENVIRONMENTS and args.state_store == "durable-object"
    return cloudflare.Worker(
        f"{name}-worker",
        account_id=args.account_id,
        name=f"task-runner-{args.env}",
        subdomain=cloudflare.WorkerSubdomainArgs(enabled=True, previews_enabled=False),
        observability=cloudflare.WorkerObservabilityArgs(
            enabled=True,
            head_sampling_rate=1,
            logs=cloudflare.WorkerObservabilityLogsArgs(
                enabled=True, head_sampling_rate=1, invocation_logs=True, persist=True
            ),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=before, protect=holds_state)),
    )


def _all_bindings(
    parts: Sequence[Bindings], own: Sequence[cloudflare.WorkerVersionBindingArgs]
) -> list[cloudflare.WorkerVersionBindingArgs]:
    """Join bindings in the order in which the API answers: another one is a change."""
    bindings: Bindings = {name: binding for part in parts for name, binding in part.items()}
    taken: list[str] = []
    for binding in own:
        name: str = cast("Any", binding).name
        if name in bindings or name in RESERVED_BINDINGS:
            taken.append(name)
        bindings[name] = binding
    if taken:
        raise ValueError(f"bindings: expected names that the task runner has no use for, got {', '.join(taken)}")
    return [bindings[name] for name in sorted(bindings)]


def _declare_version(
    name: str,
    args: TaskRunnerArgs,
    opts: pulumi.ResourceOptions,
    worker: cloudflare.Worker,
    parts: Sequence[Part],
    bindings: Sequence[cloudflare.WorkerVersionBindingArgs],
    ready: Sequence[pulumi.Resource],
) -> cloudflare.WorkerVersion:
    """Upload the code. Versions cannot change, so each change of code or bindings is a new one."""
    exports = _durable_object_exports(args, parts)
    return cloudflare.WorkerVersion(
        f"{name}-version",
        account_id=args.account_id,
        worker_id=worker.id,
        main_module=MAIN_MODULE,
        compatibility_date=COMPATIBILITY_DATE,
        modules=read_modules(parts),
        bindings=bindings,
        exports=exports,
        # A class can only come or go with a version that is deployed at once, to all traffic.
        deploy=True if exports else None,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=ready)),
    )


def _durable_object_exports(
    args: TaskRunnerArgs, parts: Sequence[Part]
) -> Mapping[str, cloudflare.WorkerVersionExportsArgs] | None:
    if any(each.name == "durable-object" for each in parts):
        return {DURABLE_OBJECT_CLASS: cloudflare.WorkerVersionExportsArgs(type="durable-object", storage="sqlite")}
    if args.durable_object_data == "delete":
        return {DURABLE_OBJECT_CLASS: cloudflare.WorkerVersionExportsArgs(type="durable-object", state="deleted")}
    return None


def _declare_deployment(
    name: str,
    args: TaskRunnerArgs,
    opts: pulumi.ResourceOptions,
    worker: cloudflare.Worker,
    version: cloudflare.WorkerVersion,
) -> cloudflare.WorkersDeployment:
    return cloudflare.WorkersDeployment(
        f"{name}-deployment",
        account_id=args.account_id,
        script_name=worker.name,
        strategy="percentage",
        versions=[cloudflare.WorkersDeploymentVersionArgs(version_id=version.id, percentage=100)],
        opts=opts,
    )


def _declare_sweeper(
    name: str,
    args: TaskRunnerArgs,
    opts: pulumi.ResourceOptions,
    deployment: cloudflare.WorkersDeployment,
    *,
    is_needed: bool,
) -> None:
    """Declare when the sweeper runs; where it has nothing to do, that it never runs.

    The provider does not take a schedule away when the resource goes, so a stack that left D1 would be woken for ever.
    """
    schedules = [cloudflare.WorkersCronTriggerScheduleArgs(cron=SWEEP_SCHEDULE)] if is_needed else []
    cloudflare.WorkersCronTrigger(
        f"{name}-sweeper",
        account_id=args.account_id,
        script_name=deployment.script_name,
        schedules=schedules,
        opts=opts,
    )


def _url(subdomain: Mapping[str, str]) -> str | None:
    return subdomain.get("url")

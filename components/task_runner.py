"""The task runner as one Pulumi component resource."""

# No postponed annotations here: Pulumi reads the types of the outputs to give the component to other languages.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
import pulumi_cloudflare as cloudflare

from .d1_migrations import read_migrations
from .declaration import Bindings, Declaration, applied
from .engine import ENGINES, Engine, QueueEngine, WorkflowEngine, recorded_engine
from .names import Names
from .own_resource import PACKAGE, is_hosted
from .part import Part, engines_of, stores_of
from .parts_record import PartsRecord
from .provider_settings import default_base_url, provider_settings
from .rollout import ALL, BREAKING, Rollout
from .rules import is_secret
from .schedules import require_known_to_the_worker
from .state_store import (
    DURABLE_OBJECT_CLASS,
    STATE_STORES,
    D1StateStore,
    KvStateStore,
    StateStore,
    read_caveat,
    recorded_stores,
)
from .task_runner_args import ApiToken, TaskRunnerArgs, checked, is_plain, rules, settings_of
from .worker_code import (
    COMPATIBILITY_DATE,
    MAIN_MODULE,
    MIGRATIONS_FOLDER,
    NODEJS_FLAG,
    SWEPT_STORES,
    WorkerCode,
    build_worker,
)
from .worker_settings import RESERVED_BINDINGS, fingerprint, settings_bindings

SWEEP_SCHEDULE = "* * * * *"
"""The cron expression of the sweeper: every minute, the shortest interval of a cron trigger."""


class TaskRunner(pulumi.ComponentResource):
    """An asynchronous task runner: an HTTP API, a store of task state, and an engine that delivers tasks to handlers.

    Each resource is created after those that it needs, so that no request, message or cron run reaches a Worker whose
    parts are missing: first store and queues, then the schema, the code, and last the consumer, the workflow and the
    cron trigger. Deletion runs in the reverse order. The arguments alone decide what is declared.
    """

    url: pulumi.Output[str]
    """The API's URL: its own domain if it has one, otherwise on workers.dev."""
    worker_name: pulumi.Output[str]
    """The Worker's name."""
    database_name: pulumi.Output[str] | None
    """With d1: the name of the first database."""
    database_id: pulumi.Output[str] | None
    """With d1: the UUID of the first database."""
    database_ids: pulumi.Output[Sequence[str]] | None
    """With d1: the UUIDs of all databases, one for each shard."""
    namespace_name: pulumi.Output[str] | None
    """With kv: the title of the namespace."""
    namespace_id: pulumi.Output[str] | None
    """With kv: the id of the namespace."""
    durable_object_class: pulumi.Output[str] | None
    """With durable-object: the name of the class."""
    queue_name: pulumi.Output[str] | None
    """With queue: the name of the first queue."""
    queue_id: pulumi.Output[str] | None
    """With queue: the id of the first queue."""
    queue_ids: pulumi.Output[Sequence[str]] | None
    """With queue: the ids of all queues, one for each shard."""
    high_queue_ids: pulumi.Output[Sequence[str]] | None
    """With priorities: the ids of the queues of high priority, one for each shard."""
    low_queue_ids: pulumi.Output[Sequence[str]] | None
    """With priorities: the ids of the queues of low priority, one for each shard."""
    dlq_name: pulumi.Output[str] | None
    """With queue: the name of the dead-letter queue."""
    dlq_id: pulumi.Output[str] | None
    """With queue: the id of the dead-letter queue."""
    workflow_name: pulumi.Output[str] | None
    """With workflow: the name of the Workflow."""
    version_id: pulumi.Output[str]
    """The id of the newest version of the Worker."""
    deployment_id: pulumi.Output[str]
    """The id of the deployment, which names the versions and their shares of the traffic."""
    code_bytes: pulumi.Output[int]
    """The size of the Worker after compression, in bytes."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a task runner.

        Args:
            name: the component's name. Cloudflare's names begin with it, so two components of one account and ``env``
                need different names.
            args: the settings.
            opts: the component's options; its children inherit them.

        Raises:
            ValueError: Cloudflare's names would be invalid, two bindings have one name, or everybody could call the API
                of a real account although the settings do not allow it.
            HandlersError: a handler is wrong.
        """
        given = _as_args(args)
        names = Names(name, cast("str", given.env))
        stores, engines = stores_of(given), engines_of(given)
        code = _build(given, stores, engines)
        if given.schedules and not isinstance(given.schedules, pulumi.Output):
            require_known_to_the_worker(cast("Any", given.schedules), code.handlers)
        super().__init__(f"{PACKAGE}:index:TaskRunner", name, _reviewed(given, code), opts)
        settings = provider_settings(self)
        base_url = default_base_url() if settings is None else settings["base_url"]
        record_options = pulumi.ResourceOptions(parent=self, depends_on=opts.depends_on if opts else None)
        declaration = Declaration(name, checked(given, base_url), names, record_options, settings)
        record = _declare_record(declaration, stores, engines)
        after = pulumi.ResourceOptions.merge(record_options, pulumi.ResourceOptions(depends_on=[record]))
        declaration = Declaration(name, declaration.args, names, after, settings)
        self._tell_what_to_know(declaration.args, code)
        self._declare(declaration, code, stores, engines)
        self.code_bytes = pulumi.Output.from_input(code.compressed_bytes)
        self.register_outputs(self.outputs)

    @property
    def outputs(self) -> dict[str, pulumi.Output[Any]]:
        """The component's outputs by name, without those that it does not have."""
        names = [name for name in type(self).__annotations__ if not name.startswith("_")]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _declare(
        self, declaration: Declaration, code: WorkerCode, store_parts: Sequence[Part], engine_parts: Sequence[Part]
    ) -> None:
        stores: list[StateStore] = [STATE_STORES[each.name](declaration, each) for each in store_parts]
        engines: list[Engine] = [ENGINES[each.name](declaration, each) for each in engine_parts]
        worker = _declare_worker(declaration, stores, engines, store_parts)
        version = _declare_version(declaration, worker, code, stores, engines, store_parts)
        rollout = _declare_rollout(declaration, version, store_parts, engine_parts)
        deployment = cloudflare.WorkersDeployment(
            f"{declaration.name}-deployment",
            account_id=declaration.args.account_id,
            script_name=worker.name,
            strategy="percentage",
            versions=rollout.split.apply(_deployed),
            opts=declaration.options(),
        )
        self.version_id = version.id
        self.deployment_id = deployment.id
        for engine in engines:
            engine.attach(deployment.script_name)
        # An object sweeps itself after its first write. The cron trigger creates its first schedules and checks alerts.
        is_swept = any(each.name in SWEPT_STORES for each in store_parts)
        is_swept = is_swept or declaration.args.schedules != () or declaration.args.alerts != ()
        _declare_sweeper(declaration, deployment, is_needed=is_swept)
        _declare_addresses(declaration, deployment)
        self._set_outputs(declaration, worker, stores, engines)

    def _set_outputs(
        self,
        declaration: Declaration,
        worker: cloudflare.Worker,
        stores: Sequence[StateStore],
        engines: Sequence[Engine],
    ) -> None:
        databases = [each for store in stores if isinstance(store, D1StateStore) for each in store.databases]
        namespace = next((store.namespace for store in stores if isinstance(store, KvStateStore)), None)
        queue_engine = next((engine for engine in engines if isinstance(engine, QueueEngine)), None)
        queues = queue_engine.queues if queue_engine else []
        workflow = next((engine for engine in engines if isinstance(engine, WorkflowEngine)), None)
        has_objects = any("TASK_DO" in store.bindings for store in stores)
        self.url = _url(declaration.args.domain, worker)
        self.worker_name = worker.name
        self.database_name = databases[0].name if databases else None
        self.database_id = databases[0].uuid if databases else None
        self.database_ids = pulumi.Output.all(*(each.uuid for each in databases)) if databases else None
        self.namespace_name = namespace.title if namespace else None
        self.namespace_id = namespace.id if namespace else None
        self.durable_object_class = pulumi.Output.from_input(DURABLE_OBJECT_CLASS) if has_objects else None
        self.queue_name = queues[0].queue_name if queues else None
        self.queue_id = queues[0].queue_id if queues else None
        self.queue_ids = _ids(queues)
        self.high_queue_ids = _ids(queue_engine.queues_of.get("high", ()) if queue_engine else ())
        self.low_queue_ids = _ids(queue_engine.queues_of.get("low", ()) if queue_engine else ())
        self.dlq_name = queue_engine.dead_letter_queue.queue_name if queue_engine else None
        self.dlq_id = queue_engine.dead_letter_queue.queue_id if queue_engine else None
        self.workflow_name = pulumi.Output.from_input(workflow.workflow_name) if workflow else None

    def _tell_what_to_know(self, args: TaskRunnerArgs, code: WorkerCode) -> None:
        caveat = read_caveat(cast("Any", args.state_store))
        for remark in [*code.remarks, *filter(None, [caveat])]:
            pulumi.log.warn(remark, resource=self)
        if args.durable_object_data == "delete":
            pulumi.log.warn(
                f"durable_object_data is delete: class {DURABLE_OBJECT_CLASS} goes, with every task in its objects; "
                "there is no way back",
                resource=self,
            )
        former = [*(args.former_state_stores or ()), *(args.former_engines or ())]
        if former:
            pulumi.log.info(
                f"tasks in the former {' and '.join(former)} are read and finished there; `python -m ops former` tells "
                "when it can be taken out of the settings",
                resource=self,
            )


def _ids(queues: Sequence[cloudflare.Queue]) -> pulumi.Output[Sequence[str]] | None:
    return pulumi.Output.all(*(each.queue_id for each in queues)) if queues else None


def _as_args(args: TaskRunnerArgs | Mapping[str, Any]) -> TaskRunnerArgs:
    """Return the settings. Programs in other languages pass a mapping in which every number is a double."""
    if isinstance(args, TaskRunnerArgs):
        return args
    return TaskRunnerArgs(**{name: applied(value, _with_whole_numbers) for name, value in args.items()})


def _with_whole_numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_whole_numbers(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _with_whole_numbers(each) for key, each in cast("dict[str, Any]", value).items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _build(args: TaskRunnerArgs, stores: Sequence[Part], engines: Sequence[Part]) -> WorkerCode:
    flags = args.compatibility_flags
    nodejs = not is_plain(flags) or NODEJS_FLAG in cast("Sequence[str]", flags)
    return build_worker(stores, engines, Path(args.handlers) if args.handlers else None, nodejs=nodejs)


def _reviewed(args: TaskRunnerArgs, code: WorkerCode) -> dict[str, Any]:
    """Return the component's inputs, which a preview shows to the reviewer: settings and code, but no secrets."""
    settings = {name: value for name, value in settings_of(args).items() if not is_secret(rules()[name])}
    if is_plain(args.api_tokens):
        settings["api_tokens"] = [
            f"{each['name']}: {each.get('role', 'operate')}" for each in cast("Sequence[ApiToken]", args.api_tokens)
        ]
    return {**settings, "code": code.sources}


def _declare_record(declaration: Declaration, stores: Sequence[Part], engines: Sequence[Part]) -> PartsRecord:
    recorded = [each for part in stores for each in recorded_stores(declaration, part)]
    recorded += [each for part in engines for each in recorded_engine(declaration, part)]
    return PartsRecord(
        f"{declaration.name}-parts",
        account_id=declaration.args.account_id,
        parts=recorded,
        deletes_objects=declaration.args.durable_object_data == "delete",
        opts=declaration.options(),
    )


def _declare_worker(
    declaration: Declaration, stores: Sequence[StateStore], engines: Sequence[Engine], parts: Sequence[Part]
) -> cloudflare.Worker:
    args: Any = declaration.args  # none of its settings is None
    before = [resource for store in stores for resource in store.holds_state]
    before += [resource for engine in engines for resource in engine.precedes_worker]
    holds_state = parts[0].name == "durable-object"
    return cloudflare.Worker(
        f"{declaration.name}-worker",
        account_id=args.account_id,
        name=declaration.names.worker,
        subdomain=cloudflare.WorkerSubdomainArgs(enabled=args.workers_dev, previews_enabled=False),
        observability=cloudflare.WorkerObservabilityArgs(
            enabled=True,
            head_sampling_rate=args.log_sampling_rate,
            logs=cloudflare.WorkerObservabilityLogsArgs(
                enabled=True,
                head_sampling_rate=args.log_sampling_rate,
                invocation_logs=True,
                persist=args.log_persist,
                destinations=None if args.log_destinations == () else args.log_destinations,
            ),
            traces=_traces(args),
        ),
        opts=declaration.options(depends_on=before, protect=declaration.protects(holds_state)),
    )


def _traces(args: Any) -> cloudflare.WorkerObservabilityTracesArgs | None:
    """Return how requests are traced; None leaves the setting unset, which turns traces off."""
    if args.trace_sampling_rate == 0:
        return None
    return cloudflare.WorkerObservabilityTracesArgs(
        enabled=True,
        head_sampling_rate=args.trace_sampling_rate,
        persist=args.trace_persist,
        destinations=None if args.trace_destinations == () else args.trace_destinations,
    )


def _declare_version(
    declaration: Declaration,
    worker: cloudflare.Worker,
    code: WorkerCode,
    stores: Sequence[StateStore],
    engines: Sequence[Engine],
    parts: Sequence[Part],
) -> cloudflare.WorkerVersion:
    """Upload the code. Versions are immutable, so each change of code or bindings makes a new one."""
    args = declaration.args
    own = [settings_bindings(args, declaration.names), *(each.bindings for each in (*stores, *engines))]
    exports = _durable_object_exports(args, parts)
    flags = args.compatibility_flags
    return cloudflare.WorkerVersion(
        f"{declaration.name}-version",
        account_id=args.account_id,
        worker_id=worker.id,
        main_module=MAIN_MODULE,
        compatibility_date=COMPATIBILITY_DATE,
        compatibility_flags=None if flags == () else cast("Any", flags),
        placement=_placement(args.placement),
        modules=code.upload_inline() if is_hosted() else code.upload_files(),
        bindings=_all_bindings(own, args.bindings),
        exports=exports,
        limits=_limits(args.cpu_ms),
        # A Durable Object class can only be added or removed by a version that gets all traffic at once. A version that
        # is to get a part of the traffic, or none, must not be deployed here.
        deploy=True if exports and args.rollout_percent == ALL and not args.rollback_to else None,
        opts=declaration.options(depends_on=[each for store in stores for each in store.ready]),
    )


def _declare_rollout(
    declaration: Declaration, version: cloudflare.WorkerVersion, stores: Sequence[Part], engines: Sequence[Part]
) -> Rollout:
    args: Any = declaration.args  # none of its settings is None
    migrations = read_migrations(MIGRATIONS_FOLDER) if {"d1", "durable-object"} & {each.name for each in stores} else []
    needs = {
        "parts": [each.described for each in (*stores, *engines)],
        "classes": [DURABLE_OBJECT_CLASS] if any(each.name == "durable-object" for each in stores) else [],
        "bindings": applied(args.bindings, lambda known: [f"{_name_of(each)} {_type_of(each)}" for each in known]),
        "migrations": [each["name"] for each in migrations],
        "tokens": fingerprint(args.api_tokens),
    }
    return Rollout(
        f"{declaration.name}-rollout",
        version_id=version.id,
        rollout_percent=args.rollout_percent,
        rollback_to=args.rollback_to,
        needs=needs,
        breaking=[each["name"] for each in migrations if BREAKING in each["sql"].splitlines()],
        opts=declaration.options(),
    )


def _deployed(split: Sequence[Mapping[str, Any]]) -> list[cloudflare.WorkersDeploymentVersionArgs]:
    return [cloudflare.WorkersDeploymentVersionArgs(**each) for each in split]


def _limits(cpu_ms: Any) -> pulumi.Input[cloudflare.WorkerVersionLimitsArgs] | None:
    return applied(cpu_ms, lambda known: cloudflare.WorkerVersionLimitsArgs(cpu_ms=known) if known else None)


def _placement(placement: Any) -> pulumi.Input[cloudflare.WorkerVersionPlacementArgs] | None:
    def of(known: str) -> cloudflare.WorkerVersionPlacementArgs | None:
        if known == "smart":
            return cloudflare.WorkerVersionPlacementArgs(mode="smart")
        return cloudflare.WorkerVersionPlacementArgs(region=known) if known else None

    return applied(placement, of)


def _all_bindings(parts: Sequence[Bindings], own: Any) -> Any:
    """Join bindings, in the order in which the API returns them: another order would be a change.

    Raises:
        ValueError: two of them have one name.
    """
    if isinstance(own, pulumi.Output):
        return cast("pulumi.Output[Any]", own).apply(lambda known: _all_bindings(parts, known))
    bindings: dict[str, Any] = {name: binding for part in parts for name, binding in part.items()}
    taken: list[str] = []
    for binding in own:
        name = _name_of(binding)
        if name in bindings or name in RESERVED_BINDINGS:
            taken.append(name)
        bindings[name] = binding
    if taken:
        raise ValueError(f"bindings: expected names that the task runner has no use for, got {', '.join(taken)}")
    return [bindings[name] for name in sorted(bindings)]


def _name_of(binding: Any) -> str:
    name: Any = cast("Mapping[str, Any]", binding)["name"] if isinstance(binding, Mapping) else binding.name
    if not isinstance(name, str):
        raise TypeError("bindings: expected each name to be a plain text, because bindings are put in its order")
    return name


def _type_of(binding: Any) -> Any:
    return cast("Mapping[str, Any]", binding)["type"] if isinstance(binding, Mapping) else binding.type


def _durable_object_exports(
    args: TaskRunnerArgs, parts: Sequence[Part]
) -> Mapping[str, cloudflare.WorkerVersionExportsArgs] | None:
    if any(each.name == "durable-object" for each in parts):
        return {DURABLE_OBJECT_CLASS: cloudflare.WorkerVersionExportsArgs(type="durable-object", storage="sqlite")}
    if args.durable_object_data == "delete":
        return {DURABLE_OBJECT_CLASS: cloudflare.WorkerVersionExportsArgs(type="durable-object", state="deleted")}
    return None


def _declare_sweeper(declaration: Declaration, deployment: cloudflare.WorkersDeployment, *, is_needed: bool) -> None:
    """Declare when the sweeper runs. If it has nothing to do, declare an empty list of cron triggers.

    The provider does not remove a schedule when its resource is deleted, so a stack that no longer uses D1 would be
    woken for ever.
    """
    schedules = [cloudflare.WorkersCronTriggerScheduleArgs(cron=SWEEP_SCHEDULE)] if is_needed else []
    cloudflare.WorkersCronTrigger(
        f"{declaration.name}-sweeper",
        account_id=declaration.args.account_id,
        script_name=deployment.script_name,
        schedules=schedules,
        opts=declaration.options(),
    )


def _declare_addresses(declaration: Declaration, deployment: cloudflare.WorkersDeployment) -> None:
    """Give the Worker its domain and its route, after its code is deployed."""
    args: Any = declaration.args
    zone_id = None if args.zone_id == "" else args.zone_id
    if args.domain != "":
        cloudflare.WorkersCustomDomain(
            f"{declaration.name}-domain",
            account_id=args.account_id,
            hostname=args.domain,
            service=deployment.script_name,
            zone_id=zone_id,
            opts=declaration.options(),
        )
    if args.route != "":
        cloudflare.WorkersRoute(
            f"{declaration.name}-route",
            zone_id=args.zone_id,
            pattern=args.route,
            script=deployment.script_name,
            opts=declaration.options(),
        )


def _url(domain: Any, worker: cloudflare.Worker) -> pulumi.Output[str]:
    if domain != "":
        return pulumi.Output.from_input(domain).apply(lambda host: f"https://{host}")
    return cast("pulumi.Output[str]", worker.subdomain.apply(_subdomain_url))


def _subdomain_url(subdomain: Any) -> str | None:
    return subdomain.get("url")  # providers before 6.23 do not report it

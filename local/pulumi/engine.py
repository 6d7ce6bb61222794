"""Carries out what the program registers: decides each resource's step, performs it, and keeps the state correct.

Pulumi's SDK registers a resource only when everything that it depends on is done, and calls from several threads. So
independent resources are created concurrently, and no order has to be computed here.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from local.pulumi.deletion import deletion_order, protected_error, refuse_protected
from local.pulumi.diff import Diff, keep_old
from local.pulumi.errors import NOT_FOUND, ApiError, CheckError, DeployError, StepError, StoppedError
from local.pulumi.goal import Goal
from local.pulumi.resource_types import Created, ResourceType, ResourceTypes
from local.pulumi.state import Operation, PendingOperation, Resource, State, timestamp
from local.pulumi.steps import Action, Display, Step
from local.pulumi.target import Target
from local.pulumi.urn import PROVIDER_TYPE_PREFIX, STACK_TYPE, label
from local.pulumi.wire import UNKNOWN, Properties, has_secret, has_unknown, mark_like, reveal, secret

_T = TypeVar("_T")

_SUPPORTED_PROVIDER = "pulumi:providers:cloudflare"


@dataclass(frozen=True)
class Registered:
    """The answer to a registration; an empty id is not known yet (only in previews)."""

    urn: str
    id: str
    outputs: Properties


class Engine:
    """One run over a stack. With `dry_run` it changes only the state that it is given.

    `save` is called after every change of the state. `failures` has the errors, in order.
    """

    def __init__(
        self,
        state: State,
        save: Callable[[State], None],
        types: ResourceTypes,
        display: Display,
        target: Target,
        *,
        dry_run: bool,
    ) -> None:
        self.state = state
        self.failures: list[StepError] = []
        self.tally: Counter[Action] = Counter()
        self.interrupted = False
        self.dry_run = dry_run
        self._save = save
        self._types = types
        self._display = display
        self._target = target
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._active = 0
        self._seen: set[str] = set()
        self._outputs: dict[str, Properties] = {}
        self._placed = 0
        self._deleted_early: set[str] = set()

    def interrupt(self) -> None:
        """Start no more steps; steps in progress are finished."""
        self.interrupted = True

    def register(self, goal: Goal) -> Registered:
        """Create or update one resource as the program wants. Raises StepError, or StoppedError after the run's end."""
        with self._underway():
            try:
                return self._register(goal)
            except StepError as error:
                self._note(error)
                raise
            except DeployError as error:
                raise self._note(StepError(goal.urn, f"{label(goal.urn)}: {error}")) from error

    def set_outputs(self, urn: str, outputs: Properties) -> None:
        """Take the outputs of the stack or of a component; they are stored once the whole run has succeeded."""
        with self._lock:
            self._outputs[urn] = outputs

    def finish(self, *, complete: bool) -> None:
        """Delete replaced resources and those that the program no longer has, and save.

        If the program or a step failed (not `complete`), only wait for steps in progress, and save.
        """
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0)
        if complete and not self._stopped():
            self._store_outputs()
            going = [item for item in self.state.resources if item.replaced or item.urn not in self._seen]
            self.delete(going)
        with self._lock:
            self._save(self.state)

    def _store_outputs(self) -> None:
        for urn, outputs in self._outputs.items():
            resource = self.state.find(urn)
            if resource is not None:
                resource.outputs = outputs
                if resource.type == STACK_TYPE:
                    self.state.outputs = outputs

    def delete(self, going: list[Resource]) -> None:
        """Delete these one after the other, dependents first. A failure is recorded and ends it."""
        try:
            refuse_protected(going)
            leaving = {resource.urn for resource in going}
            for resource in deletion_order(going):
                if self._stopped():
                    return
                self._delete(resource, leaving)
        except StepError as error:
            self._note(error)

    def _stopped(self) -> bool:
        return self.interrupted or bool(self.failures)

    @contextmanager
    def _underway(self) -> Generator[None]:
        with self._lock:
            if self._stopped():
                raise StoppedError("the deploy has stopped")
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _note(self, error: StepError) -> StepError:
        with self._lock:
            if error not in self.failures:
                self.failures.append(error)
        return error

    def _register(self, goal: Goal) -> Registered:
        with self._lock:
            if goal.urn in self._seen:
                raise DeployError("registered twice: give one of the two another name")
            self._seen.add(goal.urn)
            self._take_alias(goal)
            old = self.state.find(goal.urn)
        if goal.custom and not goal.type.startswith(PROVIDER_TYPE_PREFIX):
            return self._register_custom(goal, old)
        return self._register_local(goal, old)

    def _take_alias(self, goal: Goal) -> None:
        """Rename a resource that was deployed under an earlier name."""
        if self.state.find(goal.urn):
            return
        for alias in goal.aliases:
            if self.state.find(alias) and alias not in self._seen:
                self.state.rename(alias, goal.urn)
                return

    def _register_local(self, goal: Goal, old: Resource | None) -> Registered:
        """Record a component, the stack or a provider: they exist in the state only."""
        resource_id = ""
        if goal.custom:
            if goal.type != _SUPPORTED_PROVIDER:
                raise DeployError(f"provider {goal.type} is not supported by the local deploy; the Pulumi CLI has it")
            if not has_unknown(goal.inputs):
                self._target.check_provider(goal.inputs)
            resource_id = old.id if old else str(uuid.uuid4())
        outputs = goal.inputs if goal.custom else (old.outputs if old else {})
        with self._lock:
            self._place(goal.resource(resource_id, goal.inputs, outputs))
        return Registered(goal.urn, resource_id, goal.inputs)

    def _register_custom(self, goal: Goal, old: Resource | None) -> Registered:
        resource_type = self._types.get(goal.type)
        inputs = keep_old(old.inputs, goal.inputs, goal.ignore_changes) if old else goal.inputs
        if has_unknown(inputs) and not self.dry_run:
            raise DeployError("an input is still unknown; a resource that it comes from has failed")
        inputs = mark_like(resource_type.check(old, reveal(inputs)), inputs)
        if old is None:
            action = Action.REPLACE if goal.urn in self._deleted_early else Action.CREATE
            return self._create(goal, inputs, resource_type, Step(action, goal.urn))
        diff = resource_type.diff(old, inputs).replacing_on(goal.replace_on_changes)
        if diff.replaces:
            return self._replace(goal, old, inputs, resource_type, diff)
        if diff.changes:
            return self._update(goal, old, inputs, resource_type, diff)
        return self._keep(goal, old, inputs)

    def _keep(self, goal: Goal, old: Resource, inputs: Properties) -> Registered:
        same = goal.resource(old.id, inputs, _marked(reveal(old.outputs), inputs, goal))
        with self._lock:
            self._place(same)
            self.tally[Action.SAME] += 1
        return Registered(same.urn, same.id, same.outputs)

    def _create(self, goal: Goal, inputs: Properties, resource_type: ResourceType, step: Step) -> Registered:
        resource = goal.resource("", inputs, {})

        def commit(created: Created) -> None:
            resource.id, resource.outputs = created.id, _marked(created.outputs, inputs, goal)
            replaced = self.state.find(goal.urn)
            if replaced:
                replaced.replaced = True
            self._place(resource)

        foretold = Created("", resource_type.preview(None, reveal(inputs)) if self.dry_run else {})
        self._perform(step, "create", resource, lambda: _created(resource_type, reveal(inputs)), foretold, commit)
        return Registered(resource.urn, resource.id, resource.outputs)

    def _update(
        self, goal: Goal, old: Resource, inputs: Properties, resource_type: ResourceType, diff: Diff
    ) -> Registered:
        resource = goal.resource(old.id, inputs, {})

        def commit(outputs: Properties) -> None:
            resource.outputs = _marked(outputs, inputs, goal)
            self._place(resource)

        step = Step(Action.UPDATE, goal.urn, diff.changes)

        def call() -> Properties:
            try:
                return resource_type.update(old, reveal(inputs))
            except ApiError as error:
                if error.status != NOT_FOUND:
                    raise
                raise ApiError(
                    f"{error}. It is gone: `refresh` notices, and then `up` makes it anew", NOT_FOUND
                ) from error

        foretold = resource_type.preview(old, reveal(inputs)) if self.dry_run else {}
        self._perform(step, "update", old, call, foretold, commit)
        return Registered(resource.urn, resource.id, resource.outputs)

    def _replace(
        self, goal: Goal, old: Resource, inputs: Properties, resource_type: ResourceType, diff: Diff
    ) -> Registered:
        if old.protect:
            raise protected_error(old, "replaced")
        delete_first = goal.delete_before_replace
        if delete_first if delete_first is not None else diff.delete_before_replace:
            self._delete_for_replacement(old)
        return self._create(goal, inputs, resource_type, Step(Action.REPLACE, goal.urn, diff.changes))

    def _delete_for_replacement(self, old: Resource) -> None:
        """Delete a resource before its replacement is created, after those that depend on it."""
        with self._lock:
            going = [old, *self._bound_to(old)]
        refuse_protected([resource for resource in going if resource is not old])
        for resource in deletion_order(going):
            self._deleted_early.add(resource.urn)
            self._delete(resource, set(), note="before its replacement")

    def _bound_to(self, old: Resource) -> list[Resource]:
        """Return resources that must be replaced with `old`, because an input that comes from it cannot be updated."""
        bound = {old.urn}
        found: list[Resource] = []
        for resource in self.state.resources:
            keys = [key for key, urns in resource.property_dependencies.items() if bound & set(urns)]
            if not keys or resource.replaced or not resource.is_real:
                continue
            moved = {**resource.inputs, **dict.fromkeys(keys, UNKNOWN)}
            if self._types.get(resource.type).diff(resource, moved).replaces:
                bound.add(resource.urn)
                found.append(resource)
        return found

    def _delete(self, resource: Resource, leaving: set[str], note: str = "") -> None:
        """Delete one resource; the options retain_on_delete and deleted_with avoid the API call."""

        def commit(_: None) -> None:
            self.state.resources.remove(resource)

        if not resource.is_real or (resource.replaced and not self._types.get(resource.type).deletes):
            with self._lock:
                commit(None)
                self._save(self.state)
            return
        resource_type = self._types.get(resource.type)
        spared = resource.retain_on_delete or resource.deleted_with in leaving
        if resource.retain_on_delete:
            note = "retained"
        elif resource.replaced:
            note = "replaced"
        step = Step(Action.DELETE, resource.urn, note=note)
        self._perform(
            step, "delete", resource, lambda: None if spared else resource_type.delete(resource), None, commit
        )

    def _perform(
        self,
        step: Step,
        operation: Operation,
        subject: Resource,
        call: Callable[[], _T],
        foretold: _T,
        commit: Callable[[_T], None],
    ) -> None:
        """Do a step: record in the state that it begins, make the call, and store its result with the end of the step.

        If the record is still there, the next run knows that the call may have taken effect.
        """
        if self.dry_run:
            with self._lock:
                commit(foretold)
            self._done(step, 0)
            return
        pending = PendingOperation(operation, replace(subject), timestamp())
        with self._lock:
            self.state.pending.append(pending)
            self._save(self.state)
        self._display.started(step)
        began = time.monotonic()
        try:
            result = call()
        except Exception as error:
            self._display.failed(step, time.monotonic() - began)
            if isinstance(error, DeployError) and not (isinstance(error, ApiError) and error.outcome_unknown):
                self._forget(pending)
            message = str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
            raise self._note(StepError(step.urn, f"{label(step.urn)}: {message}")) from error
        with self._lock:
            self.state.pending.remove(pending)
            commit(result)
            self._save(self.state)
        self._done(step, time.monotonic() - began)

    def _forget(self, pending: PendingOperation) -> None:
        with self._lock:
            self.state.pending.remove(pending)
            self._save(self.state)

    def _done(self, step: Step, seconds: float) -> None:
        if step.action is not Action.DELETE or not step.note or step.note == "retained":
            with self._lock:
                self.tally[step.action] += 1
        self._display.finished(step, seconds)

    def _place(self, resource: Resource) -> None:
        """Put a resource at its registration's place in the order, replacing its earlier entry."""
        former = self.state.find(resource.urn)
        if former:
            self.state.resources.remove(former)
        self.state.resources.insert(self._placed, resource)
        self._placed += 1


def _created(resource_type: ResourceType, inputs: Properties) -> Created:
    """Create; if the API refuses because the name is taken, add what the user can do."""
    try:
        return resource_type.create(inputs)
    except ApiError as error:
        if error.outcome_unknown:
            raise
        taken = _taken(resource_type, inputs)
        if not taken:
            raise
        raise ApiError(f"{error}. {taken}", error.status) from error


def _taken(resource_type: ResourceType, inputs: Properties) -> str:
    try:
        found = resource_type.find(inputs)
    except (ApiError, CheckError):
        return ""
    if not found:
        return ""
    return f"One exists already (id {found.id}) that this stack did not make: delete it, or give this one another name"


def _marked(outputs: Properties, inputs: Properties, goal: Goal) -> Properties:
    """Mark outputs that come from secret inputs, and those that the program declares secret."""
    return {
        key: secret(value) if key in goal.secret_outputs or has_secret(inputs.get(key)) else value
        for key, value in outputs.items()
        if value is not None
    }

"""Dynamic resources: the resource's serialised provider class is loaded and called in this process.

It behaves like Pulumi's own process for dynamic providers, so that a provider cannot tell the difference.
"""

import asyncio
import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import dill
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider
from pulumi.runtime import rpc
from pulumi.runtime._serialization import _deserialize  # pyright: ignore[reportPrivateUsage, reportUnknownVariableType]

from local.pulumi.diff import Change, Diff, compare
from local.pulumi.errors import CheckError, DeployError
from local.pulumi.resource_types import Created, Found
from local.pulumi.state import Resource
from local.pulumi.wire import UNKNOWN, Properties, from_struct, mark_like, reveal, to_struct

TYPE_PREFIX = "pulumi-python:dynamic"
_PROVIDER_KEY = "__provider"

_T = TypeVar("_T")


class DynamicType:
    """Drives every dynamic resource; `config` is the stack's config by keys with a namespace."""

    def __init__(self, config: Mapping[str, str], project: str) -> None:
        self._config = config
        self._project = project
        self._providers: dict[str, ResourceProvider] = {}
        self._loading = threading.Lock()

    @property
    def deletes(self) -> bool:
        """Always true: the provider decides."""
        return True

    def check(self, old: Resource | None, inputs: Properties) -> Properties:
        """Ask the provider; its failures become one error that names each property."""
        provider = self._load(inputs if inputs[_PROVIDER_KEY] != UNKNOWN or not old else reveal(old.inputs))
        olds = _for_provider(reveal(old.inputs) if old else {})
        result = _guarded(lambda: provider.check(olds, _for_provider(inputs)))
        if result.failures:
            problems = [f"{failure.property}: {failure.reason}" for failure in result.failures]
            raise CheckError("; ".join(problems))
        return {**_from_provider(result.inputs), _PROVIDER_KEY: inputs[_PROVIDER_KEY]}

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        """Ask the provider; if it does not say, compare the inputs, without the provider's own code."""
        news = reveal(inputs)
        provider = self._load(news if news[_PROVIDER_KEY] != UNKNOWN else reveal(old.inputs))
        olds = _for_provider(_state_of(old))
        result = _guarded(lambda: provider.diff(old.id, olds, _for_provider(news)))
        found = compare(_without_code(old.inputs), _without_code(inputs))
        replaced_keys = set(result.replaces or [])
        if result.changes is False and not replaced_keys:
            return Diff()
        changes = tuple(Change(c.path, c.old, c.new, c.path[0] in replaced_keys, c.secret) for c in found)
        unseen = replaced_keys - {change.path[0] for change in changes if change.replaces}
        changes += tuple(Change((key,), None, None, replaces=True) for key in sorted(unseen))
        if result.changes and not changes:
            changes = (Change(("(provider)",), None, None),)
        return Diff(changes, bool(result.delete_before_replace))

    def preview(self, old: Resource | None, inputs: Properties) -> Properties:  # noqa: ARG002 the interface's
        """Return the inputs: a dynamic provider cannot predict its outputs."""
        return inputs

    def create(self, inputs: Properties) -> Created:
        """Let the provider create it."""
        provider = self._load(inputs)
        result = _guarded(lambda: provider.create(_for_provider(inputs)))
        outputs = _from_provider(result.outs or {})
        return Created(str(result.id), {**outputs, _PROVIDER_KEY: inputs[_PROVIDER_KEY]})

    def update(self, old: Resource, inputs: Properties) -> Properties:
        """Let the provider update it."""
        provider = self._load(inputs)
        olds = _for_provider(_state_of(old))
        result = _guarded(lambda: provider.update(old.id, olds, _for_provider(inputs)))
        return {**_from_provider(result.outs or {}), _PROVIDER_KEY: inputs[_PROVIDER_KEY]}

    def read(self, resource: Resource) -> Found | None:
        """Let the provider read it; an answer without an id means that it is gone."""
        state = _state_of(resource)
        provider = self._load(state)
        result = _guarded(lambda: provider.read(resource.id, _for_provider(state)))
        if not result.id:
            return None
        code = {_PROVIDER_KEY: state[_PROVIDER_KEY]}
        inputs = reveal(resource.inputs) if result.inputs is None else {**_from_provider(result.inputs), **code}
        outputs = {**_from_provider(result.outs or {}), **code}
        marked = mark_like(outputs, {**resource.outputs, **resource.inputs})
        drift = compare(_without_code(resource.outputs), _without_code(marked))
        return Found(result.id, inputs, outputs, drift)

    def delete(self, resource: Resource) -> None:
        """Let the provider delete it."""
        state = _state_of(resource)
        provider = self._load(state)
        _guarded(lambda: provider.delete(resource.id, _for_provider(state)))

    def find(self, inputs: Properties) -> Found | None:  # noqa: ARG002 the interface's
        """Find nothing: only the provider knows what makes such a resource unique."""
        return None

    def contents(self, resource: Resource, planned: Properties | None) -> str:  # noqa: ARG002 the interface's
        """Return nothing: only the provider knows its data."""
        return ""

    def created_at(self, found: Found) -> str:  # noqa: ARG002 the interface's
        """Return nothing: it is not known."""
        return ""

    def _load(self, properties: Properties) -> ResourceProvider:
        code = properties.get(_PROVIDER_KEY)
        if not isinstance(code, str):
            raise DeployError("a dynamic resource without its provider; the stack's state is damaged")
        with self._loading:
            if code not in self._providers:
                self._providers[code] = _guarded(lambda: self._loaded(code))
            return self._providers[code]

    def _loaded(self, code: str) -> ResourceProvider:
        def load() -> ResourceProvider:
            return cast("ResourceProvider", dill.loads(base64.b64decode(code)))  # noqa: S301 the program's own code  # pyright: ignore[reportUnknownMemberType]

        provider = _deserialize(load)
        provider.configure(ConfigureRequest(Config(dict(self._config), self._project)))
        return provider


def _state_of(resource: Resource) -> Properties:
    """Return the old state for a provider: the outputs, with the newest code that the program sent."""
    inputs = reveal(resource.inputs)
    return {**reveal(resource.outputs), _PROVIDER_KEY: inputs.get(_PROVIDER_KEY)}


def _without_code(properties: Properties) -> Properties:
    return {key: value for key, value in properties.items() if key != _PROVIDER_KEY}


def _for_provider(properties: Properties) -> dict[str, Any]:
    return cast("dict[str, Any]", rpc.deserialize_properties(to_struct(properties), keep_unknowns=True))


def _from_provider(properties: Mapping[str, Any]) -> Properties:
    async def serialize() -> Properties:
        return from_struct(await rpc.serialize_properties(dict(properties), {}))

    return asyncio.run(serialize())


def _guarded(call: Callable[[], _T]) -> _T:
    """Run the provider's code; whatever it raises becomes a DeployError with the same text."""
    try:
        return call()
    except DeployError:
        raise
    except Exception as error:
        kind = "" if type(error) is Exception else f"{type(error).__name__}: "
        raise DeployError(f"{kind}{error}{_origin(error)}") from error


def _origin(error: Exception) -> str:
    """Return where in the provider's code it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" [{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}]" if trace else ""

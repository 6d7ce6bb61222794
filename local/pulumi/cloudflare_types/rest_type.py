"""A Cloudflare resource, driven over REST like the official provider does, and described by one table entry."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, cast
from urllib.parse import quote

from local.pulumi.cloudflare_types.api import Api, Method
from local.pulumi.cloudflare_types.names import to_camel, to_snake
from local.pulumi.cloudflare_types.shapes import carry_removals, complete, project
from local.pulumi.diff import Change, Diff, compare
from local.pulumi.errors import NOT_FOUND, ApiError, CheckError
from local.pulumi.resource_types import Created, Found
from local.pulumi.state import Resource
from local.pulumi.wire import UNKNOWN, Properties, reveal


def _same(value: Properties) -> Any:
    return value


Get = Callable[[str], Any]  # reads the API at a path template

Contents = Callable[[Get, Properties, Properties | None], str]
"""From an object's names and its planned state (the API's names; None: deleted) it returns which data would be lost: "5
messages", or "".
"""


def told_at(path: str, held: Callable[[Any], str]) -> Contents:
    """Return a function that reads at one path which data an object holds; `held` extracts it from the answer."""
    return lambda get, _names, _planned: held(get(path))


def _reply_as_is(reply: Properties, _inputs: Properties) -> Properties:
    return reply


@dataclass(frozen=True)
class RestSpec:
    """How one type maps to REST. Names of inputs and outputs are Pulumi's (camelCase), names of the API are snake_case.

    Path templates are filled from the inputs and the outputs; values in a path are not sent in the body.
    """

    collection: str
    """The path at which it is created."""
    item: str
    """The path at which it is read, updated and deleted."""
    id_field: str
    """The field of the API's reply that identifies it; an update cannot change it."""
    create_method: Method = "POST"
    update_method: Method = "PUT"
    updates: bool = True
    """Whether it can be updated in place (`update_method` to `item`)."""
    deletes: bool = True
    """False: the provider sends nothing, because the object is deleted with its parent."""
    pulumi_id: str = ""
    """The id that Pulumi shows, if the Terraform bridge does not know the real one."""
    replace_on: frozenset[str] | None = frozenset({"accountId"})
    """Inputs whose change requires a replacement; None: all of them."""
    never_replace_on: frozenset[str] = frozenset()
    """Properties (at any depth) whose change is recorded in place, whatever `replace_on` says."""
    sticky: frozenset[str] = frozenset()
    """Inputs that keep their value if the program no longer sets them (Terraform's optional and computed)."""
    not_refreshed: frozenset[str] = frozenset()
    """Inputs that the API does not return."""
    in_force: str = ""
    """The name of a list, newest first, in a GET of `collection`: its first object is read, because only that has an
    effect.
    """
    keyed_lists: Mapping[str, str] = field(default_factory=dict[str, str])
    """Lists whose order has no meaning, each with the property that identifies an element."""
    verbatim_maps: frozenset[str] = frozenset()
    """Objects (at any depth) whose keys are the user's own."""
    query_inputs: frozenset[str] = frozenset()
    """Inputs that are sent in the query string of the create."""
    read_query: Properties = field(default_factory=dict[str, Any])
    nested_outputs: tuple[tuple[str, str], ...] = ()
    """Outputs inside of input objects (object, key) that only the API knows."""
    check: Callable[[Properties], Properties] = _same
    """Completes the inputs; raises CheckError or ValueError."""
    body: Callable[[Properties], Any] = _same
    """Changes the body before it is sent (API's names), defaults included."""
    reply: Callable[[Properties, Properties], Properties] = _reply_as_is
    """Changes a reply after it is received (API's names), given the inputs (Pulumi's names)."""
    contents: Contents | None = None
    """Returns which data is deleted with it; None if it holds none."""
    find: str = ""
    """The path at which objects with the same unique name are found; "" if names are not unique."""
    unique: str = ""
    """The input that must be unique (the API's name); "" if `find` returns only one object anyway."""


class RestType:
    """Drives one type through the API, as its table entry says."""

    def __init__(self, spec: RestSpec, api: Api) -> None:
        self._spec = spec
        self._api = api

    @property
    def deletes(self) -> bool:
        """The value of the table entry."""
        return self._spec.deletes

    def check(self, old: Resource | None, inputs: Properties) -> Properties:  # noqa: ARG002 the interface's
        """Complete the inputs."""
        try:
            return self._spec.check(inputs)
        except (OSError, ValueError) as error:
            raise CheckError(str(error)) from error

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        """Compare inputs with inputs; `sticky` inputs that are not set any more are not a change."""
        spec = self._spec
        found = compare(old.inputs, inputs, spec.keyed_lists)
        return Diff(tuple(self._judged(change) for change in found if not self._stays(change)))

    def _stays(self, change: Change) -> bool:
        return change.path[0] in self._spec.sticky and change.new is None

    def _judged(self, change: Change) -> Change:
        spec = self._spec
        replaces = spec.replace_on is None or change.path[0] in spec.replace_on
        replaces = replaces and change.path[-1] not in spec.never_replace_on
        return Change(change.path, change.old, change.new, replaces, change.secret)

    def preview(self, old: Resource | None, inputs: Properties) -> Properties:
        """Return the inputs; of the other outputs, an update keeps only the ids."""
        outputs: Properties = dict(inputs)
        for parent, key in self._spec.nested_outputs:
            nested: object = inputs.get(parent)
            outputs[parent] = {**cast("Properties", nested), key: UNKNOWN} if isinstance(nested, dict) else UNKNOWN
        if old:
            identity = to_camel({self._spec.id_field: ""})
            outputs |= {key: old.outputs[key] for key in identity if key in old.outputs}
        return outputs

    def create(self, inputs: Properties) -> Created:
        """Send the create request, and take the id from the reply."""
        spec = self._spec
        values = self._names(inputs)
        query = {name: values[name] for name in spec.query_inputs if values.get(name) is not None}
        path = self._path(spec.collection, values)
        result = self._api.call(spec.create_method, path, self._body(values), query)
        outputs = self._outputs(inputs, result)
        return Created(self._id(outputs), outputs)

    def update(self, old: Resource, inputs: Properties) -> Properties:
        """Send the whole object; what the program no longer sets is sent as null."""
        spec = self._spec
        old_outputs = reveal(old.outputs)
        if not spec.updates:
            return {**old_outputs, **inputs}
        kept = {key: old_outputs[key] for key in spec.sticky if key not in inputs and key in old_outputs}
        values = self._names({**inputs, **kept})
        old_body = self._body(self._names({**reveal(old.inputs), **kept}))
        path = self._path(spec.item, {**self._names(old_outputs), **values, "id": old.id})
        result = self._api.call(spec.update_method, path, carry_removals(old_body, self._body(values)))
        return self._outputs(inputs, result)

    def read(self, resource: Resource) -> Found | None:
        """Read it, and map the reply back to the configured inputs."""
        inputs, outputs = reveal(resource.inputs), reveal(resource.outputs)
        template = self._spec.collection if self._spec.in_force else self._spec.item
        path = self._path(template, {**self._names(inputs), **self._names(outputs), "id": resource.id})
        try:
            result = self._api.call("GET", path, query=self._spec.read_query)
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        if self._spec.in_force:
            result = next(iter(result[self._spec.in_force]), None)
        return None if result is None else self._found(inputs, result)

    def delete(self, resource: Resource) -> None:
        """Delete it; if it is gone already, that is fine."""
        if not self._spec.deletes:
            return
        names = {**self._names(reveal(resource.inputs)), **self._names(reveal(resource.outputs)), "id": resource.id}
        try:
            self._api.call("DELETE", self._path(self._spec.item, names))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def find(self, inputs: Properties) -> Found | None:
        """Find the object with the same unique name."""
        spec = self._spec
        if not spec.find:
            return None
        values = self._names(inputs)
        try:
            result = self._api.call("GET", self._path(spec.find, values))
        except ApiError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        candidates = cast("list[Properties]", result if isinstance(result, list) else [result])
        for candidate in candidates:
            if not spec.unique or candidate.get(spec.unique) == values[spec.unique]:
                return self._found(inputs, candidate)
        return None

    def contents(self, resource: Resource, planned: Properties | None) -> str:
        """Ask the API which of its data would be lost."""
        if self._spec.contents is None:
            return ""
        names = {**self._names(reveal(resource.inputs)), **self._names(reveal(resource.outputs)), "id": resource.id}
        after = None if planned is None else self._names(reveal(planned))
        return self._spec.contents(lambda template: self._api.call("GET", self._path(template, names)), names, after)

    def created_at(self, found: Found) -> str:
        """Read the creation time from the outputs."""
        return str(found.outputs.get("createdOn") or found.outputs.get("createdAt") or "")

    def _names(self, properties: Properties) -> Properties:
        return to_snake(properties, self._spec.verbatim_maps)

    def _path(self, template: str, values: Properties) -> str:
        names = _fields(template)
        missing = sorted(name for name in names if not values.get(name))
        if missing:
            raise CheckError(f"missing {', '.join(missing)}")
        return template.format(**{name: quote(str(values[name]), safe="") for name in names})

    def _body(self, values: Properties) -> Any:
        elsewhere = _fields(self._spec.collection) | _fields(self._spec.item) | self._spec.query_inputs
        return self._spec.body({key: value for key, value in values.items() if key not in elsewhere})

    def _outputs(self, inputs: Properties, result: Any) -> Properties:
        """Complete the inputs with the reply, as the provider does; configured values are kept."""
        return complete(inputs, self._reply(inputs, result), self._spec.keyed_lists)

    def _reply(self, inputs: Properties, result: Any) -> Properties:
        reply = self._spec.reply(cast("Properties", result) if isinstance(result, dict) else {}, inputs)
        return to_camel(reply, self._spec.verbatim_maps)

    def _found(self, inputs: Properties, result: Any) -> Found:
        """Map a reply to the configured inputs."""
        reply = self._reply(inputs, result)
        fixed = {key for key in inputs if not _sent_in_body(key, self._spec)} | self._spec.not_refreshed
        now = project(inputs, reply, fixed, self._spec.keyed_lists)
        outputs = complete(now, reply, self._spec.keyed_lists)
        return Found(self._id(outputs), now, outputs)

    def _id(self, outputs: Properties) -> str:
        identity = str(to_snake(outputs).get(self._spec.id_field) or "")
        if not identity:
            raise ApiError(f"the API's reply has no {self._spec.id_field}", 0)
        return self._spec.pulumi_id or identity


def _fields(template: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name)


def _sent_in_body(key: str, spec: RestSpec) -> bool:
    name = next(iter(to_snake({key: None})))
    return name not in _fields(spec.collection) | spec.query_inputs

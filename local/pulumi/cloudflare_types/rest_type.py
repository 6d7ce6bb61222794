"""A Cloudflare resource as the official provider drives it over REST, described by one table entry."""

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
"""Of an object's names and what it is to be (the API's names; None: deleted), what data would go: "5 messages", ""."""


def told_at(path: str, held: Callable[[Any], str]) -> Contents:
    """Read at one place what data an object holds; `held` tells of the answer what that is."""
    return lambda get, _names, _planned: held(get(path))


def _reply_as_is(reply: Properties, _inputs: Properties) -> Properties:
    return reply


@dataclass(frozen=True)
class RestSpec:
    """How one type maps to REST. Names of inputs and outputs are Pulumi's (camelCase), those of the API snake_case.

    Path templates are filled from the inputs and the outputs; what is in a path is not sent in the body.
    """

    collection: str
    """Where it is created."""
    item: str
    """Where it is read, updated and deleted."""
    id_field: str
    """The field of the API's reply that identifies it; it cannot change in an update."""
    create_method: Method = "POST"
    update_method: Method = "PUT"
    updates: bool = True
    """Whether it can change in place at all (`update_method` to `item`)."""
    deletes: bool = True
    """False: the provider sends nothing, as the object goes with its parent."""
    pulumi_id: str = ""
    """The id that Pulumi shows, where the bridge does not know the real one."""
    replace_on: frozenset[str] | None = frozenset({"accountId"})
    """Inputs whose change needs a new object; None: every one."""
    never_replace_on: frozenset[str] = frozenset()
    """Properties (at any depth) whose change is noted in place, whatever `replace_on` says."""
    sticky: frozenset[str] = frozenset()
    """Inputs that keep their value when the program stops setting them (Terraform's optional and computed)."""
    not_refreshed: frozenset[str] = frozenset()
    """Inputs that the API does not tell."""
    in_force: str = ""
    """The list, newest first, in a GET of `collection`: its first object is read, as the others have no effect."""
    keyed_lists: Mapping[str, str] = field(default_factory=dict[str, str])
    """Lists whose order means nothing, each with the property that identifies an element."""
    verbatim_maps: frozenset[str] = frozenset()
    """Objects (at any depth) whose keys are the user's own words."""
    query_inputs: frozenset[str] = frozenset()
    """Inputs that go in the query string of the create."""
    read_query: Properties = field(default_factory=dict[str, Any])
    nested_outputs: tuple[tuple[str, str], ...] = ()
    """Outputs inside input objects (object, key) that only the API can tell."""
    check: Callable[[Properties], Properties] = _same
    """Completes the inputs; raises CheckError or ValueError."""
    body: Callable[[Properties], Any] = _same
    """Last touch on the body (API's names), defaults included."""
    reply: Callable[[Properties, Properties], Properties] = _reply_as_is
    """First touch on a reply (API's names), given the inputs (Pulumi's names)."""
    contents: Contents | None = None
    """Tells what data goes with it; None for what holds none."""
    find: str = ""
    """Where objects of the same unique name are found; "" where names are not unique."""
    unique: str = ""
    """The input that has to be unique (the API's name); "" when `find` gives only one anyway."""


class RestType:
    """Drives one type through the API, by its table entry."""

    def __init__(self, spec: RestSpec, api: Api) -> None:
        self._spec = spec
        self._api = api

    @property
    def deletes(self) -> bool:
        """As the table says."""
        return self._spec.deletes

    def check(self, old: Resource | None, inputs: Properties) -> Properties:  # noqa: ARG002 the interface's
        """Complete the inputs."""
        try:
            return self._spec.check(inputs)
        except (OSError, ValueError) as error:
            raise CheckError(str(error)) from error

    def diff(self, old: Resource, inputs: Properties) -> Diff:
        """Compare inputs with inputs; `sticky` ones that are not set any more are no change."""
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
        """Take the inputs as they are; of the rest, an update keeps only what identifies the object."""
        outputs: Properties = dict(inputs)
        for parent, key in self._spec.nested_outputs:
            nested: object = inputs.get(parent)
            outputs[parent] = {**cast("Properties", nested), key: UNKNOWN} if isinstance(nested, dict) else UNKNOWN
        if old:
            identity = to_camel({self._spec.id_field: ""})
            outputs |= {key: old.outputs[key] for key in identity if key in old.outputs}
        return outputs

    def create(self, inputs: Properties) -> Created:
        """Send the create, and take the id from the reply."""
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
        """Read it, and map the reply back to the inputs that are configured."""
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
        """Delete it; gone already is as good."""
        if not self._spec.deletes:
            return
        names = {**self._names(reveal(resource.inputs)), **self._names(reveal(resource.outputs)), "id": resource.id}
        try:
            self._api.call("DELETE", self._path(self._spec.item, names))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise

    def find(self, inputs: Properties) -> Found | None:
        """Look for the object of the same unique name."""
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
        """Ask the API what data it holds that would go."""
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
        """Complete the inputs by what the API said, as the provider does: what is configured stays as configured."""
        return complete(inputs, self._reply(inputs, result), self._spec.keyed_lists)

    def _reply(self, inputs: Properties, result: Any) -> Properties:
        reply = self._spec.reply(cast("Properties", result) if isinstance(result, dict) else {}, inputs)
        return to_camel(reply, self._spec.verbatim_maps)

    def _found(self, inputs: Properties, result: Any) -> Found:
        """Map a reply to what it makes of the configured inputs."""
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

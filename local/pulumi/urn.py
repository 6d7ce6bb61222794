"""Names of resources, built as Pulumi builds them: urn:pulumi:STACK::PROJECT::PARENT_TYPES$TYPE::NAME."""

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_TYPE_PREFIX = "pulumi:providers:"
_SEPARATOR = "::"
_TYPE_SEPARATOR = "$"


def make_urn(stack: str, project: str, parent: str, type_token: str, name: str) -> str:
    """Return a resource's URN; `parent` is its parent's URN, or "" for none. The Stack does not appear in the types."""
    types = _qualified_type(parent)
    if types and types != STACK_TYPE:
        type_token = types + _TYPE_SEPARATOR + type_token
    return _SEPARATOR.join((f"urn:pulumi:{stack}", project, type_token, name))


def type_of(urn: str) -> str:
    """Return the resource's own type token, without its parents'."""
    return _qualified_type(urn).rsplit(_TYPE_SEPARATOR, 1)[-1]


def package_of(type_token: str) -> str:
    """Return the package of a type: that of a dynamic resource is the language's."""
    return type_token.partition(":")[0]


def name_of(urn: str) -> str:
    """Return the resource's name, as the program wrote it."""
    return urn.split(_SEPARATOR, 3)[3]


def label(urn: str) -> str:
    """Return a resource's short name for people: `Queue task-queue`."""
    return f"{type_of(urn).rsplit(':', 1)[-1]} {name_of(urn)}"


def _qualified_type(urn: str) -> str:
    return urn.split(_SEPARATOR, 3)[2] if urn else ""

"""The contract of a product: what `products/NAME/product.py` declares as PRODUCT."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the frame and the products import each other
    from starlette.websockets import WebSocket

    from local.api.fields import Fields
    from local.api.routing import Route
    from local.core.cloud import Cloud

StoredBinding = dict[str, Any]  # {name, type, ...}: what was sent, and the ids that it refers to
Config = dict[str, Any]  # a part of the data plane's configuration
SocketHandler = Callable[["Cloud", "WebSocket", str], Awaitable[None]]  # raises ApiError before it accepts


@dataclass(frozen=True)
class SchemaStep:
    """SQL that migrates a product's tables from one version to the next.

    `single_version` is the file's schema version that included this step when all products shared one version number;
    None for later steps.
    """

    sql: str
    single_version: int | None = None


@dataclass(frozen=True)
class BindingType:
    """A type of Workers' bindings.

    - `read` gets what was sent, finds the resource that it names, and returns what is stored besides name and type. It
      raises ApiError.
    - `fields` are those fields of a stored (and located) binding that the data plane needs.
    - `locate` adds the resource's present place. It returns None if the resource is gone: then the binding is left out,
      so that it fails, instead of creating a new and empty resource of the same id.
    - `check_named` is for resources that the upload itself may create: it gets the binding and the uploaded Worker.
    - `check_bound` refuses to deploy an older version whose resource is gone. Both raise ApiError.
    - `hidden` are stored fields that no answer shows.
    - `modules_only`: the service worker syntax does not support it.
    - `render` replaces `fields`; it gets the binding, the stored version and the version's id.
    """

    read: Callable[[sqlite3.Connection, "Fields"], StoredBinding]
    fields: tuple[str, ...] = ()
    locate: Callable[[sqlite3.Connection, StoredBinding], StoredBinding | None] = lambda _, binding: binding
    check_named: Callable[[sqlite3.Connection, StoredBinding, str | None], None] = lambda _db, _binding, _uploaded: None
    check_bound: Callable[[sqlite3.Connection, StoredBinding], None] = lambda _db, _binding: None
    hidden: frozenset[str] = frozenset()
    modules_only: bool = False
    render: Callable[[StoredBinding, dict[str, Any], str], StoredBinding] | None = None


@dataclass(frozen=True)
class Method:
    """A method of a product's objects that may be called. `repeatable`: it is idempotent.

    `kept`: the last call is repeated when the data plane was restarted.
    """

    repeatable: bool = False
    kept: bool = False
    long: bool = False  # takes long, such as an import


class Listing(Protocol):
    """Reads the REST API of a running instance for `status`; a path is relative to the account, or to the root."""

    def all(self, path: str) -> list[dict[str, Any]]:
        """Read all pages of a list."""
        ...

    def one(self, path: str) -> Any:
        """Read one resource."""
        ...


@dataclass(frozen=True)
class StatusTable:
    """A part of `status`: a title, and the function that returns its rows."""

    title: str
    rows: Callable[[Listing], list[tuple[str, ...]]]

    @classmethod
    def of_list(cls, title: str, path: str, *fields: str) -> "StatusTable":
        """Show these fields of each item of a list, at a path relative to the account or to the root."""
        return cls(title, lambda api: [tuple(str(thing[field]) for field in fields) for thing in api.all(path)])


@dataclass(frozen=True)
class Product:
    """A product of Cloudflare, as far as it is implemented.

    Its folder may also contain: `pulumi.py` with TYPES (resource types of the deployment), `runtime/node.js` (bindings
    and objects in the Node process), `runtime/calls.js` (what the store does for it, by method), `runtime/worker.js`
    (the classes and entrypoints that the store exports), `runtime/host_calls.js` and `runtime/host.js` (the same for
    each process of Workers), and `DIFFERENCES.md` (rows of that list).
    """

    name: str
    schema: tuple[SchemaStep, ...] = ()
    routes: tuple["Route", ...] = ()
    open_routes: tuple["Route", ...] = ()  # outside the API, at secret addresses
    sockets: Mapping[str, SocketHandler] = field(default_factory=dict[str, "SocketHandler"])  # by the start of a path
    bindings: Mapping[str, BindingType] = field(default_factory=dict[str, BindingType])
    configure: Callable[[sqlite3.Connection], Config] = lambda _: {}  # its part of the data plane's configuration
    objects: Mapping[str, Mapping[str, Method]] = field(default_factory=dict[str, Mapping[str, Method]])
    status: tuple[StatusTable, ...] = ()

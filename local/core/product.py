"""What a product is to the rest: the one thing that `products/NAME/product.py` declares, as PRODUCT."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # the frame knows products, and is known by them
    from starlette.websockets import WebSocket

    from local.api.fields import Fields
    from local.api.routing import Route
    from local.core.cloud import Cloud

StoredBinding = dict[str, Any]  # {name, type, ...}: what was sent, and the ids that it stands for
Config = dict[str, Any]  # a part of what the data plane is told
SocketHandler = Callable[["Cloud", "WebSocket", str], Awaitable[None]]  # raises ApiError before it accepts


@dataclass(frozen=True)
class SchemaStep:
    """SQL that brings a product's tables from one version to the next.

    `single_version` is the number that the whole file's schema had with it, when all products shared one number; None
    for steps since then.
    """

    sql: str
    single_version: int | None = None


@dataclass(frozen=True)
class BindingType:
    """A type of binding of Workers.

    - `read` takes what was sent, finds what it names, and gives what is stored beside name and type. Raises ApiError.
    - `fields` are those of a stored (and located) binding that the data plane needs.
    - `locate` adds where the thing is now; None when it is gone: the binding is left out then, so that it fails, and
      does not make a new and empty thing of the same id.
    - `check_named` is for things that the upload itself may make: it gets the binding and the Worker that is uploaded.
    - `check_bound` refuses to deploy an older version whose thing is gone. Both raise ApiError.
    - `hidden` are stored fields that no answer shows.
    - `modules_only`: the service worker syntax does not have it.
    - `render` replaces the choice of `fields`; it gets the binding, the stored version and the version's id.
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
    """A method of a product's objects that may be called: `repeatable` when to do it twice is to do it once.

    `kept`: the last call is made again to a data plane that was started anew.
    """

    repeatable: bool = False
    kept: bool = False
    long: bool = False  # takes its time, as an import does


class Listing(Protocol):
    """Reads the REST API of a running instance, for `status`: at a path under the account, or from the root on."""

    def all(self, path: str) -> list[dict[str, Any]]:
        """Read all pages of a list."""
        ...

    def one(self, path: str) -> Any:
        """Read one thing."""
        ...


@dataclass(frozen=True)
class StatusTable:
    """A part of `status`: a title, and what makes its rows."""

    title: str
    rows: Callable[[Listing], list[tuple[str, ...]]]

    @classmethod
    def of_list(cls, title: str, path: str, *fields: str) -> "StatusTable":
        """Show these fields of each thing in a list, at a path under the account or from the root on."""
        return cls(title, lambda api: [tuple(str(thing[field]) for field in fields) for thing in api.all(path)])


@dataclass(frozen=True)
class Product:
    """A product of Cloudflare, as far as it is here.

    Its folder may hold, besides: `pulumi.py` with TYPES (resource types of the deploy), `runtime/node.js` (bindings and
    objects, as the Node process sees them), `runtime/calls.js` (what the store does for it, by method),
    `runtime/worker.js` (the classes and entrypoints that the store exports), the same for each process of Workers in
    `runtime/host_calls.js` and `runtime/host.js`, and `DIFFERENCES.md` (rows of that list).
    """

    name: str
    schema: tuple[SchemaStep, ...] = ()
    routes: tuple["Route", ...] = ()
    open_routes: tuple["Route", ...] = ()  # outside the API, at addresses that are secrets of their own
    sockets: Mapping[str, SocketHandler] = field(default_factory=dict[str, "SocketHandler"])  # by the start of a path
    bindings: Mapping[str, BindingType] = field(default_factory=dict[str, BindingType])
    configure: Callable[[sqlite3.Connection], Config] = lambda _: {}  # its part of the data plane's configuration
    objects: Mapping[str, Mapping[str, Method]] = field(default_factory=dict[str, Mapping[str, Method]])
    status: tuple[StatusTable, ...] = ()

"""`python -m local.scaffold NAME`: creates a product's folder from the models of Cloudflare's Python SDK.

The SDK is generated from Cloudflare's OpenAPI document. It has paths, fields, types and options; it lacks error codes,
defaults, limits, and what an operation does besides storing what was sent. So the generated code works for resources
that are created, listed, read, replaced, edited and deleted. It is a start: you write the rest. Operations of another
form are not generated, and so answer 501.
"""

import argparse
import ast
import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Required, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

from local.core.registry import PRODUCTS_FOLDER

_VERBS = {"_get": "GET", "_get_api_list": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE"}
_BODY_VERBS = ("POST", "PUT", "PATCH")
_ITEM = re.compile(r"/\{(\w+)\}$")
_LARGEST_INTEGER = 2**53 - 1


@dataclass(frozen=True)
class Operation:
    """One method of a resource: the SDK's name of it, its request, and the type of its body."""

    name: str
    verb: str
    path: str
    body: Any = None


@dataclass
class Resource:
    """A kind of resource that can be stored: a collection's path, the id's name in an item's path, and operations."""

    name: str  # configs
    collection: str
    id_name: str
    operations: dict[str, Operation] = field(default_factory=dict[str, Operation])  # by create, list, get, ...

    @property
    def one(self) -> str:
        """Return the name of one item."""
        return self.name.removesuffix("s")


def operations(product: str) -> Iterator[tuple[str, Operation]]:
    """Return the SDK's operations of a product, by the name of the resource."""
    root = Path(str(importlib.import_module(f"cloudflare.resources.{product}").__path__[0]))
    for file in sorted(root.rglob("*.py")):
        parts = [product, *file.relative_to(root).with_suffix("").parts]
        if file.stem == "__init__":
            continue
        names = vars(importlib.import_module(f"cloudflare.resources.{'.'.join(parts)}"))
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Resource") and not node.name.startswith("Async"):
                for method in (one for one in node.body if isinstance(one, ast.FunctionDef)):
                    yield from ((file.stem, found) for found in _requests(method, names))


def resources(product: str) -> tuple[list[Resource], list[str]]:
    """Sort operations into resources that can be stored; the second list names those of another form."""
    found = list(operations(product))
    kept: dict[str, Resource] = {}
    for name, operation in found:
        item = _ITEM.search(operation.path)
        if item and operation.verb in ("GET", "PUT", "PATCH", "DELETE"):
            kept.setdefault(name, Resource(name, operation.path[: item.start()], item[1]))
    others: list[str] = []
    for name, operation in found:
        resource = kept.get(name)
        kind = _kind(resource, operation) if resource else None
        if resource is None or kind is None:
            others.append(f"{operation.verb} {operation.path}")
        else:
            resource.operations[kind] = operation
    return [one for one in kept.values() if "create" in one.operations], sorted(set(others))


def _kind(resource: Resource, operation: Operation) -> str | None:
    if operation.path == resource.collection:
        return {"POST": "create", "GET": "list"}.get(operation.verb)
    if operation.path == f"{resource.collection}/{{{resource.id_name}}}":
        return {"GET": "get", "PUT": "replace", "PATCH": "edit", "DELETE": "delete"}.get(operation.verb)
    return None


def _requests(method: ast.FunctionDef, names: dict[str, Any]) -> Iterator[Operation]:
    """Parse `self._post(path_template("/accounts/…"), body=maybe_transform({…}, params.CreateParams), …)`."""
    for call in ast.walk(method):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _VERBS):
            continue
        paths = [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.Constant)] if call.args else []
        if paths and isinstance(paths[0], str) and paths[0].startswith("/"):
            bodies = [_params(word.value, names) for word in call.keywords if word.arg == "body"]
            yield Operation(method.name, _VERBS[call.func.attr], paths[0], bodies[0] if bodies else None)


def _params(value: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(value, ast.Call) and len(value.args) > 1:
        return eval(ast.unparse(value.args[1]), names)  # noqa: S307 the source of an installed package
    return None


# ---------------------------------------------------------------------------------------------------------------------
# From types to code that reads fields


def _variants(kind: Any) -> list[Any]:
    """Return the members of a union; Required, NotRequired, Annotated and Optional are ignored."""
    if get_origin(kind) in (Union, UnionType):
        found = [one for part in get_args(kind) for one in _variants(part) if one is not type(None)]
        return [one for one in found if one is not object] or found
    wrapped = str(get_origin(kind)).rpartition(".")[2] in ("Required", "NotRequired") or hasattr(kind, "__metadata__")
    return _variants(get_args(kind)[0]) if wrapped else [kind]


def _members(kinds: list[Any]) -> dict[str, tuple[list[Any], bool]]:
    """Merge objects: each field's types, and whether all objects require it."""
    hints = [get_type_hints(kind, include_extras=True) for kind in kinds]
    found: dict[str, tuple[list[Any], bool]] = {}
    for name in dict.fromkeys(name for hint in hints for name in hint):
        types = [one for hint in hints if name in hint for one in _variants(hint[name])]
        known = [one for one in types if one is not object] or types
        required = all(get_origin(hint.get(name)) is Required for hint in hints)
        found[name] = (list(dict.fromkeys(known)), required)
    return found


def reader(name: str, kinds: list[Any], *, skip: frozenset[str] = frozenset(), partial: bool = False) -> list[str]:
    """Generate a function that reads an object of these types, and those that it needs."""
    lines: list[str] = []
    more: list[str] = []
    for key, (types, required) in _members(kinds).items():
        if key in skip:
            continue
        must = required and not partial
        if all(is_typeddict(one) for one in types):
            more += reader(f"{name}_{key}", types)
            read = "required_fields" if must else "fields"
            lines.append(f'"{key}": read_with({name}_{key}, part.{read}("{key}")),')
        else:
            lines.append(f'"{key}": {_simple(key, types, must)},')
    what = name.removeprefix("read_").replace("_", " ")
    head = f'def {name}(part: Fields) -> dict[str, Json]:\n    """Read {what}."""\n'
    return [*more, head + "    return given({" + "".join(lines) + "})\n"]


def _simple(key: str, types: list[Any], required: bool) -> str:
    options = [value for one in types if get_origin(one) is Literal for value in get_args(one)]
    if options and all(isinstance(value, str) for value in options):
        return f'part.{"required_choice" if required else "choice"}("{key}", {tuple(options)!r})'
    if options and all(isinstance(value, bool) for value in options):
        return f'part.flag("{key}")'
    if types == [str]:
        return f'part.{"required_text" if required else "text"}("{key}")'
    if types == [bool]:
        return f'part.flag("{key}")'
    if types == [int]:
        return f'part.integer("{key}", 0, {_LARGEST_INTEGER})'
    if types == [float]:
        return f'part.number("{key}", 0, {_LARGEST_INTEGER})'
    return f'part.required("{key}")' if required else f'part.values.get("{key}")'


# ---------------------------------------------------------------------------------------------------------------------
# Files


def routes_file(product: str, resource: Resource, others: list[str]) -> str:
    """Generate the routes of one resource."""
    one, table, made = resource.one, f"{product}_{resource.name}", resource.operations
    path_names = frozenset(re.findall(r"\{(\w+)\}", resource.collection)) | {resource.id_name}
    readers = {
        kind: "\n\n".join(reader(f"read_{kind}", _variants(made[kind].body), skip=path_names, partial=kind == "edit"))
        for kind in ("create", "replace", "edit")
        if kind in made and made[kind].body is not None
    }
    left_out = "".join(f"\n- {operation}" for operation in others)
    handlers = [
        _HANDLERS[kind].format(one=one, table=table, id=resource.id_name, name=resource.name)
        for kind in _HANDLERS
        if kind in made
    ]
    routes = [_route(kind, made[kind].verb, one) for kind in _HANDLERS if kind in made]
    return _ROUTES.format(
        title=f"{resource.name} of {product}",
        version=version("cloudflare"),
        left_out=f"\n\nOf another form, and not here (they answer 501):\n{left_out}" if others else "",
        readers="\n\n".join(readers.values()),
        handlers="\n\n".join(handlers),
        routes="\n".join(routes),
        collection=resource.collection,
        item=f"{resource.collection}/{{{resource.id_name}}}",
        table=table,
        one=one,
        id=resource.id_name,
    )


def _route(kind: str, verb: str, one: str) -> str:
    path, plural = ("_ALL" if kind in ("create", "list") else "_ONE"), ("s" if kind == "list" else "")
    return f'    Route("{verb}", {path}, {kind}_{one}{plural}),'


_ROUTES = '''"""The {title}: begun by `python -m local.scaffold` from cloudflare {version}.{left_out}
"""

import json
import sqlite3
import uuid

from local.api.envelope import ApiError, Json, Reply, now
from local.api.fields import Fields, given, read_with
from local.api.routing import Call, Route

_PAGE_SIZE = 20
_LARGEST_PAGE = 1000


{handlers}

def find(db: sqlite3.Connection, {id}: str) -> sqlite3.Row:
    """Read one by its id. Raises ApiError 404."""
    row = db.execute("SELECT * FROM {table} WHERE id = ?", ({id},)).fetchone()
    if row is None:
        raise ApiError(404, 10007, f"{one} {{{id}}} was not found")
    return row


def describe(row: sqlite3.Row) -> dict[str, Json]:
    """Describe one as every answer does."""
    times = {{"created_on": row["created_on"], "modified_on": row["modified_on"]}}
    return {{"id": row["id"], **json.loads(row["body"]), **times}}


def invalid(path: str, problem: str) -> ApiError:
    """Make the error about a field."""
    return ApiError(400, 10001, f"{{path or 'body'}}: {{problem}}")


{readers}

_ALL = "{collection}"
_ONE = "{item}"

ROUTES = (
{routes}
)
'''
_HANDLERS = {
    "create": '''async def create_{one}(call: Call) -> Reply:
    """POST: make one."""
    body = read_create(call.fields(invalid))
    row = (str(uuid.uuid4().hex), json.dumps(body), now(), now())
    async with call.cloud.change() as change:
        change.db.execute("INSERT INTO {table} (id, body, created_on, modified_on) VALUES (?, ?, ?, ?)", row)
    return Reply(describe(find(call.cloud.db, row[0])))
''',
    "list": '''async def list_{one}s(call: Call) -> Reply:
    """GET: all, by page."""
    rows = call.cloud.db.execute("SELECT * FROM {table} ORDER BY created_on, id").fetchall()
    page = call.page(len(rows), invalid, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [describe(row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))
''',
    "get": '''async def get_{one}(call: Call) -> Reply:
    """GET: one."""
    return Reply(describe(find(call.cloud.db, call.path["{id}"])))
''',
    "replace": '''async def replace_{one}(call: Call) -> Reply:
    """PUT: all fields anew."""
    return await _write(call, read_replace(call.fields(invalid)), keep=False)
''',
    "edit": '''async def edit_{one}(call: Call) -> Reply:
    """PATCH: the fields that are sent."""
    return await _write(call, read_edit(call.fields(invalid)), keep=True)


async def _write(call: Call, body: dict[str, Json], *, keep: bool) -> Reply:
    async with call.cloud.change() as change:
        row = find(change.db, call.path["{id}"])
        written = (json.loads(row["body"]) if keep else {{}}) | body
        values = (json.dumps(written), now(), row["id"])
        change.db.execute("UPDATE {table} SET body = ?, modified_on = ? WHERE id = ?", values)
    return Reply(describe(find(call.cloud.db, row["id"])))
''',
    "delete": '''async def delete_{one}(call: Call) -> Reply:
    """DELETE: one."""
    async with call.cloud.change() as change:
        row = find(change.db, call.path["{id}"])
        change.db.execute("DELETE FROM {table} WHERE id = ?", (row["id"],))
    return Reply(None)
''',
}


_TABLE = """CREATE TABLE {name} (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,              -- JSON: what was sent
    created_on TEXT NOT NULL,
    modified_on TEXT NOT NULL
);"""


def product_file(product: str, kept: list[Resource]) -> str:
    """Generate the declaration, with a table for each resource."""
    tables = "\n".join(_TABLE.format(name=f"{product}_{one.name}") for one in kept)
    names = ", ".join(one.name for one in kept)
    routes = ", ".join(f"*{one.name}.ROUTES" for one in kept)
    return (
        f'"""{product}: what it is here."""\n\nfrom local.core.product import Product, SchemaStep\n'
        f'from local.products.{product} import {names}\n\n_TABLES = """\n{tables}\n"""\n\n'
        f'PRODUCT = Product(name="{product}", schema=(SchemaStep(_TABLES),), routes=({routes},))\n'
    )


def test_file(product: str, kept: list[Resource]) -> str:
    """Generate a test that calls the SDK's methods; each reply is checked against its model (test_python_sdk.py)."""
    names = [f"{product}.{one.name}.{operation.name}" for one in kept for operation in one.operations.values()]
    calls = "\n".join(f'    "{name}": lambda w: pytest.fail("call w.sdk.{name}"),' for name in names)
    return _TEST.format(product=product, calls=calls)


_TEST = '''"""{product}, through the SDK."""

from collections.abc import Callable
from typing import Any

import pytest

# Each is called once by test_python_sdk.py, with its World, and gives whether the reply is right.
SDK_CALLS: dict[str, Callable[[Any], bool]] = {{
{calls}
}}
'''


def main() -> int:
    """Write the files; existing ones are never overwritten."""
    parser = argparse.ArgumentParser(
        prog="python -m local.scaffold", description="Begin a product from the SDK's models."
    )
    parser.add_argument("name", metavar="NAME", help="the SDK's name of a product: hyperdrive, vectorize, ...")
    parser.add_argument("--tests", type=Path, default=Path("tests/local"), metavar="DIR", help="(default: %(default)s)")
    arguments = parser.parse_args()
    product: str = arguments.name
    try:
        kept, others = resources(product)
    except ModuleNotFoundError:
        sys.stderr.write(f"error: the SDK, cloudflare {version('cloudflare')}, has no product {product}\n")
        return 1
    if not kept:
        sys.stderr.write(f"error: {product} has nothing that is created and read by an id; write it by hand\n")
        return 1
    folder = PRODUCTS_FOLDER / product
    files = {
        folder / "__init__.py": f'"""{product}."""\n',
        folder / "product.py": product_file(product, kept),
        **{folder / f"{one.name}.py": routes_file(product, one, others) for one in kept},
        arguments.tests / f"test_{product}.py": test_file(product, kept),
    }
    for path in files:
        if path.exists():
            sys.stderr.write(f"error: {path} exists; nothing was written over\n")
            return 1
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"wrote {path}\n")
    sys.stdout.write("next: `ruff format`, the product's own codes, limits and bindings, and its calls in the test\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

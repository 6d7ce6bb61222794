"""Replies and query parameters are held against what Cloudflare publishes; that this can fail is tested here."""

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.core.registry import products
from tests.local import published, sdk_operations

HANDLERS = {
    sdk_operations.nameless(route.method, route.path): inspect.unwrap(route.handler)
    for product in products()
    for route in product.routes
}
# Parameters that change nothing here, with the reason.
WITHOUT_EFFECT = {
    ("containers.applications.list", "image"): "there are no applications",
    ("containers.applications.list", "name"): "there are no applications",
    ("containers.applications.list", "page_token"): "there are no applications",
    ("containers.applications.list", "per_page"): "there are no applications",
    ("memberships.list", "order"): "names and statuses are the same, so the id decides",
    ("r2.buckets.list", "order"): "there is one order, by name",
    ("workers.scripts.versions.list", "deployable"): "each version can be deployed",
    ("workers.scripts.secrets.get", "url_encoded"): "each name comes encoded, as the path says",
    ("workers.scripts.secrets.delete", "url_encoded"): "each name comes encoded, as the path says",
}


@pytest.mark.parametrize(
    ("name", "result", "found"),
    [
        ("d1.database.get", {"uuid": "x", "num_tables": 1}, []),
        ("d1.database.get", {"uuid": 5}, ["result.uuid: Input should be a valid string"]),
        ("d1.database.get", {"uuid": "x", "colour": "red"}, ["result.colour: Not a field"]),
        ("d1.database.get", None, ["result: Input should be an object"]),
        ("kv.namespaces.list", [{"id": "x"}], ["result.*.title: Field required"]),
        ("workers.scripts.subdomain.get", {"enabled": True}, ["result.previews_enabled: Field required"]),
        # of a union's members, the one that fits best
        (
            "queues.consumers.get",
            {"type": "http_pull", "settings": {"batch_size": "5"}},
            ["result.settings.batch_size: Input should be a valid number"],
        ),
    ],
)
def test_what_is_not_as_published_is_found(name: str, result: Any, found: list[str]) -> None:
    [operation] = [one for one in sdk_operations.operations(name.partition(".")[0]) if one.name == name]
    reply: dict[str, Any] = {"result": result, "success": True, "errors": [], "messages": []}
    assert published.complaints(operation, json.dumps(reply).encode()) == found


@pytest.mark.parametrize(
    "operation",
    [one for one in sdk_operations.operations() if one.route in HANDLERS and one.query],
    ids=lambda operation: operation.name,
)
def test_each_query_parameter_is_read_or_listed(operation: sdk_operations.Operation) -> None:
    read = set(_parameters(HANDLERS[operation.route], set()))
    ignored = {name for name in operation.query if name not in read}
    assert ignored == {name for owner, name in WITHOUT_EFFECT if owner == operation.name}


def _parameters(function: Callable[..., Any], seen: set[Callable[..., Any]]) -> Iterator[str]:
    """Name what a function asks of its call, by its source, and the functions that it hands the call to."""
    seen.add(function)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        yield from _asked(node.test if isinstance(node, ast.If) else node)
        callee = _resolved(node, function.__globals__)
        if inspect.isfunction(callee) and "call" in inspect.signature(callee).parameters and callee not in seen:
            yield from _parameters(callee, seen)


def _asked(node: ast.AST) -> Iterator[str]:
    """Name the texts of a statement or condition that is about the call: `tags = call.argument("tags")`."""
    parts = list(ast.walk(node)) if isinstance(node, ast.Assign | ast.Return | ast.Expr | ast.expr) else []
    if any(isinstance(part, ast.Name) and part.id == "call" for part in parts):
        yield from (str(part.value).partition(".")[0] for part in parts if isinstance(part, ast.Constant))
    if isinstance(node, ast.Attribute) and node.attr == "page":
        yield from ("page", "per_page")


def _resolved(node: ast.AST, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(names.get(node.value.id), node.attr, None)
    return None

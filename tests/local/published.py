"""Replies are held against what Cloudflare publishes of them: the models of its Python SDK, by `sdk_operations`.

The SDK itself makes its objects without a look at the models' types; here a reply must fit them, strictly, and have no
field that they do not have.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, cast

import httpx
import pydantic
from cloudflare import BaseModel
from pydantic.errors import PydanticSchemaGenerationError

from local.api.routing import Router
from local.cli.instance import API_PATH
from local.core.registry import products
from tests.local.errata import ERRATA, Erratum
from tests.local.sdk_operations import Operation, RouteKey, nameless, operations

_FRAME = {"success", "errors", "messages", "result", "result_info"}  # not each of the SDK's models has them all


def route_of(request: httpx.Request) -> RouteKey | None:
    """Tell which route of local/ a request is for; None for one that is not here."""
    path = request.url.raw_path.decode().partition("?")[0]
    found = _router().find(request.method, path.removeprefix(API_PATH))
    return None if found is None else nameless(found[0].method, found[0].path)


def check(response: httpx.Response) -> set[Erratum]:
    """Hold a reply against what is published; returns the errata that excuse it. Raises AssertionError."""
    response.read()
    needed: set[Erratum] = set()
    route = route_of(response.request)
    for operation in operations():
        if response.status_code != 200 or operation.route != route:
            continue
        found = {
            complaint: {erratum for erratum in ERRATA if erratum.excuses(operation.name, complaint)}
            for complaint in complaints(operation, response.content)
        }
        unexcused = [complaint for complaint, excuses in found.items() if not excuses]
        assert not unexcused, f"not as published for {operation.name}: {unexcused}"
        needed.update(*found.values())
    return needed


@cache
def _router() -> Router:
    return Router(route for product in products() for route in product.routes)


def complaints(operation: Operation, content: bytes) -> list[str]:
    """Tell what of a reply is not as published: `path: what`, in which * is any index."""
    model = operation.envelope
    if model is None:
        return []
    try:
        misfits = _misfits(model, content)
        reply = model.construct(**json.loads(content))  # the SDK's own, which takes what does not fit as it is
    except PydanticSchemaGenerationError:
        return ["result: The SDK has something there that is no model"]
    doubtful = {_above(path) for path, _ in misfits}  # where a union's member may not be the one that was meant
    unknown = {path for path in _unknown(reply, "") if path not in _FRAME and _above(path) not in doubtful}
    return sorted([f"{path}: {text}" for path, text in misfits] + [f"{path}: Not a field" for path in unknown])


def _misfits(model: type[BaseModel], content: bytes) -> set[tuple[str, str]]:
    """Tell which paths do not fit, and why."""
    try:
        model.model_validate_json(content, strict=True)
    except pydantic.ValidationError as error:
        problems = [_Problem(part["loc"], part["type"], part["msg"]) for part in error.errors(include_url=False)]
        return set(_nearest(problems, json.loads(content), ""))
    return set()


class _Problem(NamedTuple):
    """What the validator says: keys and indices from the root on, and names of a union's members."""

    location: tuple[int | str, ...]
    kind: str
    text: str


def _nearest(problems: list[_Problem], value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Keep of a union's members the one that fits best, and leave its name out of the path."""
    members: dict[int | str, list[_Problem]] = defaultdict(list)
    keys: dict[int | str, list[_Problem]] = defaultdict(list)
    for problem in problems:
        if not problem.location:
            yield path, problem.text
            continue
        head, *rest = problem.location
        group = keys if _is_key(problem, value) else members
        group[head].append(problem._replace(location=tuple(rest)))
    if members:
        yield from _nearest(min(members.values(), key=len), value, path)
    for key, inner in keys.items():
        below = value[key] if isinstance(key, int) else value.get(key)
        yield from _nearest(inner, below, _join(path, "*" if isinstance(key, int) else key))


def _is_key(problem: _Problem, value: Any) -> bool:
    head = problem.location[0]
    is_absent = problem.kind == "missing" and len(problem.location) == 1
    return isinstance(head, int) or (isinstance(value, dict) and (head in value or is_absent))


def _unknown(value: Any, path: str) -> Iterator[str]:
    """Name the fields that are in no model."""
    if isinstance(value, pydantic.BaseModel):
        known = {field.alias for field in type(value).model_fields.values()}
        yield from (_join(path, name) for name in value.model_extra or {} if name not in known)
        for name, field in type(value).model_fields.items():
            if name not in _FRAME or name == "result":
                yield from _unknown(getattr(value, name), _join(path, field.alias or name))
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _unknown(item, _join(path, "*"))
    if isinstance(value, dict):
        for item in cast("dict[str, Any]", value).values():
            yield from _unknown(item, _join(path, "*"))


def _above(path: str) -> str:
    return path.rpartition(".")[0]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key

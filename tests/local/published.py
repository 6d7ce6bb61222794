"""What Cloudflare publishes of its API, in the form that its Python SDK has it: generated from the OpenAPI document.

Routes, query parameters and the models of replies are read out of the SDK's sources, in the version that is installed.
The SDK itself makes its objects without a look at the models' types; here a reply must fit them, strictly.
"""

import ast
import importlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import cloudflare
import httpx
import pydantic
from cloudflare import BaseModel
from cloudflare._wrappers import ResultWrapper
from pydantic.errors import PydanticSchemaGenerationError

from local.control_plane.application import PRODUCTS
from local.control_plane.routing import Router
from local.instance import API_PATH
from tests.local.errata import ERRATA, Erratum

RouteKey = tuple[str, str]  # method and path

_RESOURCES = Path(cloudflare.__file__).parent / "resources"
_METHODS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE"}
_BYTES = ("BinaryAPIResponse", "str")  # what the SDK calls a reply that is no JSON
_FRAME = {"success", "errors", "messages", "result", "result_info"}  # not each of the SDK's models has them all


@dataclass(frozen=True)
class Operation:
    """One method of the SDK: its name, as in d1.database.create, its route with all names {}, and what it sends."""

    name: str
    route: RouteKey
    query: tuple[str, ...]
    _module: str
    _reply: str  # the source of an expression in that module

    @property
    def envelope(self) -> type[BaseModel] | None:
        """The model of a whole reply; None when it is bytes."""
        return None if self._reply in _BYTES else _envelope(self._module, self._reply)


def nameless(method: str, path: str) -> RouteKey:
    """Make a route comparable: all names in its path become {}."""
    return method, re.sub(r"{[^}]*}", "{}", path)


@cache
def operations(product: str = "") -> tuple[Operation, ...]:
    """Read all operations, or those of one product by the SDK's name for it."""
    return tuple(found for file in sorted((_RESOURCES / product).rglob("*.py")) for found in _operations(file))


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
    return Router(route for product in PRODUCTS for route in product.ROUTES)


def complaints(operation: Operation, content: bytes) -> list[str]:
    """Tell what of a reply is not as published: `path: what`, in which * is any index."""
    model = operation.envelope
    if model is None:
        return []
    try:
        return [*_misfits(model, content), *_strangers(model, content)]
    except PydanticSchemaGenerationError:
        return ["result: The SDK has something there that is no model"]


def _misfits(model: type[BaseModel], content: bytes) -> list[str]:
    try:
        model.model_validate_json(content, strict=True)
    except pydantic.ValidationError as error:
        problems = [_Problem(part["loc"], part["type"], part["msg"]) for part in error.errors(include_url=False)]
        return sorted({f"{path}: {text}" for path, text in _nearest(problems, json.loads(content), "")})
    return []


def _strangers(model: type[BaseModel], content: bytes) -> list[str]:
    reply = model.construct(**json.loads(content))  # the SDK's own, which takes what does not fit as it is
    return [f"{path}: Not a field" for path in sorted(set(_unknown(reply, "")) - _FRAME)]


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


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _operations(file: Path) -> Iterator[Operation]:
    parts = file.relative_to(_RESOURCES).with_suffix("").parts
    owner = ".".join(parts[:-1] if parts[-1:] == parts[-2:-1] else parts)
    for node in ast.parse(file.read_text()).body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("Async"):
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                yield from _requests(method, owner, f"cloudflare.resources.{'.'.join(parts)}")


def _requests(method: ast.FunctionDef, owner: str, module: str) -> Iterator[Operation]:
    """Read a method's request: `self._get(path_template("/accounts/{account_id}/…"), options=…, cast_to=…)`."""
    for call in ast.walk(method):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
            continue
        words = {word.arg: word.value for word in call.keywords}
        verb = _list_verb(words) if call.func.attr == "_get_api_list" else _METHODS.get(call.func.attr)
        paths = [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.Constant)]
        if verb and paths and isinstance(paths[0], str) and paths[0].startswith("/"):
            reply = ast.unparse(words["page"] if "page" in words else words["cast_to"])
            route = nameless(verb, paths[0].partition("?")[0])
            yield Operation(f"{owner}.{method.name}", route, tuple(_query(words["options"])), module, reply)


def _list_verb(words: dict[str | None, ast.expr]) -> str:
    given = words.get("method")
    return str(given.value).upper() if isinstance(given, ast.Constant) else "GET"


def _query(options: ast.expr) -> Iterator[str]:
    """Read `query=maybe_transform({"page": page}, …)` out of the options of a request."""
    for word in ast.walk(options):
        if isinstance(word, ast.keyword) and word.arg == "query":
            for node in ast.walk(word.value):
                keys = node.keys if isinstance(node, ast.Dict) else []
                yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))


@cache
def _envelope(module: str, source: str) -> type[BaseModel]:
    """Evaluate the SDK's own expression; of `cast(Type[Optional[D1]], ResultWrapper[D1])` a result may be null."""
    names = vars(importlib.import_module(module))
    expression = ast.parse(source, mode="eval").body
    if not isinstance(expression, ast.Call):
        return eval(source, names)  # noqa: S307 the source of an installed package
    told, wrapper = (eval(ast.unparse(part), names) for part in expression.args)  # noqa: S307 as above
    return ResultWrapper[get_args(told)[0]] if get_args(told) else wrapper

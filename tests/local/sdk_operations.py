"""The operations of Cloudflare's API, in the form that its Python SDK has them: generated from the OpenAPI document.

Routes, query parameters and the models of replies are read out of the SDK's sources, in the version that is installed.
That takes ten seconds, so what was read is kept beside the compiled code of the SDK.
"""

import ast
import dataclasses
import fcntl
import hashlib
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import get_args

import cloudflare
from cloudflare import BaseModel
from cloudflare._wrappers import ResultWrapper

RouteKey = tuple[str, str]  # method and path

_RESOURCES = Path(cloudflare.__file__).parent / "resources"
_METHODS = {"_get": "GET", "_post": "POST", "_put": "PUT", "_patch": "PATCH", "_delete": "DELETE"}
_READING = Lock()  # CPython 3.11 counts the depth of all parses together, and takes two in threads for a fault
_READER = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
_KEPT = _RESOURCES / "__pycache__" / f"operations-{cloudflare.__version__}-{_READER}.json"
_BYTES = ("BinaryAPIResponse", "str")  # what the SDK calls a reply that is no JSON


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


def operations(product: str = "") -> tuple[Operation, ...]:
    """Return all operations, or those of one product by the SDK's name for it."""
    with _READING:
        return _of_product(product)


@cache
def _of_product(product: str) -> tuple[Operation, ...]:
    return tuple(one for one in _all() if one.name.startswith(f"{product}." if product else ""))


@cache
def _all() -> tuple[Operation, ...]:
    """Read them; of processes that begin at once one does it for all."""
    _KEPT.parent.mkdir(exist_ok=True)
    with _KEPT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _KEPT.exists():
            files = sorted(_RESOURCES.rglob("*.py"))
            read = [dataclasses.asdict(found) for file in files for found in _operations(file)]
            unfinished = _KEPT.with_suffix(".part")
            unfinished.write_text(json.dumps(read))
            unfinished.replace(_KEPT)
    return tuple(_again(**fields) for fields in json.loads(_KEPT.read_text()))


def _again(*, route: list[str], query: list[str], **texts: str) -> Operation:
    method, path = route
    return Operation(route=(method, path), query=tuple(query), **texts)


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

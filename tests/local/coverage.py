"""`python -m tests.local.coverage`: writes each product's COVERAGE.md from routes, a run of tests/local, and the SDK.

A route counts as tested when the server of the tests answered it with success, which is read from that server's own
log. So a test that is deleted, skipped or only refused takes the mark away with the next run of this script.
What Cloudflare has is read from the sources of its official Python SDK, in the version that is installed.
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from local.api.routing import Router
from local.cli import log_file
from local.cli.instance import API_PATH
from local.core.registry import PRODUCTS_FOLDER, products
from tests.local.sdk_operations import RouteKey, nameless, operations

RECORD_VARIABLE = "EPHEMERA_CALLED_ROUTES"  # a folder: each server of the tests leaves a file in it when it ends

_ENTRY = re.compile(r"([A-Z]+) (/\S*) (\d{3}) \d+ ms")
_ROW = re.compile(r"\| ([A-Z]+) \| `(\S+)` \| (yes|no) \|")
_HEAD = """# Coverage of {name}

Written by `python -m tests.local.coverage`; not to be edited. A route that is in no product's list answers 501.
`tested`: a run of `tests/local` got a successful answer from it.

{count} routes, {tested} of them tested.{sdk}

| Method | Path | tested |
| --- | --- | --- |
"""


def all_routes() -> dict[str, list[RouteKey]]:
    """List every route of the control plane by its product, in the order of its table."""
    found = {
        product.name: [
            *((route.method, API_PATH + route.path) for route in product.routes),
            *((route.method, route.path) for route in product.open_routes),
        ]
        for product in products()
    }
    return {name: routes for name, routes in found.items() if routes}


def sdk_routes(product: str) -> set[RouteKey]:
    """List what the SDK calls of a product, by our name for it; names in paths are all `{}`. Empty for other names."""
    return {operation.route for operation in operations(product)}


def record(log_path: Path, folder: Path) -> None:
    """Note which routes a server has answered with success."""
    router = Router(route for product in products() for route in product.routes)
    open_router = Router(route for product in products() for route in product.open_routes)
    called: set[str] = set()
    for entry in log_file.read(log_path, follow=False):
        match = _ENTRY.match(entry["message"]) if entry["source"] == "api" else None
        if match is None or int(match[3]) >= 400:
            continue
        is_api = match[2].startswith(API_PATH)
        found = (router if is_api else open_router).find(match[1], match[2].removeprefix(API_PATH))
        if found is not None:
            called.add(f"{match[1]} {API_PATH if is_api else ''}{found[0].path}")
    (folder / f"{os.getpid()}-{log_path.stat().st_ino}").write_text("\n".join(sorted(called)))


def tested_of(report: str) -> set[RouteKey]:
    """Read which routes a report calls tested."""
    return {(method, path) for method, path, tested in _ROW.findall(report) if tested == "yes"}


def report_of(product: str) -> Path:
    """Tell where a product's report is."""
    return PRODUCTS_FOLDER / product / "COVERAGE.md"


def render(product: str, tested: set[RouteKey]) -> str:
    """Write the report of one product."""
    routes = all_routes()[product]
    ours = {
        nameless(method, path.removeprefix(API_PATH)) for every in all_routes().values() for method, path in every
    }  # of all products: Cloudflare sorts a few routes elsewhere
    theirs = sdk_routes(product)
    known = (
        f" Cloudflare's Python SDK {version('cloudflare')} calls {len(theirs)}, of which {len(theirs & ours)} are here."
    )
    head = _HEAD.format(name=product, count=len(routes), tested=len(set(routes) & tested), sdk=known if theirs else "")
    rows = [f"| {method} | `{path}` | {'yes' if (method, path) in tested else 'no'} |" for method, path in routes]
    return head + "\n".join(rows) + "\n"


def main() -> int:
    """Run the tests and write the reports; nothing is written when a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pytest", "-q", *(sys.argv[1:] or ["tests/local"])],
            cwd=PRODUCTS_FOLDER.parent.parent,
            env={**os.environ, RECORD_VARIABLE: folder},
            check=False,
        )
        if done.returncode != 0:
            return done.returncode
        lines = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    tested = {(method, path) for method, _, path in (line.partition(" ") for line in lines)}
    for product in all_routes():
        report_of(product).write_text(render(product, tested))
    return 0


if __name__ == "__main__":
    sys.exit(main())

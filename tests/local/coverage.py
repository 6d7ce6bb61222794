"""`python -m tests.local.coverage`: writes local/COVERAGE.md from the routes, from a run of tests/local, and the SDK.

A route counts as tested when the server of the tests answered it with success, which is read from that server's own
log. So a test that is deleted, skipped or only refused takes the mark away with the next run of this script.
What Cloudflare has is read from the sources of its official Python SDK, in the version that is installed.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from local.api.routing import Router
from local.cli import log_file
from local.cli.instance import API_PATH
from local.core.registry import products
from tests.local.sdk_operations import RouteKey, nameless, operations

REPORT = Path(__file__).resolve().parent.parent.parent / "local" / "COVERAGE.md"
RECORD_VARIABLE = "EPHEMERA_CALLED_ROUTES"  # a folder: each server of the tests leaves a file in it when it ends

_ENTRY = re.compile(r"([A-Z]+) (/\S*) (\d{3}) \d+ ms")
_ROW = re.compile(r"\| ([A-Z]+) \| `(\S+)` \| (yes|no) \|")
# The developer platform (developers.cloudflare.com/products, "Developer platform"), by the SDK's names.
_PLATFORM = (
    *(
        "ai",
        "ai_gateway",
        "aisearch",
        "browser_rendering",
        "calls",
        "containers",
        "d1",
        "durable_objects",
        "hyperdrive",
    ),
    *("images", "kv", "pages", "pipelines", "queues", "r2", "r2_data_catalog", "secrets_store", "stream", "vectorize"),
    *("workers", "workers_for_platforms", "workflows"),
)

_HEAD = """# Coverage

Written by `python -m tests.local.coverage`; not to be edited. What is not in the first table answers 501.

## Routes

`tested`: a run of `tests/local` got a successful answer from it.
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


def sdk_routes() -> dict[str, set[RouteKey]]:
    """List what the SDK calls of each product of the developer platform; names in paths are all `{}`."""
    return {product: {operation.route for operation in operations(product)} for product in _PLATFORM}


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


def render(tested: set[RouteKey]) -> str:
    """Write the report."""
    routes = all_routes()
    return "\n".join([_HEAD, *_route_table(routes, tested), *_product_table(routes)]) + "\n"


def _route_table(routes: Mapping[str, list[RouteKey]], tested: set[RouteKey]) -> Iterator[str]:
    everything = {route for of_product in routes.values() for route in of_product}
    yield f"{len(everything)} routes, {len(everything & tested)} of them tested."
    for name, of_product in routes.items():
        yield f"\n### {name}\n"
        yield "| Method | Path | tested |"
        yield "| --- | --- | --- |"
        for route in of_product:
            yield f"| {route[0]} | `{route[1]}` | {'yes' if route in tested else 'no'} |"


def _product_table(routes: Mapping[str, list[RouteKey]]) -> Iterator[str]:
    ours = {nameless(method, path.removeprefix(API_PATH)) for table in routes.values() for method, path in table}
    yield "\n## Products of Cloudflare's developer platform\n"
    yield f"Routes that Cloudflare's Python SDK {version('cloudflare')} calls, and how many of them are here.\n"
    yield "| Product | Routes | here |"
    yield "| --- | --- | --- |"
    for product, theirs in sdk_routes().items():
        yield f"| {product} | {len(theirs)} | {len(theirs & ours)} |"


def main() -> int:
    """Run the tests and write the report; nothing is written when a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "pytest", "-q", *(sys.argv[1:] or ["tests/local"])],
            cwd=REPORT.parent.parent,
            env={**os.environ, RECORD_VARIABLE: folder},
            check=False,
        )
        if done.returncode != 0:
            return done.returncode
        lines = [line for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    REPORT.write_text(render({(method, path) for method, _, path in (line.partition(" ") for line in lines)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

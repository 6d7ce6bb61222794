"""What cannot be here is refused before it changes anything: the Worker that is deployed stays as it is."""

import json
from typing import Any

import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest
from tests.wrangler.wrangler_cli import Wrangler

NAME = "stays"
CODE = "export default { fetch: () => new Response('it stays'), scheduled() {} }"
ELSEWHERE: list[tuple[dict[str, Any], str]] = [
    ({"vectorize": [{"binding": "X", "index_name": "index"}]}, "vectorize"),
    ({"browser": {"binding": "X"}}, "browser"),
    ({"ai": {"binding": "X"}}, "ai"),
    ({"send_email": [{"name": "X"}]}, "send_email"),
    ({"pipelines": [{"binding": "X", "pipeline": "pipeline"}]}, "pipelines"),
]


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder = tmp_path_factory.mktemp("stays")
    (folder / "index.js").write_text(CODE)
    wrangler = Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))
    write_config(wrangler)
    wrangler("deploy")
    return wrangler


def write_config(wrangler: Wrangler, **more: Any) -> None:
    config = {
        "name": NAME,
        "main": "index.js",
        "compatibility_date": "2026-03-01",
        "triggers": {"crons": ["0 3 * * *"]},
    }
    (wrangler.folder / "wrangler.json").write_text(json.dumps(config | more))


def everything(rest: Rest) -> list[Any]:
    """Read all that a deployment could have changed."""
    at = f"/workers/scripts/{NAME}"
    places = ("/workers/workers", f"{at}/versions", f"{at}/deployments", f"{at}/schedules", f"{at}/settings")
    return [rest.result("GET", path) for path in (*places, "/storage/kv/namespaces", "/d1/database", "/queues")]


@pytest.mark.parametrize(("bound", "kind"), ELSEWHERE, ids=[kind for _, kind in ELSEWHERE])
def test_a_binding_to_what_is_not_here(wrangler: Wrangler, rest: Rest, bound: dict[str, Any], kind: str) -> None:
    before = everything(rest)
    write_config(wrangler, **bound, triggers={"crons": ["0 4 * * *"]}, vars={"NEW": "variable"})
    said = wrangler.fails("deploy")
    assert f"The local Cloudflare does not have bindings of type {kind} (binding X)" in said
    assert everything(rest) == before
    url = before[0][0]["subdomain"]["url"]
    assert rest.visit(url).text == "it stays"


def test_a_new_worker_does_not_come_into_being(wrangler: Wrangler, rest: Rest) -> None:
    before = everything(rest)
    write_config(wrangler, name="never", browser={"binding": "X"})
    wrangler.fails("deploy")
    assert everything(rest) == before

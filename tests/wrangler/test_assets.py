"""Static assets as wrangler deploys them: a Worker with files, one of files alone, and what goes up again."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest
from tests.wrangler.wrangler_cli import Wrangler

NAME = "gallery"
CODE = """
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url)
    return pathname === "/api" ? env.ASSETS.fetch(new URL("/data.json", request.url)) : new Response("code")
  },
}
"""
SITE = {
    "index.html": "<h1>gallery</h1>",
    "data.json": '{"pictures": 3}',
    "style/main.css": "h1 { color: teal }",
    "_headers": "/style/*\n  X-Kind: style\n",
    "_redirects": "/old / 301\n",
    ".assetsignore": "secret.txt\n",
    "secret.txt": "not to be served",
}


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "index.js").write_text(CODE)
    for name, content in SITE.items():
        write(folder / "public" / name, content)
    return Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def write_config(wrangler: Wrangler, **more: Any) -> None:
    config = {"name": NAME, "compatibility_date": "2026-03-01", **more}
    (wrangler.folder / "wrangler.json").write_text(json.dumps(config))


def address(rest: Rest, name: str = NAME) -> str:
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def test_files_alone_are_a_worker(wrangler: Wrangler, rest: Rest) -> None:
    write_config(wrangler, assets={"directory": "public", "not_found_handling": "single-page-application"})
    said = wrangler("deploy")
    assert "Uploaded 3 of 3 assets" in said
    url = address(rest)
    assert rest.visit(url).text == SITE["index.html"]
    styled = rest.visit(f"{url}/style/main.css")
    assert (styled.headers["content-type"], styled.headers["x-kind"]) == ("text/css; charset=utf-8", "style")
    assert rest.visit(f"{url}/old").headers["location"] == "/"
    assert rest.visit(f"{url}/secret.txt").text == SITE["index.html"]


def test_only_what_changed_goes_up_again(wrangler: Wrangler, rest: Rest) -> None:
    assert "No updated asset files to upload" in wrangler("deploy")
    write(wrangler.folder / "public/index.html", "<h1>new</h1>")
    said = wrangler("deploy")
    assert "+ /index.html" in said
    assert "+ /data.json" not in said
    assert "Uploaded 1 of 1 asset" in said
    assert "(2 already uploaded)" in said
    assert rest.visit(address(rest)).text == "<h1>new</h1>"


def test_a_worker_with_code_and_files(wrangler: Wrangler, rest: Rest) -> None:
    served_by_code = {"directory": "public", "binding": "ASSETS", "run_worker_first": ["/api", "/style/*"]}
    write_config(wrangler, main="index.js", assets=served_by_code)
    assert "env.ASSETS" in wrangler("deploy")
    url = address(rest)
    assert rest.visit(f"{url}/api").json() == {"pictures": 3}
    assert rest.visit(f"{url}/style/main.css").text == "code"
    assert rest.visit(f"{url}/data.json").json() == {"pictures": 3}
    assert rest.visit(f"{url}/else").text == "code"


def test_a_version_brings_its_files(wrangler: Wrangler, rest: Rest) -> None:
    write(wrangler.folder / "public/data.json", '{"pictures": 4}')
    wrangler("versions", "upload")
    url = address(rest)
    assert rest.visit(f"{url}/data.json").json() == {"pictures": 3}
    newest = wrangler.json("versions", "list", "--json")[-1]["id"]
    wrangler("versions", "deploy", f"{newest}@100%", "--yes")
    assert rest.visit(f"{url}/data.json").json() == {"pictures": 4}
    wrangler("rollback", "--yes", "--message", "fewer")
    assert rest.visit(f"{url}/data.json").json() == {"pictures": 3}


def test_a_secret_leaves_the_files_alone(wrangler: Wrangler, rest: Rest) -> None:
    wrangler("deploy")
    wrangler("secret", "put", "KEY", stdin="x")
    assert rest.visit(f"{address(rest)}/data.json").json() == {"pictures": 4}


def test_it_is_deleted_with_its_files(wrangler: Wrangler, cloud: Instance) -> None:
    wrangler("delete", "--force")
    assert list((cloud.state_dir / "assets/files").iterdir()) == []
    assert list((cloud.state_dir / "assets/sites").iterdir()) == []

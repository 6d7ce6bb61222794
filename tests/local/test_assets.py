"""Static assets: uploaded in a session, served as Cloudflare documents, and gone when no version has them.

The flow is that of https://developers.cloudflare.com/workers/static-assets/direct-upload/.
"""

import base64
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli import instance
from local.cli.instance import Instance
from tests.local.rest import Rest, form, module, refusal_of, unique

SITE = {
    "/index.html": "<h1>home</h1>",
    "/about/index.html": "<h1>about</h1>",
    "/blog.html": "<h1>blog</h1>",
    "/css/site.css": "body { margin: 0 }",
    "/404.html": "<h1>nothing here</h1>",
}
CODE = """
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url)
    if (pathname.startsWith("/through")) return env.ASSETS.fetch(new URL(pathname.slice(8), request.url))
    return new Response(`code ${pathname}`)
  },
}
"""
PLAIN = CODE.replace("env.ASSETS.fetch", "fetch")


def hash_of(path: str, content: str) -> str:
    """Name a content; Cloudflare's own example takes SHA-256, wrangler BLAKE3, and any is taken."""
    return hashlib.sha256(f"{path.rpartition('.')[2]} {content}".encode()).hexdigest()[:32]


def manifest_of(site: dict[str, str]) -> dict[str, Any]:
    return {path: {"hash": hash_of(path, content), "size": len(content)} for path, content in site.items()}


def begin(rest: Rest, script: str, site: dict[str, str]) -> dict[str, Any]:
    return rest.result("POST", f"/workers/scripts/{script}/assets-upload-session", {"manifest": manifest_of(site)})


def send(rest: Rest, token: str, contents: dict[str, str], query: str = "?base64=true") -> httpx.Response:
    files = {
        name: (name, base64.b64encode(content.encode()), "text/html; charset=utf-8")
        for name, content in contents.items()
    }
    headers = {"Authorization": f"Bearer {token}"}
    return rest.send("POST", f"/workers/assets/upload{query}", files=files, headers=headers)


def upload(rest: Rest, script: str, site: dict[str, str]) -> str:
    """Upload what is missing, and give the completion token."""
    session = begin(rest, script, site)
    token: str = session["jwt"]
    by_hash = {hash_of(path, content): content for path, content in site.items()}
    for bucket in session["buckets"]:
        token = send(rest, session["jwt"], {name: by_hash[name] for name in bucket}).json()["result"].get("jwt", token)
    return token


def assets_only(**assets: Any) -> dict[str, Any]:
    """Make the form of a Worker without code, as wrangler does."""
    metadata = {"assets": assets, "compatibility_date": "2025-04-01"}
    return {"files": {"metadata": (None, json.dumps(metadata), "application/json")}}


def deployed(rest: Rest, site: dict[str, str] = SITE, **config: Any) -> str:
    """Deploy a Worker that is assets alone, and give its address."""
    script = unique("site")
    answer = rest.result(
        "PUT", f"/workers/scripts/{script}", **assets_only(jwt=upload(rest, script, site), config=config)
    )
    assert (answer["has_assets"], answer["has_modules"], answer["handlers"]) == (True, False, [])
    return address(rest, script)


def address(rest: Rest, script: str) -> str:
    return rest.result("GET", f"/workers/workers/{script}")["subdomain"]["url"]


def stored(cloud: Instance) -> set[str]:
    return {path.name for path in (cloud.state_dir / "assets/files").iterdir()}


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_a_session_asks_for_what_is_not_known(rest: Rest) -> None:
    script, site = unique("site"), {"/a.txt": unique("a"), "/b.txt": unique("b"), "/again.txt": unique("c")}
    site["/same.txt"] = site["/again.txt"]
    session = begin(rest, script, site)
    [bucket] = session["buckets"]
    assert set(bucket) == {hash_of(path, content) for path, content in site.items()}
    assert len(bucket) == 3
    by_hash = {hash_of(path, content): content for path, content in site.items()}
    first = send(rest, session["jwt"], {bucket[0]: by_hash[bucket[0]]})
    assert (first.status_code, first.json()["result"]) == (202, {})
    last = send(rest, session["jwt"], {name: by_hash[name] for name in bucket[1:]})
    assert last.status_code == 201
    assert last.json()["result"]["jwt"]
    assert begin(rest, script, site)["buckets"] == []
    site["/a.txt"] = unique("another a")
    assert begin(rest, script, site)["buckets"] == [[hash_of("/a.txt", site["/a.txt"])]]


def test_large_sets_come_in_several_buckets(rest: Rest) -> None:
    manifest: dict[str, dict[str, Any]] = {f"/{n}": {"hash": f"{n:032x}", "size": 25 * 1024 * 1024} for n in range(4)}
    manifest |= {f"/small/{n}": {"hash": f"{n:030x}ff", "size": 1} for n in range(1500)}
    session = rest.result("POST", f"/workers/scripts/{unique('site')}/assets-upload-session", {"manifest": manifest})
    buckets: list[list[str]] = session["buckets"]
    sizes: dict[str, int] = {line["hash"]: line["size"] for line in manifest.values()}
    assert sorted(name for bucket in buckets for name in bucket) == sorted(sizes)
    assert all(sum(sizes[name] for name in bucket) * 4 / 3 < 100_000_000 for bucket in buckets)
    assert len(buckets) > 4


def test_an_empty_manifest_is_complete_at_once(rest: Rest) -> None:
    assert rest.visit(deployed(rest, {})).status_code == 404


def test_assets_alone_are_a_worker(rest: Rest) -> None:
    url = deployed(rest)
    home = rest.visit(url)
    assert (home.status_code, home.text, home.headers["content-type"]) == (
        200,
        SITE["/index.html"],
        "text/html; charset=utf-8",
    )
    assert home.headers["cache-control"] == "public, max-age=0, must-revalidate"  # static-assets/headers, defaults
    assert rest.visit(f"{url}/css/site.css").headers["content-type"] == "text/css; charset=utf-8"
    known = httpx.get(url, headers={"If-None-Match": home.headers["etag"]}, trust_env=False)
    assert (known.status_code, known.content) == (304, b"")
    assert httpx.head(f"{url}/blog", trust_env=False).status_code == 200
    assert httpx.post(f"{url}/blog", trust_env=False).status_code == 405
    assert rest.visit(f"{url}/no/such/thing").status_code == 404


@pytest.mark.parametrize(  # developers.cloudflare.com/workers/static-assets/routing/advanced/html-handling
    ("handling", "path", "answer"),
    [
        ("auto-trailing-slash", "/about", "/about/"),
        ("auto-trailing-slash", "/about/", SITE["/about/index.html"]),
        ("auto-trailing-slash", "/blog.html", "/blog"),
        ("auto-trailing-slash", "/blog/", "/blog"),
        ("force-trailing-slash", "/blog", "/blog/"),
        ("force-trailing-slash", "/blog/", SITE["/blog.html"]),
        ("drop-trailing-slash", "/about/", "/about"),
        ("drop-trailing-slash", "/about", SITE["/about/index.html"]),
        ("none", "/blog", None),
        ("none", "/blog.html", SITE["/blog.html"]),
    ],
)
def test_html_handling(handled: dict[str, str], rest: Rest, handling: str, path: str, answer: str | None) -> None:
    response = rest.visit(handled[handling] + path)
    if answer is None:
        assert response.status_code == 404
    elif answer.startswith("/"):
        assert (response.status_code, response.headers["location"]) == (307, answer)
    else:
        assert (response.status_code, response.text) == (200, answer)


@pytest.fixture(scope="module")
def handled(rest: Rest) -> dict[str, str]:
    kinds = ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none")
    return {kind: deployed(rest, html_handling=kind) for kind in kinds}


def test_not_found_handling(rest: Rest) -> None:
    page = rest.visit(deployed(rest, not_found_handling="404-page") + "/about/nowhere")
    assert (page.status_code, page.text) == (404, SITE["/404.html"])
    application = rest.visit(deployed(rest, not_found_handling="single-page-application") + "/any/where")
    assert (application.status_code, application.text) == (200, SITE["/index.html"])


def test_headers_and_redirects(rest: Rest) -> None:
    url = deployed(
        rest,
        _headers="/css/*\n  X-Kind: style\n  Cache-Control: public, max-age=60\n",
        _redirects="/old /blog 301\n/posts/* /blog 302\n",
    )
    styled = rest.visit(f"{url}/css/site.css")
    assert (styled.headers["x-kind"], styled.headers["cache-control"]) == ("style", "public, max-age=60")
    for path, status in (("/old", 301), ("/posts/7", 302)):
        moved = rest.visit(url + path)
        assert (moved.status_code, moved.headers["location"]) == (status, "/blog")
    assert rest.visit(f"{url}/_headers").status_code == 404


def test_what_is_read_of_assets_alone(rest: Rest) -> None:
    script = unique("site")
    token = upload(rest, script, SITE)
    rest.result("PUT", f"/workers/scripts/{script}", **assets_only(jwt=token))
    [described] = [one for one in rest.result("GET", "/workers/scripts") if one["id"] == script]
    assert (described["has_assets"], described["has_modules"]) == (True, False)
    assert rest.result("GET", f"/workers/scripts/{script}/settings")["bindings"] == []
    assert rest.result("GET", f"/workers/services/{script}")["id"] == script
    code = rest.send("GET", f"/workers/scripts/{script}/content/v2")
    assert (code.status_code, code.content) == (204, b"")  # the provider's internal/services/workers_script/resource.go
    secret = {"name": "S", "text": "x", "type": "secret_text"}
    rest.result("PUT", f"/workers/scripts/{script}/secrets", secret)
    assert rest.visit(f"{address(rest, script)}/blog").text == SITE["/blog.html"]


def test_a_token_is_worth_nothing_once_its_worker_is_gone(rest: Rest) -> None:
    script = unique("site")
    token = upload(rest, script, SITE)
    rest.result("PUT", f"/workers/scripts/{script}", **assets_only(jwt=token))
    rest.result("DELETE", f"/workers/scripts/{script}")
    refusal = rest.refusal("PUT", f"/workers/scripts/{script}", **assets_only(jwt=token))
    assert refusal[:2] == (400, 10021)


def with_code(rest: Rest, code: str = CODE, *, bound: bool = True, **config: Any) -> str:
    script = unique("app")
    bindings = [{"type": "assets", "name": "ASSETS"}] if bound else []
    answer = rest.upload(script, code, bindings=bindings, assets={"jwt": upload(rest, script, SITE), "config": config})
    assert (answer["has_assets"], answer["has_modules"]) == (True, True)
    return address(rest, script)


def test_code_gets_what_no_asset_answers(rest: Rest) -> None:
    url = with_code(rest)
    assert rest.visit(f"{url}/blog").text == SITE["/blog.html"]
    assert rest.visit(f"{url}/else").text == "code /else"
    assert rest.visit(f"{url}/through/blog").text == SITE["/blog.html"]
    assert rest.visit(f"{url}/through/nothing").status_code == 404


def test_code_may_come_first(rest: Rest) -> None:
    url = with_code(rest, run_worker_first=True)
    assert rest.visit(f"{url}/blog").text == "code /blog"
    assert rest.visit(f"{url}/through/blog").text == SITE["/blog.html"]
    url = with_code(rest, run_worker_first=["/css/*", "!/css/site.css", "/about*"])
    assert rest.visit(f"{url}/blog").text == SITE["/blog.html"]
    assert rest.visit(f"{url}/about/").text == "code /about/"
    assert rest.visit(f"{url}/css/site.css").text == SITE["/css/site.css"]
    url = with_code(rest, serve_directly=False)
    assert rest.visit(f"{url}/blog").text == "code /blog"


def test_assets_stay_when_they_are_to_be_kept(rest: Rest) -> None:
    script = unique("app")
    token = upload(rest, script, SITE)
    bound = [{"type": "assets", "name": "ASSETS"}]
    rest.upload(script, CODE, bindings=bound, assets={"jwt": token, "config": {"not_found_handling": "404-page"}})
    url = address(rest, script)
    assert rest.upload(script, CODE + "// new", bindings=bound, keep_assets=True)["has_assets"] is True
    assert rest.visit(f"{url}/blog").text == SITE["/blog.html"]
    assert rest.visit(f"{url}/through/x").text == SITE["/404.html"]
    settings = {"settings": (None, json.dumps({"bindings": bound}), "application/json")}
    rest.result("PATCH", f"/workers/scripts/{script}/settings", files=settings)
    rest.result("PUT", f"/workers/scripts/{script}/content", **form(CODE.replace("code ", "other ")))
    rest.result("PUT", f"/workers/scripts/{script}/secrets", {"name": "S", "text": "x", "type": "secret_text"})
    assert (rest.visit(f"{url}/blog").text, rest.visit(f"{url}/x").text) == (SITE["/blog.html"], "other /x")
    assert rest.upload(script, PLAIN)["has_assets"] is False
    assert rest.visit(f"{url}/blog").text == "code /blog"
    refusal = rest.refusal("PUT", f"/workers/scripts/{script}", **form(PLAIN, keep_assets=True))
    assert refusal[:2] == (400, 10021)


def test_versions_serve_what_they_were_uploaded_with(rest: Rest) -> None:
    script = unique("app")
    first = rest.upload(script, PLAIN, assets={"jwt": upload(rest, script, {"/a.txt": "one"})})
    url = address(rest, script)
    version = rest.upload(script, PLAIN, path="/versions", assets={"jwt": upload(rest, script, {"/a.txt": "two"})})
    assert rest.visit(f"{url}/a.txt").text == "one"
    split = {"strategy": "percentage", "versions": [{"percentage": 100, "version_id": version["id"]}]}
    rest.result("POST", f"/workers/scripts/{script}/deployments", split)
    assert rest.visit(f"{url}/a.txt").text == "two"
    split["versions"] = [{"percentage": 100, "version_id": first_version(rest, script)}]
    rest.result("POST", f"/workers/scripts/{script}/deployments", split)
    assert rest.visit(f"{url}/a.txt").text == "one"
    assert first["has_assets"] is True


def first_version(rest: Rest, script: str) -> str:
    return rest.result("GET", f"/workers/scripts/{script}/versions")["items"][-1]["id"]


def test_the_json_api_takes_assets_too(rest: Rest) -> None:
    worker = rest.worker()
    config = {"html_handling": "none", "run_worker_first": ["/api/*"]}
    body = {
        "main_module": "index.js",
        "compatibility_date": "2025-04-01",
        "modules": [module(CODE)],
        "bindings": [{"type": "assets", "name": "ASSETS"}],
        "assets": {"jwt": upload(rest, worker["name"], SITE), "config": config},
    }
    path = f"/workers/workers/{worker['id']}/versions"
    version = rest.result("POST", f"{path}?deploy=true", body)
    assert version["assets"] == {"config": config}
    assert rest.result("GET", f"{path}/{version['id']}")["assets"] == {"config": config}
    url = worker["subdomain"]["url"]
    assert rest.visit(f"{url}/blog.html").text == SITE["/blog.html"]
    assert rest.visit(f"{url}/api/x").text == "code /api/x"
    alone = {"compatibility_date": "2025-04-01", "assets": {"jwt": upload(rest, worker["name"], SITE)}}
    created = rest.result("POST", f"{path}?deploy=true", alone)
    assert rest.visit(f"{url}/blog").text == SITE["/blog.html"]
    # Its plan is not empty if there is a list: the provider's TestAccCloudflareWorkerVersion_WithAssets.
    assert "modules" not in rest.result("GET", f"{path}/{created['id']}?include=modules")


def test_a_configuration_may_come_without_assets(rest: Rest) -> None:
    """As the provider's TestAccCloudflareWorkerVersion_AssetsConfigNoDirectory has it."""
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}/versions?deploy=true"
    body = {"main_module": "index.js", "compatibility_date": "2025-04-01", "modules": [module(PLAIN)]}
    config = {"not_found_handling": "single-page-application", "run_worker_first": ["/api/v1/*"]}
    rest.result("POST", path, body | {"assets": {"config": config}})
    assert rest.visit(f"{worker['subdomain']['url']}/no/such/file").text == "code /no/such/file"
    unfit = {"config": {"not_found_handling": "500-page"}}
    assert rest.refusal("POST", path, body | {"assets": unfit})[:2] == (400, 10021)
    assert rest.refusal("POST", path, {"compatibility_date": "2025-04-01", "assets": {"config": config}})[0] == 400


def test_a_service_binding_reaches_assets_and_code(rest: Rest) -> None:
    script, caller = unique("app"), unique("caller")
    code = """
    import { WorkerEntrypoint } from "cloudflare:workers"
    export default class extends WorkerEntrypoint {
      fetch() { return new Response("code") }
      add(a, b) { return a + b }
    }
    """
    rest.upload(script, code, assets={"jwt": upload(rest, script, SITE)})
    calling = """
    export default {
      async fetch(request, env) {
        const texts = ["/blog", "/x"].map(async (path) => (await env.APP.fetch("http://app" + path)).text())
        return Response.json([...(await Promise.all(texts)), await env.APP.add(1, 2)])
      },
    }
    """
    rest.upload(caller, calling, bindings=[{"type": "service", "name": "APP", "service": script}])
    assert rest.visit(address(rest, caller)).json() == [SITE["/blog.html"], "code", 3]


def test_a_token_is_good_for_one_thing(rest: Rest) -> None:
    script, site = unique("site"), {"/a.txt": unique("a")}
    session = begin(rest, script, site)
    [[name]] = session["buckets"]
    contents = {name: site["/a.txt"]}
    put = ("PUT", f"/workers/scripts/{script}")
    assert rest.refusal(*put, **assets_only(jwt=session["jwt"]))[:2] == (400, 10021)
    completion = send(rest, session["jwt"], contents).json()["result"]["jwt"]
    head, claims, signature = session["jwt"].split(".")
    longer = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"exp": 2**40}
    forged = base64.urlsafe_b64encode(json.dumps(longer).encode()).decode().rstrip("=")
    for token in (completion, "x", "é", f"{head}.{forged}.{signature}", rest.http.headers["Authorization"]):
        headers = {"Authorization": f"Bearer {token}".encode()}
        answer = rest.send("POST", "/workers/assets/upload?base64=true", headers=headers)
        assert refusal_of(answer)[:2] == (401, 10000), token
    assert rest.refusal(*put, **assets_only(jwt=completion + "x"))[:2] == (400, 10021)
    rest.result(*put, **assets_only(jwt=completion))
    rest.result(*put, **assets_only(jwt=completion))  # wrangler repeats a request that failed on the way


def test_a_token_of_a_session_opens_no_other_route(rest: Rest) -> None:
    session = begin(rest, unique("site"), {"/a.txt": unique("a")})
    answer = rest.send("GET", "/workers/scripts", headers={"Authorization": f"Bearer {session['jwt']}"})
    assert refusal_of(answer)[:2] == (401, 10000)


@pytest.mark.parametrize(
    "path",
    [
        *("index.html", "", "/", "//a", "/a/../../b", "/./a", "/a/", "/.../a", "/a\0b"),
        *("/" + "x" * 256, "/x" * 2000, "/_headers", "/_redirects", "/.assetsignore"),
    ],
)
def test_a_path_that_cannot_be_a_file_is_refused(rest: Rest, path: str) -> None:
    body = json.dumps({"manifest": {path: {"hash": "a" * 32, "size": 1}}})
    session = f"/workers/scripts/{unique('site')}/assets-upload-session"
    assert rest.refusal("POST", session, content=body)[:2] == (400, 10021)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"manifest": []},
        {"manifest": {"/a": None}},
        {"manifest": {"/a": {"size": 1}}},
        {"manifest": {"/a": {"hash": "a" * 32}}},
        {"manifest": {"/a": {"hash": "../" + "a" * 29, "size": 1}}},
        {"manifest": {"/a": {"hash": "a" * 32, "size": 25 * 1024 * 1024 + 1}}},  # documented: 25 MiB
        {"manifest": {"/a": {"hash": "a" * 32, "size": -1}}},
        {"manifest": {"/a": {"hash": "a" * 32, "size": 1}, "/a/b": {"hash": "b" * 32, "size": 1}}},
        {"manifest": {f"/{n}": {"hash": "a" * 32, "size": 1} for n in range(100_001)}},  # documented: 100,000
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(rest: Rest, body: dict[str, Any]) -> None:
    assert rest.refusal("POST", f"/workers/scripts/{unique('site')}/assets-upload-session", body)[:2] == (400, 10021)


def test_a_file_that_does_not_fit_is_refused(rest: Rest, cloud: Instance) -> None:
    site = {"/a.txt": unique("a")}
    session = begin(rest, unique("site"), site)
    [[name]] = session["buckets"]
    before = stored(cloud)
    for contents, query in (
        ({name: site["/a.txt"] + "!"}, "?base64=true"),
        ({"b" * 32: site["/a.txt"]}, "?base64=true"),
        ({"../../escaped": site["/a.txt"]}, "?base64=true"),
        ({name: site["/a.txt"]}, ""),
    ):
        assert refusal_of(send(rest, session["jwt"], contents, query))[:2] == (400, 10021)
    files = {name: (name, "no base64", "text/plain")}
    headers = {"Authorization": f"Bearer {session['jwt']}"}
    answer = rest.send("POST", "/workers/assets/upload?base64=true", files=files, headers=headers)
    assert refusal_of(answer)[:2] == (400, 10021)
    assert stored(cloud) == before


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"bindings": [{"type": "assets", "name": "A"}]}, "Cannot use an assets binding without assets"),  # quoted
        ({"assets": {}}, "Invalid Worker version: assets.jwt: Required, unless keep_assets is true"),
        ({"assets": {"jwt": "x"}}, "Invalid Worker version: assets.jwt: the token's signature is not valid"),
        ({"keep_assets": True}, "Cannot keep assets: the previous version of this Worker has none"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(rest: Rest, metadata: dict[str, Any], message: str) -> None:
    assert rest.refusal("PUT", f"/workers/scripts/{unique('app')}", **form(**metadata)) == (400, 10021, message)


@pytest.mark.parametrize(
    "config",
    [
        {"html_handling": "sometimes"},
        {"not_found_handling": "500-page"},
        {"run_worker_first": "yes"},
        {"run_worker_first": ["api"]},
        {"run_worker_first": []},
        {"run_worker_first": ["!/api/*"]},
        {"run_worker_first": ["/a", "/a"]},
        {"run_worker_first": ["/a/*", "/a/b"]},
        {"run_worker_first": ["/" + "a" * 100]},
        {"run_worker_first": [f"/{number}" for number in range(101)]},
        {"run_worker_first": [1]},
        {"_headers": 1},
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(rest: Rest, config: dict[str, Any]) -> None:
    script = unique("app")
    token = upload(rest, script, {"/a.txt": "a"})
    upload_form = form(CODE, assets={"jwt": token, "config": config})
    assert rest.refusal("PUT", f"/workers/scripts/{script}", **upload_form)[:2] == (400, 10021)


@pytest.mark.parametrize(
    "config", [{"run_worker_first": True}, {"run_worker_first": ["/a"]}, {"serve_directly": False}]
)
def test_what_has_no_code_cannot_run_it_first(rest: Rest, config: dict[str, Any]) -> None:
    script = unique("site")
    alone = assets_only(jwt=upload(rest, script, {"/a.txt": "a"}), config=config)
    assert rest.refusal("PUT", f"/workers/scripts/{script}", **alone)[:2] == (400, 10021)


def test_files_are_private_and_go_with_the_last_version(rest: Rest, cloud: Instance) -> None:
    script, other = unique("site"), unique("site")
    own, shared = unique("own file"), unique("shared file")
    rest.result("PUT", f"/workers/scripts/{script}", **assets_only(jwt=upload(rest, script, {"/a": own, "/b": shared})))
    rest.result("PUT", f"/workers/scripts/{other}", **assets_only(jwt=upload(rest, other, {"/c": shared})))
    assert {digest(own), digest(shared)} <= stored(cloud)
    for path in (cloud.state_dir / "assets").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    rest.result("DELETE", f"/workers/scripts/{script}")
    assert {digest(own), digest(shared)} & stored(cloud) == {digest(shared)}
    assert rest.visit(f"{address(rest, other)}/c").text == shared
    rest.result("DELETE", f"/workers/scripts/{other}")
    assert digest(shared) not in stored(cloud)


def test_assets_outlive_a_restart(tmp_path: Path) -> None:
    started, _ = instance.start(tmp_path / "state", port=0)
    try:
        with Rest(started) as rest:
            script = unique("site")
            session = begin(rest, script, SITE)
            url = deployed(rest)
        instance.stop(tmp_path / "state")
        [site] = (tmp_path / "state/assets/sites").iterdir()
        site.rename(site.with_name("lost"))  # follows from the state, and is made anew
        again, _ = instance.start(tmp_path / "state")
        with Rest(again) as rest:
            assert rest.visit(f"{url}/blog").text == SITE["/blog.html"]
            assert begin(rest, script, SITE)["buckets"] == []
            contents = {hash_of("/blog.html", SITE["/blog.html"]): SITE["/blog.html"]}
            assert send(rest, session["jwt"], contents).status_code == 201  # the key of tokens is kept
        assert [path.name for path in (tmp_path / "state/assets/sites").iterdir()] == [site.name]
    finally:
        instance.stop(tmp_path / "state")

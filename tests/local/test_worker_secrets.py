"""Secrets of a Worker, one by one, in bulk, and in a version that nobody deploys yet."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, unique

KEYS = "export default { fetch: (request, env) => Response.json(env) }"


def secret(name: str, text: str) -> dict[str, str]:
    return {"name": name, "text": text, "type": "secret_text"}


def deployed(rest: Rest, **metadata: Any) -> tuple[str, str]:
    """Deploy a Worker that tells its bindings: its path, and its address."""
    name = unique("secretive")
    rest.upload(name, KEYS, **metadata)
    return f"/workers/scripts/{name}", rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def test_live_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    path, url = deployed(rest, bindings=[{"name": "VAR", "type": "plain_text", "text": "v"}])
    name, account, secrets = path.rsplit("/", 1)[-1], cloud.account_id, sdk.workers.scripts.secrets
    made = secrets.update(name, account_id=account, name="KEY", text="one", type="secret_text")
    assert made is not None
    assert made.model_dump(exclude_none=True) == {"name": "KEY", "type": "secret_text"}
    assert rest.visit(url).json() == {"KEY": "one", "VAR": "v"}
    secrets.update(name, account_id=account, name="KEY", text="two", type="secret_text")
    assert rest.visit(url).json()["KEY"] == "two"
    assert [one.name for one in secrets.list(name, account_id=account)] == ["KEY"]
    assert secrets.get("KEY", account_id=account, script_name=name) is not None
    secrets.delete("KEY", account_id=account, script_name=name)
    assert rest.visit(url).json() == {"VAR": "v"}


def test_a_change_is_a_version_that_is_deployed_at_once(rest: Rest) -> None:
    path, _ = deployed(rest)
    rest.result("PUT", f"{path}/secrets", secret("A", "1"))
    newest, first = rest.result("GET", f"{path}/versions")["items"]
    assert newest["annotations"] == {"workers/triggered_by": "secret"}
    [deployment, _] = rest.result("GET", f"{path}/deployments")["deployments"]
    assert deployment["annotations"] == {"workers/triggered_by": "secret"}
    assert deployment["versions"] == [{"version_id": newest["id"], "percentage": 100}]
    etags = [
        rest.result("GET", f"{path}/versions/{one['id']}")["resources"]["script"]["etag"] for one in (newest, first)
    ]
    assert etags[0] == etags[1]
    shown = rest.send("GET", f"{path}/versions/{newest['id']}")
    assert '"text"' not in shown.text


def test_in_bulk_all_or_none(rest: Rest) -> None:
    path, url = deployed(rest, bindings=[{"name": "VAR", "type": "plain_text", "text": "v"}])
    rest.result("PUT", f"{path}/secrets", secret("OLD", "o"))
    body = {"secrets": {"A": secret("A", "1"), "B": {"text": "2"}, "OLD": None}}
    answer = rest.result("PATCH", f"{path}/secrets-bulk", body)
    assert answer == {name: {"name": name, "type": "secret_text"} for name in ("A", "B")}
    assert rest.visit(url).json() == {"A": "1", "B": "2", "VAR": "v"}
    assert len(rest.result("GET", f"{path}/versions")["items"]) == 3
    taken = {"secrets": {"C": secret("C", "3"), "VAR": secret("VAR", "4")}}
    assert rest.refusal("PATCH", f"{path}/secrets-bulk", taken)[:2] == (400, 10053)
    assert rest.refusal("PATCH", f"{path}/secrets-bulk", {"secrets": {"VAR": None}})[:2] == (404, 10056)
    assert [one["name"] for one in rest.result("GET", f"{path}/secrets")] == ["A", "B"]


def test_what_is_refused(rest: Rest) -> None:
    """10053 and 10056 are quoted in issues (workers-sdk, wrangler-legacy #1662), 10215 in users' logs."""
    path, _ = deployed(rest, bindings=[{"name": "VAR", "type": "plain_text", "text": "v"}])
    message = "Binding name 'VAR' already in use. Please use a different name and try again."
    assert rest.refusal("PUT", f"{path}/secrets", secret("VAR", "x")) == (400, 10053, message)
    message = "Binding 'VAR' not found. Please use a different name and try again."
    assert rest.refusal("DELETE", f"{path}/secrets/VAR?url_encoded=true") == (404, 10056, message)
    assert rest.refusal("GET", f"{path}/secrets/VAR") == (404, 10056, message)
    assert rest.refusal("PUT", f"{path}/secrets", {"name": "A"})[:2] == (400, 10026)
    assert rest.refusal("PATCH", f"{path}/secrets-bulk", {})[:2] == (400, 10026)
    key = {"name": "A", "type": "secret_key", "format": "raw"}
    assert rest.refusal("PUT", f"{path}/secrets", key)[0] == 501
    assert rest.refusal("GET", "/workers/scripts/nobody/secrets")[:2] == (404, 10007)
    rest.upload(path.rsplit("/", 1)[-1], KEYS, path="/versions")
    status, code, message = rest.refusal("PUT", f"{path}/secrets", secret("A", "x"))
    assert (status, code) == (400, 10215)
    assert message.startswith("Secret edit failed. You attempted to modify a secret, but the latest version")


def test_a_worker_without_code_has_none(rest: Rest) -> None:
    path = f"/workers/scripts/{rest.worker()['name']}/secrets"
    assert rest.result("GET", path) == []
    assert rest.refusal("PUT", path, secret("A", "x"))[:2] == (404, 10007)


def test_a_patch_makes_a_version_of_the_latest(rest: Rest) -> None:
    path, url = deployed(rest, bindings=[{"name": "VAR", "type": "plain_text", "text": "v"}])
    rest.result("PUT", f"{path}/secrets", secret("A", "1"))
    latest = f"{path.replace('scripts', 'workers')}/versions/latest"
    patch = {"env": {"B": {"type": "secret_text", "text": "2"}, "A": None}, "annotations": {"workers/message": "m"}}
    made = rest.result("PATCH", latest, patch)
    assert made["number"] == 3
    assert made["annotations"] == {"workers/message": "m", "workers/triggered_by": "secret"}
    assert [(one["name"], one["type"]) for one in made["bindings"]] == [("B", "secret_text"), ("VAR", "plain_text")]
    assert rest.visit(url).json() == {"A": "1", "VAR": "v"}
    split = {"strategy": "percentage", "versions": [{"version_id": made["id"], "percentage": 100}]}
    rest.result("POST", f"{path}/deployments", split)
    assert rest.visit(url).json() == {"B": "2", "VAR": "v"}
    assert rest.refusal("PATCH", latest, {"main_module": "x"})[0] == 501
    idle = f"/workers/workers/{rest.worker()['id']}/versions/latest"
    assert rest.refusal("PATCH", idle, patch)[:2] == (404, 10222)


@pytest.mark.parametrize("former", [[secret("A", "old")], []])
def test_a_secret_is_not_lost_to_uploads_that_began_before_it(rest: Rest, former: list[dict[str, str]]) -> None:
    path, url = deployed(rest, bindings=former)
    name = path.rsplit("/", 1)[-1]
    with ThreadPoolExecutor() as pool:  # an upload takes a trial's time, a secret a fraction of it
        uploads = [pool.submit(rest.upload, name, KEYS, keep_bindings=["secret_text"]) for _ in range(3)]
        pool.submit(rest.result, "PUT", f"{path}/secrets", secret("A", "new")).result()
        for upload in uploads:
            upload.result()
    assert rest.visit(url).json() == {"A": "new"}

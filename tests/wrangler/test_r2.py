"""What wrangler has for R2: buckets, objects, and a Worker that binds a bucket."""

import json
from pathlib import Path

import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually
from tests.wrangler.wrangler_cli import Wrangler

BUCKET, WORKER = "walker-bucket", "r2-walker"

READER = """
export default { async fetch(request, env) {
  await env.BUCKET.put("from/the Worker.txt", "from the Worker")
  const object = await env.BUCKET.get("folder/a b.txt")
  return new Response(object && `${await object.text()}, ${object.httpMetadata.contentType}`)
} }
"""


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder: Path = tmp_path_factory.mktemp("r2")
    (folder / "index.js").write_text(READER)
    config = {
        "name": WORKER,
        "main": "index.js",
        "compatibility_date": "2026-03-01",
        "r2_buckets": [{"binding": "BUCKET", "bucket_name": BUCKET}],
    }
    (folder / "wrangler.json").write_text(json.dumps(config))
    return Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))


def test_a_bucket(wrangler: Wrangler) -> None:
    assert f"Created bucket '{BUCKET}' with default storage class of Standard." in wrangler(
        "r2", "bucket", "create", BUCKET
    )
    assert "already exists, and you own it. [code: 10004]" in wrangler.fails("r2", "bucket", "create", BUCKET)
    wrangler("r2", "bucket", "create", BUCKET, "-J", "eu", "-s", "InfrequentAccess")
    listed, european = wrangler.together("r2 bucket list", "r2 bucket list -J eu")
    assert BUCKET in listed
    assert BUCKET in european
    assert "(eu) to Standard default storage class" in wrangler(
        "r2", "bucket", "update", "storage-class", BUCKET, "-J", "eu", "-s", "Standard"
    )
    wrangler("r2", "bucket", "delete", BUCKET, "-J", "eu")
    assert BUCKET not in wrangler("r2", "bucket", "list", "-J", "eu")


def test_objects(wrangler: Wrangler, rest: Rest) -> None:
    content = bytes(range(256)) * 4_000
    (wrangler.folder / "sent").write_bytes(content)
    wrangler("r2", "object", "put", f"{BUCKET}/raw", "--file=sent", "--remote")
    wrangler("r2", "object", "get", f"{BUCKET}/raw", "--file=got", "--remote")
    assert (wrangler.folder / "got").read_bytes() == content
    name = f"{BUCKET}/folder/a b.txt"
    wrangler("r2", "object", "put", name, "--pipe", "--content-type=text/x-walk", "--remote", stdin="hello")
    assert wrangler("r2", "object", "get", name, "--pipe", "--remote").endswith("hello")
    assert "The specified key does not exist." in wrangler.fails("r2", "object", "get", f"{BUCKET}/none", "--remote")
    told = wrangler.json("r2", "bucket", "info", BUCKET, "--json")
    assert (told["name"], told["object_count"], told["default_storage_class"]) == (BUCKET, "2", "Standard")
    assert told["bucket_size"] == "1.02 MB"
    wrangler("r2", "object", "delete", f"{BUCKET}/raw", "--remote")
    assert [one["key"] for one in rest.result("GET", f"/r2/buckets/{BUCKET}/objects")] == ["folder/a b.txt"]


def test_a_worker_with_a_bucket(wrangler: Wrangler, rest: Rest) -> None:
    assert f"env.BUCKET ({BUCKET})" in wrangler("deploy")
    url = rest.result("GET", f"/workers/workers/{WORKER}")["subdomain"]["url"]
    eventually(lambda: rest.visit(url).text == "hello, text/x-walk" or None)
    said = wrangler("r2", "object", "get", f"{BUCKET}/from/the Worker.txt", "--pipe", "--remote")
    assert said.endswith("from the Worker")


def test_a_deployment_provisions_a_bucket_without_a_name(wrangler: Wrangler, rest: Rest) -> None:
    config = json.loads((wrangler.folder / "wrangler.json").read_text())
    named = {"name": "provisioned", "r2_buckets": [{"binding": "FILES"}]}
    points = {"analytics_engine_datasets": [{"binding": "POINTS"}]}
    (wrangler.folder / "other.json").write_text(json.dumps(config | named | points))
    assert "FILES provisioned" in wrangler("deploy", "-c", "other.json")
    bindings = rest.result("GET", "/workers/scripts/provisioned/settings")["bindings"]
    assert [binding.get("bucket_name") or binding["dataset"] for binding in bindings] == ["provisioned-files", "POINTS"]
    rest.result("DELETE", "/workers/scripts/provisioned")
    wrangler("r2", "bucket", "delete", "provisioned-files")


def test_only_an_empty_bucket_is_deleted(wrangler: Wrangler) -> None:
    assert "is not empty" in wrangler.fails("r2", "bucket", "delete", BUCKET)
    for key in ("folder/a b.txt", "from/the Worker.txt"):
        wrangler("r2", "object", "delete", f"{BUCKET}/{key}", "--remote")
    assert f"Deleted bucket {BUCKET}." in wrangler("r2", "bucket", "delete", BUCKET)
    assert BUCKET not in wrangler("r2", "bucket", "list")

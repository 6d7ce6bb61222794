"""R2: buckets, and objects by REST as a Worker's binding sees them. Texts are those that r2_buckets.py quotes."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli import instance
from local.cli.instance import Instance
from tests.local.rest import Rest, eventually, form, unique, version

BUCKETS = "/r2/buckets"
EU = {"cf-r2-jurisdiction": "eu"}

STORAGE_QUERY = """
query ($account: String, $filter: R2StorageAdaptiveGroupsFilter_InputObject) {
  viewer { accounts(filter: { accountTag: $account }) {
    r2StorageAdaptiveGroups(limit: 1, filter: $filter, orderBy: [datetime_DESC]) {
      max { objectCount payloadSize metadataSize } dimensions { bucketName }
    }
  } }
}
"""

READER = """
export default { async fetch(request, env) {
  if (!env.BUCKET) return new Response("unbound")
  const metadata = { httpMetadata: { contentType: "text/x-seen" }, customMetadata: { a: "ä" } }
  await env.BUCKET.put("seen", "by the Worker", metadata)
  const object = await env.BUCKET.get("from/REST")
  return new Response(object ? `${await object.text()} ${object.httpMetadata.contentType}` : "nothing")
} }
"""


@pytest.fixture(name="bucket")
def new_bucket(rest: Rest) -> str:
    return f"{BUCKETS}/{make_bucket(rest)['name']}"


def make_bucket(rest: Rest, **more: Any) -> dict[str, Any]:
    return rest.result("POST", BUCKETS, {"name": unique("bucket")}, **more)


def put(rest: Rest, bucket: str, key: str, content: bytes | str, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return rest.result("PUT", f"{bucket}/objects/{key}", content=content, headers=named)


def binding(bucket: str, **more: str) -> dict[str, Any]:
    return {"bindings": [{"type": "r2_bucket", "name": "BUCKET", "bucket_name": bucket, **more}]}


def test_lives_through_the_sdk(sdk: Cloudflare, cloud: Instance) -> None:
    account, name = cloud.account_id, unique("bucket")
    created = sdk.r2.buckets.create(account_id=account, name=name, location_hint="weur")
    assert (created.name, created.jurisdiction, created.storage_class) == (name, "default", "Standard")
    assert str(created.location) == "WEUR"
    assert sdk.r2.buckets.get(name, account_id=account) == created
    edited = sdk.r2.buckets.edit(name, account_id=account, storage_class="InfrequentAccess")
    assert edited.storage_class == "InfrequentAccess"
    assert edited in (sdk.r2.buckets.list(account_id=account, name_contains=name).buckets or [])
    objects = sdk.r2.buckets.objects
    named: dict[str, Any] = {"account_id": account, "bucket_name": name}
    uploaded = objects.upload("a/b ä%", b"bytes", **named)
    assert (uploaded.key, uploaded.size, uploaded.storage_class) == ("a/b ä%", "5", "Standard")
    assert objects.get("a/b ä%", **named).read() == b"bytes"
    [listed] = objects.list(name, account_id=account)
    assert (listed.key, listed.size, listed.etag) == ("a/b ä%", 5, uploaded.etag)
    assert objects.delete("a/b ä%", **named).key == "a/b ä%"
    with pytest.raises(Exception, match="10007"):
        objects.get("a/b ä%", **named)
    sdk.r2.buckets.delete(name, account_id=account)
    with pytest.raises(Exception, match="10006"):
        sdk.r2.buckets.get(name, account_id=account)


def test_an_object_keeps_its_bytes_and_metadata(rest: Rest, bucket: str) -> None:
    content = bytes(range(256)) * 8_000
    expires = "Wed, 21 Oct 2037 07:28:00 GMT"
    stored = put(rest, bucket, "raw", content, content_type="text/plain", cache_control="no-cache", expires=expires)
    assert stored["size"] == str(len(content))
    response = rest.send("GET", f"{bucket}/objects/raw")
    assert response.content == content
    assert response.headers["content-type"] == "text/plain"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["expires"] == expires
    assert response.headers["etag"] == f'"{stored["etag"]}"'
    assert response.headers["content-length"] == str(len(content))
    for condition in (
        {"if-none-match": f'"x", W/"{stored["etag"]}"'},
        {"if-modified-since": response.headers["last-modified"]},
    ):
        unchanged = rest.send("GET", f"{bucket}/objects/raw", headers=condition)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    for condition in ({"if-none-match": '"x"'}, {"if-modified-since": "Wed, 21 Oct 2015 07:28:00 GMT"}):
        assert rest.send("GET", f"{bucket}/objects/raw", headers=condition).content == content
    [listed] = rest.result("GET", f"{bucket}/objects")
    assert listed["http_metadata"] == {
        "contentType": "text/plain",
        "cacheControl": "no-cache",
        "cacheExpiry": "2037-10-21T07:28:00.000Z",
    }


def test_a_key_is_all_that_follows(rest: Rest, bucket: str) -> None:
    """The API reference: slashes within a key are sent as they are, everything else is percent-encoded."""
    for path, key in [("a/b", "a/b"), ("folder/", "folder/"), ("a//c", "a//c"), ("100%25", "100%"), ("%C3%A4", "ä")]:
        assert put(rest, bucket, path, key)["key"] == key
        assert rest.send("GET", f"{bucket}/objects/{path}").text == key
    assert rest.refusal("PUT", f"{bucket}/objects/{'k' * 1025}", content=b"")[:2] == (400, 10020)


def test_lists_by_prefix_and_delimiter_in_pages(rest: Rest, bucket: str) -> None:
    for key in ("a/1", "a/2", "b", "c"):
        put(rest, bucket, key, key)
    path = f"{bucket}/objects"
    first = rest.send("GET", f"{path}?per_page=2").json()
    assert [listed["key"] for listed in first["result"]] == ["a/1", "a/2"]
    assert first["result_info"]["is_truncated"] is True
    last = rest.send("GET", f"{path}?per_page=2&cursor={first['result_info']['cursor']}").json()
    assert [listed["key"] for listed in last["result"]] == ["b", "c"]
    assert (last["result_info"]["cursor"], last["result_info"]["is_truncated"]) == ("", False)
    folders = rest.send("GET", f"{path}?delimiter=/&start_after=a/1").json()
    assert ([one["key"] for one in folders["result"]], folders["result_info"]["delimited"]) == (["b", "c"], ["a/"])
    assert [listed["key"] for listed in rest.result("GET", f"{path}?prefix=a/")] == ["a/1", "a/2"]
    assert rest.refusal("GET", f"{path}?per_page=1001")[1] == 10022


def test_refuses_what_r2_refuses(rest: Rest, bucket: str, cloud: Instance) -> None:
    name = bucket.removeprefix(f"{BUCKETS}/")
    for wrong in ("ab", "A-b", "a_b", "-ab", "ab-", "a.b", "a" * 64):
        refusal = rest.refusal("POST", BUCKETS, {"name": wrong})
        assert refusal == (400, 10005, "The specified bucket name is not valid.")
    taken = (409, 10004, "The bucket you tried to create already exists, and you own it.")
    assert rest.refusal("POST", BUCKETS, {"name": name}) == taken
    missing = (404, 10006, "The specified bucket does not exist.")
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/objects"),
        ("GET", "/objects/k"),
        ("PUT", "/objects/k"),
    ]:
        assert rest.refusal(method, f"{BUCKETS}/none{path}") == missing
    put(rest, bucket, "k", "v")
    message = f"The bucket you tried to delete ({name}) is not empty (account {cloud.account_id})."
    assert rest.refusal("DELETE", bucket) == (409, 10008, message)
    assert rest.send("GET", f"{bucket}/objects/k").text == "v"
    rest.result("DELETE", f"{bucket}/objects/k")
    rest.result("DELETE", f"{bucket}/objects/k")
    assert rest.refusal("GET", f"{bucket}/objects/k") == (404, 10007, "The specified key does not exist.")
    assert rest.refusal("GET", BUCKETS, headers={"cf-r2-jurisdiction": "moon"})[:2] == (400, 10029)


def test_a_jurisdiction_has_names_of_its_own(rest: Rest) -> None:
    made = make_bucket(rest, headers=EU)
    assert made["jurisdiction"] == "eu"
    path = f"{BUCKETS}/{made['name']}"
    assert rest.refusal("GET", path)[1] == 10006
    rest.result("POST", BUCKETS, {"name": made["name"]})
    rest.result("PUT", f"{path}/objects/k", content=b"of the EU", headers=EU)
    assert rest.refusal("GET", f"{path}/objects/k")[1] == 10007
    assert [one["jurisdiction"] for one in rest.result("GET", BUCKETS, headers=EU)["buckets"]] == ["eu"]
    assert all(one["jurisdiction"] == "default" for one in rest.result("GET", BUCKETS)["buckets"])
    url = rest.deployed_worker(READER, **binding(made["name"], jurisdiction="eu"))["subdomain"]["url"]
    eventually(lambda: rest.visit(url).text == "nothing" or None)
    assert rest.send("GET", f"{path}/objects/seen", headers=EU).text == "by the Worker"
    assert rest.refusal("GET", f"{path}/objects/seen")[1] == 10007


def test_buckets_are_listed_in_pages(rest: Rest) -> None:
    stem = unique("pages")
    names = [f"{stem}-{letter}" for letter in "abc"]
    for name in names:
        rest.result("POST", BUCKETS, {"name": name})
    listed = f"{BUCKETS}?name_contains={stem}&per_page=2"
    first = rest.send("GET", listed).json()
    assert [one["name"] for one in first["result"]["buckets"]] == names[:2]
    last = rest.send("GET", f"{listed}&cursor={first['result_info']['cursor']}").json()
    assert [one["name"] for one in last["result"]["buckets"]] == names[2:]
    assert last["result_info"]["cursor"] == ""
    assert [one["name"] for one in rest.result("GET", f"{listed}&direction=desc")["buckets"]] == names[:0:-1]
    after = rest.result("GET", f"{listed}&start_after={names[1]}")["buckets"]
    assert [one["name"] for one in after] == names[2:]


def test_a_worker_and_rest_share_a_bucket(rest: Rest, bucket: str) -> None:
    name = bucket.removeprefix(f"{BUCKETS}/")
    put(rest, bucket, "from/REST", "hello", content_type="text/x-hello")
    worker = rest.deployed_worker(READER, **binding(name))
    url = worker["subdomain"]["url"]
    eventually(lambda: rest.visit(url).text == "hello text/x-hello" or None)
    response = rest.send("GET", f"{bucket}/objects/seen")
    assert (response.text, response.headers["content-type"]) == ("by the Worker", "text/x-seen")
    listed = {one["key"]: one for one in rest.result("GET", f"{bucket}/objects")}
    assert listed["seen"]["custom_metadata"] == {"a": "ä"}
    [bound] = rest.result("GET", f"/workers/scripts/{worker['name']}/settings")["bindings"]
    assert bound == {"type": "r2_bucket", "name": "BUCKET", "bucket_name": name}

    for key in listed:
        rest.result("DELETE", f"{bucket}/objects/{key}")
    rest.result("DELETE", bucket)
    assert rest.visit(url).text == "unbound"
    rest.result("POST", BUCKETS, {"name": name})
    assert rest.visit(url).text == "nothing"  # a bucket of the same name is another one


def test_metadata_of_any_text_passes_through_headers(rest: Rest, bucket: str) -> None:
    code = """export default { async fetch(request, env) {
      const customMetadata = { long: "日".repeat(2_600) }  // R2 takes 8,192 bytes of it
      const httpMetadata = { contentDisposition: 'filename="日\\r\\nä"' }
      await env.BUCKET.put("written", "x", { httpMetadata, customMetadata })
      return new Response((await env.BUCKET.head("sent")).httpMetadata.contentDisposition)
    } }"""
    named = 'filename="日ä"'.encode()
    rest.result("PUT", f"{bucket}/objects/sent", content=b"x", headers=[(b"content-disposition", named)])
    worker = rest.deployed_worker(code, **binding(bucket.removeprefix(f"{BUCKETS}/")))
    assert rest.visit(worker["subdomain"]["url"]).text == 'filename="日ä"'
    for key, expected in (("sent", named), ("written", 'filename="日  ä"'.encode())):
        headers = dict(rest.send("GET", f"{bucket}/objects/{key}").headers.raw)
        assert headers[b"content-disposition"] == expected


def test_a_binding_needs_its_bucket(rest: Rest) -> None:
    path = f"/workers/scripts/{unique('bound')}"
    message = (
        "R2 bucket 'no-such-bucket' not found. Verify the bucket exists in your account and that the bucket_name in"
        " your configuration is correct."
    )
    assert rest.refusal("PUT", path, **form(**binding("no-such-bucket"))) == (400, 10085, message)
    assert rest.refusal("PUT", path, **form(**binding("")))[:2] == (400, 10021)


def test_what_a_bucket_holds_is_told_by_graphql(rest: Rest, bucket: str, cloud: Instance) -> None:
    put(rest, bucket, "key", "12345", content_type="a/b")
    name = bucket.removeprefix(f"{BUCKETS}/")

    def ask(account: str = cloud.account_id, query: str = STORAGE_QUERY, **more: str) -> Any:
        variables = {"account": account, "filter": {"bucketName": name, **more}}
        return rest.http.post("/graphql", json={"query": query, "variables": variables}).json()

    [account] = ask()["data"]["viewer"]["accounts"]
    stored = {"objectCount": 1, "payloadSize": 5, "metadataSize": 6}
    assert account["r2StorageAdaptiveGroups"] == [{"max": stored, "dimensions": {"bucketName": name}}]
    [account] = ask(datetime_geq="2020-01-01T00:00:00Z", datetime_leq="2020-01-02T00:00:00Z")["data"]["viewer"][
        "accounts"
    ]
    assert account["r2StorageAdaptiveGroups"] == []
    assert ask(account="f" * 32)["errors"][0]["message"] == "not authorized for that account"
    assert ask(query="{ viewer {")["errors"][0]["message"].startswith("Syntax Error")


def test_survives_kill_9(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    cloud, _ = instance.start(state_dir, port=0)
    try:
        with Rest(cloud) as rest:
            rest.result("POST", BUCKETS, {"name": "kept"})
            put(rest, f"{BUCKETS}/kept", "k", "v" * 100_000)
            os.kill(cloud.pid, signal.SIGKILL)
        eventually(lambda: True if instance.Instance.find(state_dir) is None else None)
        cloud, _ = instance.start(state_dir, port=0)
        with Rest(cloud) as rest:
            assert rest.send("GET", f"{BUCKETS}/kept/objects/k").text == "v" * 100_000
            rest.result("DELETE", f"{BUCKETS}/kept/objects/k")
            rest.result("DELETE", f"{BUCKETS}/kept")
        assert [
            path for path in (state_dir / "resources" / "r2").rglob("*") if path.is_file() and "blobs" in path.parts
        ] == []
    finally:
        instance.stop(state_dir)


def test_a_version_is_refused_that_binds_a_deleted_bucket(rest: Rest) -> None:
    name = make_bucket(rest)["name"]
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}"
    made = rest.result("POST", f"{path}/versions", version(READER, **binding(name)))
    rest.result("DELETE", f"{BUCKETS}/{name}")
    split = {"strategy": "percentage", "versions": [{"version_id": made["id"], "percentage": 100}]}
    assert rest.refusal("POST", f"/workers/scripts/{worker['name']}/deployments", split)[:2] == (400, 10085)

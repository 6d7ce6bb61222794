"""Workers KV: namespaces, and values by REST as a Worker's binding sees them."""

import json
import time
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, refusal_of, unique, version

NAMESPACES = "/storage/kv/namespaces"
UNKNOWN = "0" * 32

READER = """
export default { async fetch(request, env) {
  const { value, metadata } = await env.KV.getWithMetadata(decodeURIComponent(new URL(request.url).pathname.slice(1)));
  await env.KV.put('seen', 'by the Worker', { expirationTtl: 60, metadata: { by: 'Worker' } });
  return Response.json({ value, metadata });
} }
"""


@pytest.fixture(name="namespace")
def new_namespace(rest: Rest) -> str:
    return f"{NAMESPACES}/{make_namespace(rest)['id']}"


def make_namespace(rest: Rest, title: str = "") -> dict[str, Any]:
    return rest.result("POST", NAMESPACES, {"title": title or unique("kv")})


def put(rest: Rest, namespace: str, key: str, value: bytes | str, query: str = "") -> None:
    rest.result("PUT", f"{namespace}/values/{key}{query}", content=value)


def keys(rest: Rest, namespace: str, query: str = "") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    envelope = rest.send("GET", f"{namespace}/keys{query}").json()
    return envelope["result"], envelope["result_info"]


def test_lives_through_the_sdk(sdk: Cloudflare, cloud: Instance) -> None:
    account, title = cloud.account_id, unique("kv")
    created = sdk.kv.namespaces.create(account_id=account, title=title)
    assert created is not None
    assert (created.title, created.supports_url_encoding, created.jurisdiction) == (title, True, None)
    assert created.id in [namespace.id for namespace in sdk.kv.namespaces.list(account_id=account)]
    renamed = sdk.kv.namespaces.update(created.id, account_id=account, title=f"{title}-2")
    assert renamed is not None
    assert renamed.title == f"{title}-2"
    assert sdk.kv.namespaces.get(created.id, account_id=account) == renamed
    values, namespace_id = sdk.kv.namespaces.values, created.id
    values.update(
        "a/b c%",
        account_id=account,
        namespace_id=namespace_id,
        value="hällo".encode(),
        metadata={"a": [1]},
        expiration_ttl=60,
    )
    response = values.get("a/b c%", account_id=account, namespace_id=namespace_id)
    assert response.read().decode() == "hällo"
    assert sdk.kv.namespaces.metadata.get("a/b c%", account_id=account, namespace_id=namespace_id) == {"a": [1]}
    [key] = sdk.kv.namespaces.keys.list(account_id=account, namespace_id=namespace_id)
    assert (key.name, key.metadata) == ("a/b c%", {"a": [1]})
    assert key.expiration is not None
    assert abs(key.expiration - time.time() - 60) < 5
    values.delete("a/b c%", account_id=account, namespace_id=namespace_id)
    with pytest.raises(Exception, match="10009"):
        values.get("a/b c%", account_id=account, namespace_id=namespace_id)
    sdk.kv.namespaces.delete(created.id, account_id=account)
    with pytest.raises(Exception, match="10013"):
        sdk.kv.namespaces.get(created.id, account_id=account)


def test_bulk_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    namespace = make_namespace(rest)["id"]
    account = cloud.account_id
    pairs: list[Any] = [
        {"key": "text", "value": "one", "metadata": {"n": 1}},
        {"key": "bytes", "value": "/w==", "base64": True, "expiration": int(time.time()) + 3600},
        {"key": "json", "value": '{"a": 1}'},
    ]
    written = sdk.kv.namespaces.bulk_update(namespace, account_id=account, body=pairs)
    assert written is not None
    assert (written.successful_key_count, written.unsuccessful_keys) == (3, [])
    path = f"{NAMESPACES}/{namespace}"
    assert rest.send("GET", f"{path}/values/bytes").content == b"\xff"
    got = sdk.kv.namespaces.bulk_get(namespace, account_id=account, keys=["text", "none"], with_metadata=True)
    assert got is not None
    assert got.to_dict()["values"] == {"text": {"value": "one", "metadata": {"n": 1}}, "none": None}
    assert rest.result("POST", f"{path}/bulk/get", {"keys": ["json"], "type": "json"}) == {"values": {"json": {"a": 1}}}
    put(rest, path, "text", "NaN")
    assert rest.refusal("POST", f"{path}/bulk/get", {"keys": ["text"], "type": "json"})[:2] == (400, 10029)
    deleted = sdk.kv.namespaces.bulk_delete(namespace, account_id=account, body=["text", "none"])
    assert deleted is not None
    assert deleted.successful_key_count == 2
    assert rest.result("DELETE", f"{path}/bulk", ["bytes"])["successful_key_count"] == 1
    assert [key["name"] for key in keys(rest, path)[0]] == ["json"]


def test_a_value_is_bytes_and_nothing_else(rest: Rest, namespace: str) -> None:
    value = bytes(range(256))
    put(rest, namespace, "raw", value)
    response = rest.send("GET", f"{namespace}/values/raw")
    assert response.content == value
    assert "expiration" not in response.headers
    form = {"value": (None, b"a\r\n--b\r\n\xff"), "metadata": (None, b'{"m": "\xc3\xa4"}')}
    rest.result("PUT", f"{namespace}/values/raw", files=form)
    assert rest.send("GET", f"{namespace}/values/raw").content == b"a\r\n--b\r\n\xff"
    assert rest.result("GET", f"{namespace}/metadata/raw") == {"m": "ä"}
    put(rest, namespace, "raw", "", "?expiration_ttl=60")
    response = rest.send("GET", f"{namespace}/values/raw")
    assert response.content == b""
    assert abs(int(response.headers["expiration"]) - time.time() - 60) < 5
    assert rest.result("GET", f"{namespace}/metadata/raw") is None


def test_keys_are_decoded_once(rest: Rest, namespace: str) -> None:
    for encoded, key in [("a%2Fb", "a/b"), ("100%25", "100%"), ("%252F", "%2F"), ("%C3%A4", "ä")]:
        put(rest, namespace, encoded, key)
        assert rest.send("GET", f"{namespace}/values/{encoded}").text == key
        assert key in [item["name"] for item in keys(rest, namespace)[0]]


def test_a_key_may_come_with_its_slashes_as_they_are(rest: Rest, namespace: str) -> None:
    """The Terraform provider's acceptance tests read `…/values/test-key_with.special-chars/…`, of the real API."""
    pair = {"value": (None, "v"), "metadata": (None, "[1]")}
    rest.result("PUT", f"{namespace}/values/a/b%2Fc/values/d", files=pair)
    for key in ("a/b/c/values/d", "a%2Fb%2Fc%2Fvalues%2Fd"):
        assert rest.send("GET", f"{namespace}/values/{key}").text == "v"
        assert rest.result("GET", f"{namespace}/metadata/{key}") == [1]
    assert [item["name"] for item in keys(rest, namespace, "?prefix=a/b/")[0]] == ["a/b/c/values/d"]
    rest.result("DELETE", f"{namespace}/values/a/b/c/values/d")
    assert rest.send("GET", f"{namespace}/values/a%2Fb%2Fc%2Fvalues%2Fd").status_code == 404


def test_keys_are_listed_in_pages(rest: Rest, namespace: str) -> None:
    names = sorted(f"p:{number:02}" for number in range(25))
    rest.result("PUT", f"{namespace}/bulk", [{"key": name, "value": ""} for name in ["other", *reversed(names)]])
    first, info = keys(rest, namespace, "?prefix=p:&limit=15")
    assert [item["name"] for item in first] == names[:15]
    assert first[0] == {"name": "p:00"}
    assert info["count"] == 15
    second, last = keys(rest, namespace, f"?prefix=p:&limit=15&cursor={info['cursor']}")
    assert [item["name"] for item in second] == names[15:]
    assert last == {"count": 10, "cursor": ""}
    assert keys(rest, namespace, "?prefix=none") == ([], {"count": 0, "cursor": ""})
    assert rest.refusal("GET", f"{namespace}/keys?limit=9")[:2] == (400, 10028)
    assert rest.refusal("GET", f"{namespace}/keys?limit=1001")[:2] == (400, 10028)
    assert rest.refusal("GET", f"{namespace}/keys?limit=x")[:2] == (400, 10028)
    assert rest.refusal("GET", f"{namespace}/keys?cursor=!")[:2] == (400, 10029)


def test_namespaces_are_listed_in_pages(rest: Rest) -> None:
    titles = [make_namespace(rest)["title"] for _ in range(3)]
    listed: list[str] = []
    page = 1
    while True:
        query = f"?per_page=2&page={page}&order=title&direction=desc"
        envelope = rest.send("GET", NAMESPACES + query).json()
        assert envelope["result_info"]["count"] == len(envelope["result"])
        if not envelope["result"]:
            break
        listed += [item["title"] for item in envelope["result"]]
        page += 1
    assert envelope["result_info"]["total_count"] == len(listed)
    assert listed == sorted(listed, reverse=True)
    assert set(titles) <= set(listed)
    assert rest.refusal("GET", f"{NAMESPACES}?page=0")[:2] == (400, 10007)
    assert rest.refusal("GET", f"{NAMESPACES}?per_page=x")[:2] == (400, 10008)
    assert rest.refusal("GET", f"{NAMESPACES}?order=age")[:2] == (400, 10029)
    assert rest.refusal("GET", f"{NAMESPACES}?direction=up")[:2] == (400, 10029)


def test_a_title_is_needed_and_taken_once(rest: Rest) -> None:
    first, second = make_namespace(rest), make_namespace(rest)
    taken = (400, 10014, "a namespace with this account ID and title already exists")
    assert rest.refusal("POST", NAMESPACES, {"title": first["title"]}) == taken
    assert rest.refusal("PUT", f"{NAMESPACES}/{second['id']}", {"title": first["title"]}) == taken
    assert rest.result("PUT", f"{NAMESPACES}/{first['id']}", {"title": first["title"]}) == first
    assert rest.refusal("POST", NAMESPACES, {})[:2] == (400, 10019)
    assert rest.refusal("POST", NAMESPACES, {"title": 5})[:2] == (400, 10012)
    assert rest.refusal("POST", NAMESPACES, [])[:2] == (400, 10012)


def test_an_unknown_namespace_is_not_found(rest: Rest) -> None:
    """Of a GET and of a DELETE recorded, the others after them (chenhunghan/flare-operator, test/recordings)."""
    path = f"{NAMESPACES}/{UNKNOWN}"
    assert rest.refusal("GET", path) == (404, 10013, "get namespace: 'namespace not found'")
    assert rest.refusal("PUT", path, {"title": "x"})[:2] == (404, 10013)
    assert rest.refusal("DELETE", path) == (404, 10013, "namespace not found")
    assert rest.refusal("GET", f"{path}/values/k") == (404, 10013, "get: 'namespace not found'")
    assert rest.refusal("PUT", f"{path}/values/k", content=b"v")[:2] == (404, 10013)
    assert rest.refusal("GET", f"{path}/keys") == (404, 10013, "list keys: 'namespace not found'")
    assert rest.refusal("PUT", f"{path}/bulk", [])[:2] == (404, 10013)
    assert rest.refusal("GET", f"{NAMESPACES}/nope")[:2] == (400, 10011)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("expiration_ttl=59", (400, 10034, "Invalid expiration_ttl of 59. Expiration TTL must be at least 60.")),
        ("expiration_ttl=0", (400, 10034, "Invalid expiration_ttl of 0. Please specify integer greater than 0.")),
        ("expiration_ttl=x", (400, 10034, "Invalid expiration_ttl of x. Please specify an integer.")),
        (
            "expiration=9",
            (400, 10033, "Invalid expiration of 9. Expiration times must be at least 60 seconds in the future."),
        ),
    ],
)
def test_an_expiration_lies_ahead(rest: Rest, namespace: str, query: str, expected: tuple[int, int, str]) -> None:
    assert rest.refusal("PUT", f"{namespace}/values/k?{query}", content=b"v") == expected


def test_limits(rest: Rest, namespace: str) -> None:
    put(rest, namespace, "k" * 512, "v")
    message = "UTF-8 encoded length of 513 exceeds key length limit of 512."
    assert rest.refusal("PUT", f"{namespace}/values/{'k' * 513}", content=b"v") == (414, 10030, message)
    put(rest, namespace, "large", b"x" * 25 * 1024 * 1024)
    assert len(rest.send("GET", f"{namespace}/values/large").content) == 25 * 1024 * 1024
    too_large = rest.refusal("PUT", f"{namespace}/values/large", content=b"x" * (25 * 1024 * 1024 + 1))
    assert too_large == (413, 10024, "Value length of 26214401 exceeds limit of 26214400.")
    form = {"value": (None, b"v"), "metadata": (None, json.dumps("m" * 1023).encode())}
    assert rest.refusal("PUT", f"{namespace}/values/k", files=form)[:2] == (413, 10024)


def test_bulk_requests_are_checked_before_anything_is_written(rest: Rest, namespace: str) -> None:
    good = {"key": "good", "value": "v"}
    for bad, expected in [
        ({"key": "k"}, (400, 10012)),
        ({"value": "v"}, (400, 10012)),
        ({"key": "", "value": "v"}, (400, 10029)),
        ({"key": "k", "value": "!", "base64": True}, (400, 10012)),
        ({"key": "k", "value": "v", "expiration_ttl": 5}, (400, 10034)),
        ("k", (400, 10012)),
    ]:
        assert rest.refusal("PUT", f"{namespace}/bulk", [good, bad])[:2] == expected
    assert rest.refusal("PUT", f"{namespace}/bulk", {"key": "k"})[:2] == (400, 10012)
    assert rest.refusal("POST", f"{namespace}/bulk/delete", [])[:2] == (400, 10029)
    assert rest.refusal("POST", f"{namespace}/bulk/get", {"keys": []})[:2] == (400, 10029)
    assert rest.refusal("POST", f"{namespace}/bulk/get", {"keys": ["k"] * 101})[:2] == (400, 10029)
    assert keys(rest, namespace)[0] == []


def test_a_binding_sees_what_rest_writes_and_the_other_way_round(rest: Rest) -> None:
    namespace = make_namespace(rest)
    path = f"{NAMESPACES}/{namespace['id']}"
    form = {"value": (None, b"from REST"), "metadata": (None, b'{"m":1}')}
    rest.result("PUT", f"{path}/values/a%2Fb", files=form)
    binding = {"type": "kv_namespace", "name": "KV", "namespace_id": namespace["id"]}
    worker = rest.deployed_worker(READER, bindings=[binding])
    answer = rest.visit(f"{worker['subdomain']['url']}/a%2Fb")
    assert answer.json() == {"value": "from REST", "metadata": {"m": 1}}
    assert rest.send("GET", f"{path}/values/seen").text == "by the Worker"
    assert rest.result("GET", f"{path}/metadata/seen") == {"by": "Worker"}
    [shown] = rest.result("GET", f"/workers/workers/{worker['id']}/versions/latest")["bindings"]
    assert shown == binding


def test_a_binding_needs_its_namespace(rest: Rest) -> None:
    namespace = make_namespace(rest)
    path = f"/workers/workers/{rest.idle_worker()['id']}/versions"

    def upload(**binding: str) -> httpx.Response:
        return rest.send("POST", path, version(bindings=[{"type": "kv_namespace", "name": "KV", **binding}]))

    assert refusal_of(upload(namespace_id=UNKNOWN)) == (400, 10041, f"KV namespace '{UNKNOWN}' not found.")
    message = "KV namespace 'x' is not valid. Please verify the namespace_id in your configuration."
    assert refusal_of(upload(namespace_id="x")) == (400, 10042, message)
    assert refusal_of(upload())[:2] == (400, 10021)
    uploaded = upload(namespace_id=namespace["id"]).json()["result"]
    rest.result("DELETE", f"{NAMESPACES}/{namespace['id']}")
    deployment = {"strategy": "percentage", "versions": [{"version_id": uploaded["id"], "percentage": 100}]}
    refusal = rest.refusal("POST", f"/workers/scripts/{rest.idle_worker()['name']}/deployments", deployment)
    assert refusal == (400, 10041, f"KV namespace '{namespace['id']}' not found.")

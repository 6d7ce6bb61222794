"""Workers below workers/scripts, as wrangler reads them."""

from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, unique, version


def test_versions_are_listed_newest_first(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}/versions"
    first, second = (
        rest.result("POST", path, version(annotations={"workers/message": text})) for text in ("one", "two")
    )
    for query in ("", "?deployable=true"):
        items = rest.result("GET", f"/workers/scripts/{worker['name']}/versions{query}")["items"]
        assert [(item["id"], item["number"]) for item in items] == [(second["id"], 2), (first["id"], 1)]
        assert items[0]["metadata"]["created_on"] == second["created_on"]
        assert items[0]["metadata"]["source"] == "api"
        assert items[0]["annotations"]["workers/message"] == "two"
    response = rest.send("GET", f"/workers/scripts/{worker['name']}/versions?per_page=1&page=2").json()
    assert [item["id"] for item in response["result"]["items"]] == [first["id"]]
    assert response["result_info"]["total_count"] == 2
    listed = sdk.workers.scripts.versions.list(worker["name"], account_id=cloud.account_id, deployable=True)
    assert [item.id for item in listed] == [second["id"], first["id"]]


def test_one_version_with_its_resources(rest: Rest) -> None:
    worker = rest.worker()
    bindings = [{"name": "GREETING", "type": "plain_text", "text": "hi"}]
    body = version(bindings=bindings, compatibility_flags=["nodejs_compat"])
    made = rest.result("POST", f"/workers/workers/{worker['id']}/versions", body)
    resources = rest.result("GET", f"/workers/scripts/{worker['name']}/versions/{made['id']}")["resources"]
    assert resources["bindings"] == made["bindings"]
    assert resources["script"]["handlers"] == ["fetch", "scheduled", "queue"]
    assert resources["script_runtime"] == {
        "compatibility_date": "2025-04-01",
        "compatibility_flags": ["nodejs_compat"],
        "usage_model": "standard",
        "limits": {},
    }
    assert resources["script"]["etag"]


def test_what_is_not_there(rest: Rest) -> None:
    name = rest.idle_worker()["name"]
    assert rest.refusal("GET", "/workers/scripts/nobody/versions")[:2] == (404, 10007)
    assert rest.refusal("GET", "/workers/scripts/nobody/subdomain")[:2] == (404, 10007)
    assert rest.refusal("GET", f"/workers/scripts/{name}/versions/{'0' * 36}")[:2] == (404, 100146)
    assert rest.refusal("POST", f"/workers/scripts/{name}/subdomain", {})[:2] == (400, 10026)
    assert rest.refusal("POST", f"/workers/scripts/{name}/subdomain", {"enabled": "yes"})[:2] == (400, 10026)


def test_the_subdomain_is_the_workers_setting(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    worker = rest.worker()
    path = f"/workers/scripts/{worker['name']}/subdomain"
    assert rest.result("GET", path) == {"enabled": True, "previews_enabled": False}
    assert rest.result("POST", path, {"enabled": True, "previews_enabled": True})["previews_enabled"] is True
    got = sdk.workers.scripts.subdomain.create(worker["name"], account_id=cloud.account_id, enabled=False)
    assert (got.enabled, got.previews_enabled) == (False, True)
    shown = rest.result("GET", f"/workers/workers/{worker['id']}")["subdomain"]
    assert (shown["enabled"], shown["previews_enabled"]) == (False, True)


def test_a_list_is_of_scripts_with_and_without_tags(rest: Rest) -> None:
    both, one = (rest.upload(unique("script"), tags=tags)["id"] for tags in (["first", "second"], ["first"]))
    for query, found in (("first:yes", [both, one]), ("first:yes,second:no", [one]), ("first:no,second:yes", [])):
        listed = [script["id"] for script in rest.result("GET", f"/workers/scripts?tags={query}")]
        assert sorted(listed) == sorted(found)
    assert rest.refusal("GET", "/workers/scripts?tags=first")[:2] == (400, 10026)

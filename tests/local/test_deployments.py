"""Deployments: which version gets which share of the traffic."""

from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, version

UNKNOWN = "00000000-0000-4000-8000-000000000000"
PERCENTAGES = "Invalid deployment: versions: The percentages must add up to 100, received "


def greeting_version(rest: Rest, worker: dict[str, Any], greeting: str) -> str:
    body = version(bindings=[{"name": "GREETING", "type": "plain_text", "text": greeting}])
    return rest.result("POST", f"/workers/workers/{worker['id']}/versions", body)["id"]


def split(*shares: tuple[str, float]) -> dict[str, Any]:
    versions = [{"percentage": percentage, "version_id": version_id} for version_id, percentage in shares]
    return {"strategy": "percentage", "versions": versions}


def test_live_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    worker, account = rest.worker(), cloud.account_id
    one, other = (greeting_version(rest, worker, text) for text in ("one", "other"))
    deployments = sdk.workers.scripts.deployments
    first = deployments.create(
        worker["name"],
        account_id=account,
        strategy="percentage",
        versions=[{"percentage": 100, "version_id": one}],
        annotations={"workers_message": "first"},
    )
    assert first.annotations is not None
    assert first.annotations.workers_message == "first"
    second = deployments.create(
        worker["name"],
        account_id=account,
        strategy="percentage",
        versions=[{"percentage": 90, "version_id": other}, {"percentage": 10, "version_id": one}],
    )
    assert [part.version_id for part in second.versions] == [other, one]
    assert second.author_email
    # The SDK looks for `items` where the API says `deployments`.
    listed = rest.result("GET", f"/workers/scripts/{worker['name']}/deployments")["deployments"]
    assert [deployment["id"] for deployment in listed] == [second.id, first.id]
    got = deployments.get(first.id, account_id=account, script_name=worker["name"])
    assert got.model_dump() == first.model_dump()


def test_a_rollback_is_another_deployment(rest: Rest) -> None:
    worker = rest.worker()
    path, url = f"/workers/scripts/{worker['name']}/deployments", worker["subdomain"]["url"]
    old, new = (greeting_version(rest, worker, text) for text in ("old", "new"))
    for version_id, greeting in ((old, "old"), (new, "new"), (old, "old")):
        rest.result("POST", path + "?force=true", split((version_id, 100)))
        assert rest.visit(url).json() == {"greeting": greeting}


def test_a_split_reaches_both_versions(rest: Rest) -> None:
    worker = rest.worker()
    shares = [(greeting_version(rest, worker, text), 50.0) for text in ("a", "b")]
    rest.result("POST", f"/workers/scripts/{worker['name']}/deployments", split(*shares))
    answers = {rest.visit(worker["subdomain"]["url"]).json()["greeting"] for _ in range(40)}
    assert answers == {"a", "b"}


def test_a_version_without_a_share_answers_who_names_it(rest: Rest) -> None:
    """Documented: "Version overrides" of gradual deployments."""
    worker = rest.worker()
    url = worker["subdomain"]["url"]
    one, two = (greeting_version(rest, worker, text) for text in ("one", "two"))
    rest.result("POST", f"/workers/scripts/{worker['name']}/deployments", split((one, 100), (two, 0)))
    named = {"Cloudflare-Workers-Version-Overrides": f'{worker["name"]}="{two}"'}
    assert httpx.get(url, headers=named, trust_env=False).json() == {"greeting": "two"}
    assert {rest.visit(url).json()["greeting"] for _ in range(10)} == {"one"}


def test_percentages_add_up_to_100(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/scripts/{worker['name']}/deployments"
    one, two = (greeting_version(rest, worker, text) for text in ("1", "2"))
    assert rest.refusal("POST", path, split((one, 99))) == (400, 10021, PERCENTAGES + "99")
    assert rest.refusal("POST", path, split((one, 60), (two, 60))) == (400, 10021, PERCENTAGES + "120")
    assert rest.result("POST", path, split((one, 33.33), (two, 66.67)))


def secret(name: str, text: str) -> dict[str, str]:
    return {"name": name, "type": "secret_text", "text": text}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"strategy": "percentage"},
        {"strategy": "percentage", "versions": []},
        {"strategy": "gradual", "versions": [{"percentage": 100, "version_id": UNKNOWN}]},
        {"strategy": "percentage", "versions": [{"percentage": -1, "version_id": UNKNOWN}]},
        {"strategy": "percentage", "versions": [{"percentage": 101, "version_id": UNKNOWN}]},
        {"strategy": "percentage", "versions": [{"percentage": None, "version_id": UNKNOWN}]},
        {"strategy": "percentage", "versions": [{"version_id": UNKNOWN}]},
        {"strategy": "percentage", "versions": [{"percentage": 100}]},
        {"strategy": "percentage", "versions": [{"percentage": 50, "version_id": UNKNOWN}] * 2},
        {"strategy": "percentage", "versions": [{"percentage": 25, "version_id": f"{n}"} for n in range(4)]},
    ],
)
def test_what_does_not_fit_is_refused(rest: Rest, body: dict[str, Any]) -> None:
    assert rest.refusal("POST", f"/workers/scripts/{rest.idle_worker()['name']}/deployments", body)[:2] == (400, 10021)


def test_versions_must_be_of_this_worker(rest: Rest) -> None:
    message = "The requested Worker version could not be found, please check the ID being passed and try again."
    path = f"/workers/scripts/{rest.idle_worker()['name']}/deployments"
    foreign = greeting_version(rest, rest.worker(), "elsewhere")
    for version_id in (UNKNOWN, foreign):
        assert rest.refusal("POST", path, split((version_id, 100))) == (404, 100146, message)


def test_a_rollback_to_other_secrets_must_be_forced(rest: Rest) -> None:
    """The text is in wrangler's tests of the rollback (workers-sdk)."""
    worker = rest.worker()
    path = f"/workers/scripts/{worker['name']}/deployments"
    old, new = (
        rest.result("POST", f"/workers/workers/{worker['id']}/versions", version(bindings=bindings))["id"]
        for bindings in ([secret("A", "1"), secret("B", "1")], [secret("A", "2"), secret("B", "1"), secret("C", "1")])
    )
    for shares in ([(old, 100)], [(old, 90), (new, 10)], [(old, 10), (new, 90)], [(new, 100)]):
        rest.result("POST", path, split(*shares))  # on the way forward nobody asks
    message = (
        "A secret has changed since this version was active. If you are sure this is ok, add a ?force=true query"
        " parameter to allow the rollback. The following secrets have changed: A, C"
    )
    assert rest.refusal("POST", path, split((old, 100))) == (400, 10220, message)
    assert rest.result("POST", f"{path}?force=true", split((old, 100)))["versions"][0]["version_id"] == old


def test_a_deployment_can_be_deleted_unless_it_is_in_force(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/scripts/{worker['name']}/deployments"
    version_id = greeting_version(rest, worker, "here")
    past, current = (rest.result("POST", path, split((version_id, 100)))["id"] for _ in range(2))
    assert rest.refusal("DELETE", f"{path}/{current}")[:2] == (400, 10021)
    assert rest.result("DELETE", f"{path}/{past}") is None
    assert [one["id"] for one in rest.result("GET", path)["deployments"]] == [current]
    assert rest.refusal("DELETE", f"{path}/{past}")[:2] == (404, 10336)


def test_a_list_has_bounds_in_time_both_included(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/scripts/{worker['name']}/deployments"
    version_id = greeting_version(rest, worker, "here")
    old, new = (rest.result("POST", path, split((version_id, 100))) for _ in range(2))
    for query, found in (
        (f"since={old['created_on']}", [new, old]),
        (f"since={new['created_on']}", [new]),
        (f"until={old['created_on']}", [old]),
        (f"since={old['created_on']}&until={old['created_on']}", [old]),
        ("until=2026-01-01T00:00:00", []),
    ):
        assert rest.result("GET", f"{path}?{query}")["deployments"] == found
    assert rest.refusal("GET", f"{path}?since=yesterday")[:2] == (400, 10021)


def test_an_unknown_deployment_is_not_found(rest: Rest) -> None:
    path = f"/workers/scripts/{rest.idle_worker()['name']}/deployments/{UNKNOWN}"
    assert rest.refusal("GET", path) == (404, 10336, "The requested Worker deployment could not be found.")

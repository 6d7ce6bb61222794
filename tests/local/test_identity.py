"""Who is let in, whoami, and what every answer has in common."""

import httpx
import pytest
from cloudflare import Cloudflare

from local.cli import log_file
from local.cli.instance import Instance
from local.core.credentials import Credentials
from tests.local.rest import Rest, refusal_of, unique

MISSING = (400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")


def get(cloud: Instance, path: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.get(cloud.base_url + path, headers=headers, trust_env=False)


def bearer(cloud: Instance) -> dict[str, str]:
    return {"Authorization": f"Bearer {cloud.api_token}"}


def test_verifies_the_local_token(sdk: Cloudflare) -> None:
    answer = sdk.user.tokens.verify()
    assert answer is not None
    assert answer.status == "active"


def test_verifies_it_as_a_token_of_the_account(sdk: Cloudflare, cloud: Instance) -> None:
    answer = sdk.accounts.tokens.verify(account_id=cloud.account_id)
    assert answer is not None
    assert answer.status == "active"
    path = f"/accounts/{cloud.account_id}/tokens/verify"
    assert refusal_of(get(cloud, path, {"Authorization": "Bearer unknown"})) == (401, 1000, "Invalid API Token")


def test_whoami_reads_user_accounts_and_memberships(sdk: Cloudflare, cloud: Instance) -> None:
    assert sdk.user.get() is not None
    assert [account.id for account in sdk.accounts.list()] == [cloud.account_id]
    account = sdk.accounts.get(account_id=cloud.account_id)
    assert account is not None
    assert account.id == cloud.account_id
    assert [membership.id for membership in sdk.memberships.list()] == [cloud.account_id]


def test_accounts_and_memberships_are_found_by_what_they_are(rest: Rest) -> None:
    for query, count in (("", 1), ("?name=Local%20Cloudflare&status=accepted&direction=desc", 1), ("?name=other", 0)):
        assert len(rest.http.get(f"/memberships{query}").json()["result"]) == count
    assert rest.http.get("/memberships?status=pending").json()["result"] == []
    assert rest.http.get("/memberships?account.name=other").json()["result"] == []
    assert rest.http.get("/accounts?name=other&direction=asc").json()["result"] == []
    assert refusal_of(rest.http.get("/accounts?direction=up"))[:2] == (400, 6003)


def test_a_request_without_credentials_is_refused(cloud: Instance) -> None:
    assert refusal_of(get(cloud, "/user", {})) == MISSING


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "Bearer two words", "token"])
def test_a_malformed_authorization_is_refused(cloud: Instance, header: str) -> None:
    response = get(cloud, "/user", {"Authorization": header})
    assert refusal_of(response) == (400, 6003, "Invalid request headers")
    chain = [{"code": 6111, "message": "Invalid format for Authorization header"}]
    assert response.json()["errors"][0]["error_chain"] == chain


def test_an_unknown_token_is_refused(cloud: Instance) -> None:
    unknown = {"Authorization": f"Bearer {'x' * 40}"}
    assert refusal_of(get(cloud, "/user/tokens/verify", unknown)) == (401, 1000, "Invalid API Token")
    assert refusal_of(get(cloud, "/accounts", unknown)) == (401, 10000, "Authentication error")


def test_an_api_key_is_unknown(cloud: Instance) -> None:
    key = {"X-Auth-Key": "k" * 37, "X-Auth-Email": "a@example.com"}
    assert refusal_of(get(cloud, "/user", key)) == (403, 9103, "Unknown X-Auth-Key or X-Auth-Email")


def test_another_account_is_refused(cloud: Instance) -> None:
    other = get(cloud, f"/accounts/{'1' * 32}/queues", bearer(cloud))
    assert refusal_of(other) == (403, 10000, "Authentication error")
    status, code, message = refusal_of(get(cloud, "/accounts/nobody/queues", bearer(cloud)))
    assert (status, code) == (404, 7003)
    assert message == "Could not route to /client/v4/accounts/nobody/queues, perhaps your object identifier is invalid?"


def test_token_and_account_of_the_environment_are_let_in_too() -> None:
    environment = {"CLOUDFLARE_API_TOKEN": "mine" * 10, "CLOUDFLARE_ACCOUNT_ID": "a" * 32}
    credentials = Credentials.of("token", environment)
    assert credentials.knows_token("mine" * 10)
    assert credentials.knows_account("a" * 32)
    assert "mine" not in repr(credentials)
    assert not Credentials.of("token", {}).knows_token("")


def test_what_is_not_here_says_so(rest: Rest) -> None:
    status, code, message = rest.refusal("GET", "/vectorize/v2/indexes")
    assert (status, code) == (501, 7000)
    assert message.startswith("No route for that URI. The local Cloudflare does not have GET /accounts/")
    assert rest.refusal("POST", "/d1/database/some-id")[0] == 501
    assert rest.refusal("POST", "//d1/database")[0] == 501


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/zones/{account}/dns_records?name=example.com"),
        ("PUT", "/zones/{account}/activation_check"),
        ("GET", "/accounts/{account}/d1/database/some-id/time_travel/bookmark"),
    ],
)
def test_and_leaves_one_line_in_the_log(cloud: Instance, method: str, path: str) -> None:
    path = path.format(account=cloud.account_id)
    before = list(log_file.read(log_file.log_path(cloud.state_dir), follow=False))
    response = httpx.request(method, cloud.base_url + path, headers=bearer(cloud), trust_env=False)
    route = f"{method} {path.partition('?')[0]}"
    message = f"No route for that URI. The local Cloudflare does not have {route}"
    assert refusal_of(response) == (501, 7000, message)
    [entry] = list(log_file.read(log_file.log_path(cloud.state_dir), follow=False))[len(before) :]
    assert (entry["source"], entry["level"]) == ("api", "warn")
    assert route in entry["message"]


def test_a_path_outside_the_api_is_not_found(cloud: Instance) -> None:
    response = httpx.get(cloud.base_url.removesuffix("/client/v4") + "/", headers=bearer(cloud), trust_env=False)
    assert refusal_of(response)[:2] == (404, 7000)


@pytest.mark.parametrize(
    "body", [b"{", b"nonsense", b'{"name": NaN}', b'{"name": 1e999}', b"\xff\xfe", b"\xed\xa0\x80", b"[" * 100_000]
)
def test_a_body_that_is_not_json_is_refused(rest: Rest, body: bytes) -> None:
    codes = {
        "/d1/database": 7400,
        "/queues": 10208,
        "/workers/workers": 10021,
        "/storage/kv/namespaces": 10012,
    }
    for path, expected in codes.items():
        status, code, message = rest.refusal("POST", path, content=body)
        assert (status, code) == (400, expected)
        assert "Request body is not valid JSON: " in message


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"5"])
def test_a_body_that_is_no_object_is_refused(rest: Rest, body: bytes) -> None:
    for path in ("/d1/database", "/queues", "/workers/workers"):
        assert rest.refusal("POST", path, content=body)[0] == 400


@pytest.mark.parametrize("text", ["{", '{"main_module": "i.js", "limits": {"cpu_ms": NaN}}', "[" * 100_000])
def test_json_within_a_form_is_no_other(rest: Rest, text: str) -> None:
    metadata = {"files": {"metadata": (None, text, "application/json")}}
    assert "Invalid JSON: " in rest.refusal("PUT", f"/workers/scripts/{unique('json')}", **metadata)[2]
    settings = {"files": {"settings": (None, text, "application/json")}}
    path = f"/workers/scripts/{rest.idle_worker()['name']}/settings"
    assert "Invalid JSON: " in rest.refusal("PATCH", path, **settings)[2]


def test_half_a_surrogate_pair_is_replaced(rest: Rest) -> None:
    title = unique("half")
    path = "/storage/kv/namespaces"
    made = rest.result("POST", path, content=f'{{"title": "{title} \\ud83d \\ud83d\\ude00"}}'.encode())
    assert made["title"] == f"{title} \ufffd \U0001f600"
    message = rest.refusal("POST", "/queues", content=b'{"queue_name": "\\ud800"}')[2]
    assert message.startswith("Queue name '\ufffd' is invalid")


def test_a_page_of_too_many_digits_is_refused(rest: Rest) -> None:
    digits = "9" * 5000
    assert rest.refusal("GET", f"/queues?page={digits}")[:2] == (400, 10026)
    assert rest.refusal("GET", f"/r2/buckets?per_page={digits}")[:2] == (400, 10022)


def test_json_is_read_whatever_its_label(rest: Rest) -> None:
    headers = {"Content-Type": "text/plain;charset=UTF-8"}
    assert rest.result("POST", "/queues", content=b'{"queue_name": "labelled-as-text"}', headers=headers)


def test_the_account_has_a_workers_dev_name(rest: Rest) -> None:
    assert rest.result("GET", "/workers/subdomain") == {"subdomain": "local"}
    assert rest.result("PUT", "/workers/subdomain", {"subdomain": "mine"}) == {"subdomain": "mine"}
    assert rest.result("GET", "/workers/subdomain") == {"subdomain": "mine"}
    assert rest.refusal("PUT", "/workers/subdomain", {"subdomain": "No Good"})[:2] == (400, 10031)

"""What is said of an API that does not answer as Cloudflare's does."""

from __future__ import annotations

import pytest

from components.cloudflare_api import PROVIDER_SETTINGS, ApiError, CloudflareApi
from tests.ops.stand_in import Reply, stand_in


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b"{}"])
def test_an_answer_that_is_not_cloudflares_is_an_error_of_the_api(body: bytes) -> None:
    with stand_in() as server:
        server.replies = [Reply(body=body)]
        with pytest.raises(ApiError, match=r"^expected Cloudflare's API, got '.+' \(GET .+/accounts: 200\)$"):
            CloudflareApi(server.url, "token").get("accounts")


@pytest.mark.parametrize(
    ("settings", "variables", "headers"),
    [
        ({"api_token": "t"}, {}, {"Authorization": "Bearer t"}),
        ({}, {"CLOUDFLARE_API_TOKEN": "e"}, {"Authorization": "Bearer e"}),
        ({"api_token": "t"}, {"CLOUDFLARE_API_TOKEN": "e"}, {"Authorization": "Bearer t"}),
        ({"api_key": "k", "email": "m"}, {}, {"X-Auth-Key": "k", "X-Auth-Email": "m"}),
        ({}, {"CLOUDFLARE_API_KEY": "k", "CLOUDFLARE_EMAIL": "m"}, {"X-Auth-Key": "k", "X-Auth-Email": "m"}),
        ({"api_user_service_key": "s"}, {}, {"X-Auth-User-Service-Key": "s"}),
        ({}, {}, {}),
    ],
)
def test_who_calls_is_told_as_the_provider_is_told(
    settings: dict[str, str], variables: dict[str, str], headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _, variable in PROVIDER_SETTINGS.values():
        monkeypatch.delenv(variable, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with stand_in() as server:
        server.replies = [Reply(body=b'{"result": 1}')]
        api = CloudflareApi.from_settings({"base_url": server.url, **settings}.get)
        assert api.get("accounts") == 1
        sent = {name: value for name, value in server.requests[0].headers.items() if name in ALL_HEADERS}
    assert sent == headers


ALL_HEADERS = {"Authorization", "X-Auth-Key", "X-Auth-Email", "X-Auth-User-Service-Key"}

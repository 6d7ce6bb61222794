"""What is said of an API that does not answer as Cloudflare's does."""

from __future__ import annotations

import pytest

from components.cloudflare_api import ApiError, CloudflareApi
from tests.ops.stand_in import Reply, stand_in


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[]", b"{}"])
def test_an_answer_that_is_not_cloudflares_is_an_error_of_the_api(body: bytes) -> None:
    with stand_in() as server:
        server.replies = [Reply(body=body)]
        with pytest.raises(ApiError, match=r"^expected Cloudflare's API, got '.+' \(GET .+/accounts: 200\)$"):
            CloudflareApi(server.url, "token").get("accounts")

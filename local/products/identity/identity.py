"""The caller's identity: token, user, accounts, memberships. `wrangler whoami` reads them."""

from local.api.envelope import ApiError, Json, Page, Reply
from local.api.routing import Call, Route

_TOKEN_ID = "1" * 32
_USER_ID = "2" * 32
_EMAIL = "local@localhost"
_CREATED_ON = "2026-01-01T00:00:00Z"
_ACCEPTED = "accepted"
AUTHOR_EMAIL = _EMAIL
AUTHOR_ID = _USER_ID


async def verify_token(_: Call) -> Reply:
    """GET /user/tokens/verify and /accounts/{account_id}/tokens/verify: the same answer for both kinds of token.

    The message is the one of Cloudflare's documentation (create-token).
    """
    message: dict[str, Json] = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return Reply({"id": _TOKEN_ID, "status": "active"}, messages=(message,))


async def get_user(_: Call) -> Reply:
    """GET /user."""
    return Reply(
        {
            "id": _USER_ID,
            "email": _EMAIL,
            "first_name": "Local",
            "last_name": "Cloudflare",
            "two_factor_authentication_enabled": False,
            "suspended": False,
        }
    )


async def list_accounts(call: Call) -> Reply:
    """GET /accounts: filtered by `name`, ordered by id in `direction` (asc, desc)."""
    name = call.argument("name")
    found = [account for account in _accounts(call) if name in (None, account["name"])]
    page = _page(call, len(found))
    shown = page.cut(found)
    return Reply(shown, page.info(len(shown)))


async def get_account(call: Call) -> Reply:
    """GET /accounts/{account_id}."""
    return Reply(_account(call.path["account_id"]))


async def list_memberships(call: Call) -> Reply:
    """GET /memberships: filtered by `name` or `account.name`, which are the same, and by `status`; ordered by id."""
    name = call.argument("name") or call.argument("account.name")
    status = call.argument("status")
    accounts = [account for account in _accounts(call) if name in (None, account["name"])]
    found = [_membership(account) for account in accounts if status in (None, _ACCEPTED)]
    page = _page(call, len(found))
    shown = page.cut(found)
    return Reply(shown, page.info(len(shown)))


def _membership(account: dict[str, Json]) -> dict[str, Json]:
    roles = ["Super Administrator - All Privileges"]
    return {"id": account["id"], "status": _ACCEPTED, "account": account, "roles": roles}


def _accounts(call: Call) -> list[dict[str, Json]]:
    direction = call.argument("direction") or "asc"
    if direction not in ("asc", "desc"):
        raise _invalid("direction", "Invalid enum value. Expected 'asc' | 'desc'")
    return [_account(one) for one in sorted(call.cloud.credentials.account_ids, reverse=direction == "desc")]


def _account(account_id: str) -> dict[str, Json]:
    return {
        "id": account_id,
        "name": "Local Cloudflare",
        "type": "standard",
        "settings": {"enforce_twofactor": False},
        "created_on": _CREATED_ON,
    }


def _page(call: Call, total: int) -> Page:
    return call.page(total, _invalid, size=20, largest=50)


def _invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 6003, f"Invalid request parameters: {path} => {problem}")


ROUTES = (
    Route("GET", "/user/tokens/verify", verify_token),
    Route("GET", "/accounts/{account_id}/tokens/verify", verify_token),
    Route("GET", "/user", get_user),
    Route("GET", "/accounts", list_accounts),
    Route("GET", "/accounts/{account_id}", get_account),
    Route("GET", "/memberships", list_memberships),
)

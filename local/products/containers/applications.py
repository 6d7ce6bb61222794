"""Containers. There are none here: wrangler looks for those of a Worker before it deletes the Worker."""

from local.api.envelope import Reply
from local.api.routing import Call, Route


async def list_applications(_: Call) -> Reply:
    """GET /containers/applications."""
    return Reply([])


ROUTES = (Route("GET", "/accounts/{account_id}/containers/applications", list_applications),)

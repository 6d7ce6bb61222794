"""`python -m local adopt`: stores with an id of one's choice, so that a wrangler configuration deploys as it is."""

import argparse
from typing import Any

import httpx

from local.cli.instance import Instance, InstanceError

ID_HEADER = "Cf-Local-Id"  # of a request that creates something: the id that it shall have
# What can be adopted: where it is created, the field of its name, and that of its id.
_KINDS = {
    "d1": ("d1/database", "name", "uuid"),
    "kv": ("storage/kv/namespaces", "title", "id"),
    "queue": ("queues", "queue_name", "queue_id"),
    "r2": ("r2/buckets", "name", "name"),
}
_SECONDS = 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("kind", choices=_KINDS, help="what to create")
    parser.add_argument("name", metavar="NAME", help="its name; of a KV namespace, its title")
    parser.add_argument(
        "--id", metavar="ID", dest="identity", help="the id that the configuration names (d1, kv, queue)"
    )


def adopt(running: Instance, kind: str, name: str, identity: str | None) -> str:
    """Create a store, and give its id. Raises InstanceError with the API's own words."""
    path, field, id_field = _KINDS[kind]
    if identity is not None and id_field == field:
        msg = f"a {kind} bucket is known by its name alone: leave --id out"
        raise InstanceError(msg)
    headers = {"Authorization": f"Bearer {running.api_token}"} | ({} if identity is None else {ID_HEADER: identity})
    url = f"{running.base_url}/accounts/{running.account_id}/{path}"
    with httpx.Client(headers=headers, timeout=_SECONDS, trust_env=False) as http:
        reply: dict[str, Any] = http.post(url, json={field: name}).json()
    if not reply["success"]:
        raise InstanceError("; ".join(f"{error['message']} (code {error['code']})" for error in reply["errors"]))
    return reply["result"][id_field]

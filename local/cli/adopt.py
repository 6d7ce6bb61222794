"""`python -m local adopt`: creates stores and zones with given ids, such as a wrangler configuration has."""

import argparse
from dataclasses import dataclass

from local.cli.api_client import ApiClient
from local.cli.instance import InstanceError

ID_HEADER = "Cf-Local-Id"  # the header of a creating request with the id that the new resource is to have


@dataclass(frozen=True)
class _Kind:
    """What can be adopted: the path that creates it, the field of its name, and the field of its id."""

    path: str
    name_field: str
    id_field: str


_KINDS = {
    "d1": _Kind("d1/database", "name", "uuid"),
    "kv": _Kind("storage/kv/namespaces", "title", "id"),
    "queue": _Kind("queues", "queue_name", "queue_id"),
    "r2": _Kind("r2/buckets", "name", "name"),
    "zone": _Kind("/zones", "name", "id"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("kind", choices=_KINDS, help="what to create")
    parser.add_argument("name", metavar="NAME", help="its name; of a KV namespace its title, of a zone its domain")
    parser.add_argument(
        "--id", metavar="ID", dest="identity", help="the id that the configuration names (d1, kv, queue, zone)"
    )


def adopt(api: ApiClient, kind: str, name: str, identity: str | None) -> str:
    """Create the resource, and return its id. Raises InstanceError with the API's own message."""
    what = _KINDS[kind]
    if identity is not None and what.id_field == what.name_field:
        msg = f"a {kind} bucket is known by its name alone: leave --id out"
        raise InstanceError(msg)
    body = {what.name_field: name} | ({"account": {"id": api.running.account_id}} if kind == "zone" else {})
    headers = {} if identity is None else {ID_HEADER: identity}
    return api.call("POST", what.path, body, headers)[what.id_field]

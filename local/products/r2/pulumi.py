"""R2 buckets."""

from local.pulumi.cloudflare_types.rest_type import RestSpec
from local.pulumi.wire import Properties

_API_NAMES = {"location": "locationHint", "storage_class": "storageClass"}
"""Names that differ between the provider and the API."""


def _body(body: Properties) -> Properties:
    return {_API_NAMES.get(name, name): value for name, value in body.items()}


BUCKET = RestSpec(
    collection="/accounts/{account_id}/r2/buckets",
    item="/accounts/{account_id}/r2/buckets/{id}",
    id_field="name",
    updates=False,
    replace_on=None,
    sticky=frozenset({"location", "storageClass"}),
    body=_body,
    find="/accounts/{account_id}/r2/buckets/{name}",
)

TYPES = {"cloudflare:index/r2Bucket:R2Bucket": BUCKET}

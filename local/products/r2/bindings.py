"""Bindings of buckets. Texts marked (quoted) are texts of the real API that public code quotes."""

import sqlite3

from local.api.envelope import ApiError
from local.api.fields import Fields
from local.core.binding_checks import must_have
from local.core.product import BindingType, StoredBinding
from local.products.r2 import buckets as r2_buckets


def _r2_bucket(db: sqlite3.Connection, part: Fields) -> StoredBinding:
    bucket_name, jurisdiction = part.text("bucket_name"), part.choice("jurisdiction", r2_buckets.JURISDICTIONS)
    if not bucket_name:
        raise must_have(part, "a valid `bucket_name`")
    binding = {"bucket_name": bucket_name} | ({} if jurisdiction is None else {"jurisdiction": jurisdiction})
    if bucket_of(db, binding) is None:
        raise _r2_bucket_missing(bucket_name)
    return binding


def bucket_of(db: sqlite3.Connection, binding: StoredBinding) -> str | None:
    """Find the bucket that a binding names; None if there is none."""
    row = db.execute(
        "SELECT id FROM r2_buckets WHERE name = ? AND jurisdiction = ?",
        (binding["bucket_name"], binding.get("jurisdiction", "default")),
    ).fetchone()
    return None if row is None else row["id"]


def _locate(db: sqlite3.Connection, binding: StoredBinding) -> StoredBinding | None:
    bucket_id = bucket_of(db, binding)
    return None if bucket_id is None else binding | {"bucket_id": bucket_id}


def _check_bound(db: sqlite3.Connection, binding: StoredBinding) -> None:
    if bucket_of(db, binding) is None:
        raise _r2_bucket_missing(binding["bucket_name"])


def _r2_bucket_missing(name: str) -> ApiError:  # quoted
    wanted = "Verify the bucket exists in your account and that the bucket_name in your configuration is correct."
    return ApiError(400, 10085, f"R2 bucket '{name}' not found. {wanted}")


BINDINGS = {"r2_bucket": BindingType(_r2_bucket, fields=("bucket_id",), locate=_locate, check_bound=_check_bound)}

"""Bindings of datasets."""

import sqlite3

from local.api.fields import Fields
from local.core.product import BindingType, StoredBinding


def _analytics_engine(_: sqlite3.Connection, part: Fields) -> StoredBinding:
    return {"dataset": part.text("dataset") or part.required_text("name")}  # documented for wrangler's configuration


BINDINGS = {"analytics_engine": BindingType(_analytics_engine)}

"""What schemathesis cannot read from the API's description."""

from __future__ import annotations

from typing import Any, cast

import schemathesis

LONGEST_WAIT_SECONDS = 60
LONGEST_TESTED_WAIT_SECONDS = 1
"""Some tasks of the test do not end."""
MOST_TAGS = 8


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Shorten a valid wait, and leave one tag of each key; what is invalid stays as it is."""
    query = case.query or {}
    wait = str(query.get("wait"))
    if wait.isascii() and wait.isdecimal() and int(wait) <= LONGEST_WAIT_SECONDS:
        query["wait"] = min(int(wait), LONGEST_TESTED_WAIT_SECONDS)
    tags: Any = query.get("tag")
    if isinstance(tags, list) and len(cast("list[str]", tags)) <= MOST_TAGS:
        query["tag"] = list({str(tag).partition(":")[0]: tag for tag in cast("list[str]", tags)}.values())

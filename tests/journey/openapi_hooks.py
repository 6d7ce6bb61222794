"""What schemathesis cannot read from the API's description."""

from __future__ import annotations

from typing import Any

import schemathesis

LONGEST_WAIT_SECONDS = 60
LONGEST_TESTED_WAIT_SECONDS = 1
"""Some tasks of the test do not end."""


@schemathesis.hook  # pyright: ignore[reportUnknownMemberType]
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Shorten a valid wait; an invalid one stays as it is."""
    query = case.query or {}
    wait = str(query.get("wait"))
    if wait.isascii() and wait.isdecimal() and int(wait) <= LONGEST_WAIT_SECONDS:
        query["wait"] = min(int(wait), LONGEST_TESTED_WAIT_SECONDS)

"""Cloudflare's cron expressions: five fields, UTC; a day of the week is 1 (Sunday) to 7, and never 0.

The data plane parses them too (runtime/cron.js); this module checks them, to refuse bad ones with Cloudflare's text.
Allowed is what Cloudflare's own parser accepts: github.com/cloudflare/saffron, src/parse.rs.
"""

import re
from collections.abc import Sequence

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

# (lowest, highest, names, other tokens that may stand alone);
# https://developers.cloudflare.com/workers/configuration/cron-triggers/
_FIELDS = (
    (0, 59, (), None),
    (0, 23, (), None),
    (1, 31, (), re.compile(r"L(-([1-9]|[12]\d|30))?W?|([1-9]|[12]\d|3[01])W")),
    (1, 12, _MONTHS, None),
    (1, 7, _WEEKDAYS, re.compile(r"L|([1-7]|(?i:SUN|MON|TUE|WED|THU|FRI|SAT))(L|#[1-5])")),
)
_ITEM = re.compile(r"(?P<start>\*|\w+)(?:-(?P<end>\w+))?(?:/(?P<step>\d+))?", re.ASCII)
_SPACE = re.compile(r"[ \t]+")


def is_valid(expression: str) -> bool:
    """Tell whether Cloudflare accepts an expression.

    >>> is_valid("*/5 * * * *"), is_valid("0 9 * * MON-FRI"), is_valid("0 0 LW * *"), is_valid("0 0 * * 6#2")
    (True, True, True, True)
    >>> is_valid("0 0 * * 0"), is_valid("60 * * * *"), is_valid("* * * *"), is_valid("* * * * * *")
    (False, False, False, False)
    >>> is_valid("0 0 L,3 * *"), is_valid("0 0 * * MON#2,FRI"), is_valid("0 0 l * *"), is_valid(" 0 0 * * *")
    (False, False, False, False)
    """
    fields = _SPACE.split(expression)
    return len(fields) == len(_FIELDS) and all(
        _is_field(text, *field) for text, field in zip(fields, _FIELDS, strict=True)
    )


def _is_field(text: str, low: int, high: int, names: Sequence[str], special: re.Pattern[str] | None) -> bool:
    if special is not None and special.fullmatch(text) is not None:
        return True
    return all(_is_item(item, low, high, names) for item in text.split(","))


def _is_item(item: str, low: int, high: int, names: Sequence[str]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None:
        return False
    if match["step"] is not None and not 1 <= int(match["step"]) <= high:
        return False
    if match["start"] == "*":
        return match["end"] is None
    start, end = _number(match["start"], low, names), _number(match["end"] or match["start"], low, names)
    return start is not None and end is not None and low <= start <= high and low <= end <= high  # FRI-MON wraps around


def _number(text: str, low: int, names: Sequence[str]) -> int | None:
    if text.upper() in names:
        return names.index(text.upper()) + low
    return int(text) if text.isdecimal() else None

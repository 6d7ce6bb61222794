r"""JSON that came from outside, read as strictly as it is written again: Python's own reader takes more than is JSON.

>>> parse(b'["\\ud83d\\ude00", "\\ud800"]')
['😀', '�']
"""

import json
import math
import re

from local.api.envelope import Json

_HALF_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: no text in UTF-8 holds one


def parse(text: str | bytes) -> Json:
    """Read JSON. Raises ValueError, for NaN, infinities, numbers that overflow and what is nested too deeply as well.

    Half a surrogate pair becomes U+FFFD, as in JavaScript and Go once such a text is written.
    """
    whole = text if isinstance(text, str) else text.decode(json.detect_encoding(text))
    try:
        value = _read(whole)
        if _HALF_ESCAPED.search(whole) is None:
            return value
        return _read(_HALF.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    except RecursionError as error:
        raise ValueError(str(error)) from error


def compact(value: Json) -> bytes:
    """Write JSON in UTF-8 as short as it can be, as JavaScript does: what limits on sizes are about."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _read(text: str) -> Json:
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        msg = f"{text} is too large a number"
        raise ValueError(msg)
    return number

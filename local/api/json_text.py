r"""Reads JSON strictly, so that it can be written again: Python's own reader accepts more than JSON.

>>> parse(b'["\\ud83d\\ude00", "\\ud800"]')
['😀', '�']
"""

import json
import math
import re

from local.api.envelope import Json

_HALF_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: UTF-8 cannot encode one alone


def parse(text: str | bytes) -> Json:
    """Read JSON. Raises ValueError also for NaN, infinities, numbers that overflow and texts nested too deeply.

    A lone surrogate becomes U+FFFD, as it does in JavaScript and Go when such a text is written.
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
    """Write JSON in UTF-8 as short as JavaScript does; limits on sizes refer to this form."""
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

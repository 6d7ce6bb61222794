"""JSON of any depth is read and written as Python's own reader and writer do it with less."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops import deep_json
from ops.deep_json import dumps, excerpt_of, loads

DEEP = 50_000
_read = deep_json._read  # pyright: ignore[reportPrivateUsage]
_pieces = deep_json._pieces  # pyright: ignore[reportPrivateUsage]

TEXTS = [
    "null",
    "[]",
    "{}",
    ' { "a" : [ 1 , -2.5e3 , true , false , null , "x" ] , "b" : { } } ',
    '["\\ud83d\\ude00", "\\ud800", "\\"\\\\\\/\\b\\n", "ü😀", ""]',
    '{"a": 1, "a": 2, "": {"": []}}',
    "[[], [[]], {}, [{}]]",
    "123456789012345678901234567890",
    "1E400",
]
BROKEN = [
    "", " ", "[", "]", "[}", "{]", "[1", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", "{a:1}",
    "[1]]", "[1] 2", "1 2", "1,2", "1:2", '"', '"\n"', "'a'", "tru", "01", "1.", "+1", "{,}", '{"a" 1}',
    '{"a":1 "b":2}', "[:]", '{"a"::1}',
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_not_deep_is_read_and_written_alike(text: str) -> None:
    assert _read(text) == loads(text) == json.loads(text)
    value = json.loads(text)
    for ensure_ascii in (False, True):
        expected = json.dumps(value, ensure_ascii=ensure_ascii)
        assert "".join(_pieces(value, ensure_ascii=ensure_ascii)) == expected
        assert dumps(value, ensure_ascii=ensure_ascii) == expected


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_json_is_refused(text: str) -> None:
    for read in (loads, _read):
        with pytest.raises(ValueError):  # noqa: PT011 as json's
            read(text)


@pytest.mark.parametrize("ends", [0, DEEP - 1, DEEP + 1])
def test_deep_json_that_is_broken_is_refused(ends: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        loads("[" * DEEP + "]" * ends)


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a": ', "}"), ('[{"a": ', "}]")])
def test_it_may_be_as_deep_as_it_likes(begin: str, end: str) -> None:
    text = begin * DEEP + '"\\ud800"' + end * DEEP
    value: Any = loads(text)
    assert dumps(value, ensure_ascii=True) == text
    assert excerpt_of(value, 10) == text[:10]


def test_a_long_whole_number_is_read_as_a_number() -> None:
    assert loads("[" + "1" * 5_000 + "]") == [float("inf")]

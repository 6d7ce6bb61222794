"""Server-sent events: however the stream is cut, the events are the same."""

from __future__ import annotations

import pytest

from ops.event_stream import Event, read_events

STREAM = """retry: 1000

: a comment
event: task
data: {
data:  "ü": 1}

data:x

event: none

id: 7
data

"""
EVENTS = [Event("task", '{\n "ü": 1}'), Event("message", "x"), Event("message", "")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_do_not_depend_on_the_pieces(size: int) -> None:
    whole = STREAM.encode()
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert list(read_events(pieces)) == EVENTS


def test_lines_may_end_in_carriage_returns() -> None:
    assert list(read_events([b"data: a\r", b"\rdata: b\r\r\n"])) == [Event("message", "a"), Event("message", "b")]


def test_what_a_broken_stream_leaves_over_is_dropped() -> None:
    assert list(read_events([b"data: a\n\ndata: b\n"])) == [Event("message", "a")]

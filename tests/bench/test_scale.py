"""Shards for a rate, computed from limits."""

import pytest

from bench.scale import Needed, needed, scale_text


@pytest.mark.parametrize(
    ("rate", "round_trips", "expected"),
    [
        (500, 1.2, Needed(databases=1, queues=1, consumers=1)),
        (1_000, 1.2, Needed(databases=2, queues=1, consumers=1)),
        (2_501, 1.0, Needed(databases=3, queues=1, consumers=2)),
        (10_001, 1.2, Needed(databases=13, queues=3, consumers=5)),
    ],
)
def test_the_tightest_limit_decides(rate: float, round_trips: float, expected: Needed) -> None:
    assert needed(rate, round_trips) == expected
    assert expected.shards == max(expected.databases, expected.queues, expected.consumers)


def test_the_text_names_its_limits_and_their_sources() -> None:
    text = scale_text(1.2)
    assert "| 10,000 | 12 | 2 | 4 | **12** |" in text
    assert "16 shards reach some 13,300 tasks/s" in text
    assert text.count("https://developers.cloudflare.com/") == 2

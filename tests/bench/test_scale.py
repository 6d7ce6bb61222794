"""Shards for a rate, computed from limits."""

import pytest

from bench.scale import Needed, needed, scale_text


@pytest.mark.parametrize(
    ("rate", "round_trips", "expected"),
    [
        (400, 1.2, Needed(databases=1, storage=1, queues=1, consumers=1)),
        (1_000, 1.2, Needed(databases=2, storage=3, queues=1, consumers=1)),
        (2_501, 1.0, Needed(databases=3, storage=6, queues=1, consumers=2)),
        (10_001, 1.2, Needed(databases=13, storage=23, queues=3, consumers=5)),
    ],
)
def test_the_tightest_limit_decides(rate: float, round_trips: float, expected: Needed) -> None:
    assert needed(rate, round_trips) == expected
    assert expected.shards == max(expected.databases, expected.storage, expected.queues, expected.consumers)


def test_the_text_names_its_limits_and_their_sources() -> None:
    text = scale_text(1.2)
    assert "| 5,000 | 6 | 12 | 1 | 2 | **12** |" in text
    assert "| 10,000 | 12 | 23 | 2 | 4 | too many |" in text
    assert "16 shards reach some 7,100 tasks/s" in text
    assert "1,000 bytes 2,778 / 116 / 17" in text
    assert text.count("https://developers.cloudflare.com/") == 3

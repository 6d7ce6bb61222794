"""Medians with their spread, percentiles, and a capacity."""

import pytest

from bench.latency import capacity
from bench.statistics import Summary, percentile


def test_a_summary_is_the_median_and_the_range() -> None:
    assert Summary.of([30, 10, 20]) == Summary(median=20, low=10, high=30, rounds=3)
    assert Summary.of([1, 2]).median == 1.5


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1), (0.5, 1)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, percent) == expected


def test_a_percentile_of_few_values_does_not_interpolate() -> None:
    assert percentile([1, 1000], 50) == 1
    assert percentile([1, 1000], 51) == 1000


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        percentile([], 50)


def test_a_capacity_leaves_no_time_idle() -> None:
    rate = capacity(post_per_second=100, drain_per_second=300)
    assert rate / 100 + rate / 300 == pytest.approx(1)

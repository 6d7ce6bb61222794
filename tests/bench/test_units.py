"""Units for one task."""

from bench.units import per_task


def test_what_the_sweep_uses_is_no_tasks() -> None:
    counts = {
        "fetch": {"requests": 10, "d1_rows_written": 10},
        "queue": {"requests": 1, "d1_rows_written": 20},
        "scheduled": {"d1_rows_read": 1_000},
    }
    assert per_task(counts, tasks=10) == {"requests": 1.1, "d1_rows_written": 3.0}

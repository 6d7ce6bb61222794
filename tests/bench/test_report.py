"""The tables of a run."""

from typing import Any

from bench.report import comparison_table, cpu_table, delivery_table, provenance, sections, targets_table, units_table

TURNS = {
    "baseline": [{"completed_p50_ms": 5_000.0, "post_p50_ms": 1.0}, {"completed_p50_ms": 5_100.0, "post_p50_ms": 1.0}],
    "ours": [{"completed_p50_ms": 10.0, "post_p50_ms": 1.0}, {"completed_p50_ms": 12.0, "post_p50_ms": 1.0}],
}
RESULTS: dict[str, Any] = {
    "made_at": "2026-11-23T00:00:00+00:00",
    "machine": {
        "system": "Linux",
        "processor": "Z80",
        "processors": 2,
        "memory_gib": 1,
        "python": "3.11",
        "node": "24",
    },
    "profile": {"name": "quick", "rounds": 2, "backlog_tasks": 1_000, "payload_bytes": 100, "concurrency": 16},
    "systems": {"baseline": "on disk", "ours": "on disk", "queue": "in memory"},
}


def test_systems_stand_side_by_side_with_the_ratio_to_the_first() -> None:
    [line] = [line for line in comparison_table(RESULTS | {"lone": TURNS}).splitlines() if ": completed" in line]
    assert line == "| lone task: completed, p50 ms | 5,050 (5,000–5,100) | 11 (10–12) **÷459** |  |"


def test_one_round_has_no_range() -> None:
    results = RESULTS | {"memory": {"baseline": [{"idle_mib": 12.34, "loaded_mib": 0}]}}
    assert "| memory, idle, MiB | 12.3 |  |  |" in comparison_table(results)


def test_what_was_not_measured_is_not_in_the_table() -> None:
    assert comparison_table(RESULTS) == ""
    assert list(sections(RESULTS)) == ["# Benchmark", provenance(RESULTS)]


def test_the_report_says_where_it_was_measured_and_what_is_durable() -> None:
    text = provenance(RESULTS)
    assert "Measured 2026-11-23T00:00:00+00:00 on 2 × Z80, 1 GiB" in text
    assert "baseline, ours: on disk; queue: in memory." in text


def test_units_that_nobody_uses_have_no_line() -> None:
    units = {
        "ours": {
            "backlog": {"d1_rows_written": 3.0, "requests": 1.1},
            "lone": {"d1_rows_written": 3.0, "requests": 2.0},
        },
        "kv": {"backlog": {"kv_writes": 3.0, "requests": 1.1}, "lone": {"kv_writes": 3.0, "requests": 2.0}},
    }
    assert units_table(units).splitlines() == [
        "|  | ours: backlog | ours: lone | kv: backlog | kv: lone |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| D1 rows written | 3 | 3 | 0 | 0 |",
        "| KV writes | 0 | 0 | 3 | 3 |",
        "| Worker requests | 1.1 | 2 | 1.1 | 2 |",
    ]


def turn(**values: float) -> list[dict[str, float]]:
    return [{"tasks": 10.0, "completed": 10.0, "drain_per_second": 1.0, **values}]


THROUGHPUT = {
    "baseline": turn(post_per_second=500, post_per_second_64=500, **{"cpu_ms_worked off: workerd": 1.5}),
    "ephemera": turn(
        post_per_second=1_500,
        post_per_second_64=2_500,
        batch_post_per_second=15_000,
        attempts=11,
        **{"cpu_ms_worked off: workerd": 0.5},
    ),
    "Hono + BullMQ, fsync always": turn(
        post_per_second=7_000,
        batch_post_per_second=30_000,
        **{"cpu_ms_worked off: redis": 0.25, "cpu_ms_POST over 16 connections: redis": 0.1},
    ),
}


def test_targets_are_held_against_the_baseline_and_against_bulk() -> None:
    units = {"ephemera": {"backlog": {"d1_round_trips": 0.35, "d1_rows_written": 3.0}, "lone": {}}}
    text = targets_table(RESULTS | {"throughput": THROUGHPUT, "units": units})
    assert text.startswith("The baseline is the Worker that `--baseline`")
    assert "| POST, tasks/s, over 16 connections, beside the baseline | 1,500, 3 × of 500 | ≥ 3 × |" in text
    assert "| the same over 64 connections | 2,500, 5 × of 500 | ≥ 5 × |" in text
    assert "| POST of 100, tasks/s, beside one by one | 15,000, 10 × of 1,500 | ≥ 10 × |" in text
    assert "15,000, 0.5 × of 30,000" in text
    assert "| D1 round trips a task, at full load, batches of 10 | 0.35 | ≤ 0.4 |" in text
    assert "| POST of a lone client, p50 ms |  | ≤ 0.7 × |" in text, "it was not measured"


def test_delivery_is_told_of_every_system_and_attempts_where_they_are_known() -> None:
    systems = dict.fromkeys(THROUGHPUT, "on disk")
    text = delivery_table(RESULTS | {"systems": systems, "throughput": THROUGHPUT})
    assert text.splitlines()[2] == "| backlogs | 10 of 10 | 10 of 10, 1 attempted again | 10 of 10 |"


def test_the_cpu_time_of_each_process_is_told() -> None:
    lines = cpu_table(RESULTS | {"throughput": THROUGHPUT}).splitlines()
    assert lines[2:] == [
        "| POST over 16 connections: redis |  |  | 0.1 |",
        "| POST over 16 connections: all | 0 | 0 | 0.1 |",
        "| worked off: redis |  |  | 0.25 |",
        "| worked off: workerd | 1.5 | 0.5 |  |",
        "| worked off: all | 1.5 | 0.5 | 0.25 |",
    ]

"""The tables of a run."""

from typing import Any

from bench.report import comparison_table, provenance, sections, units_table

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

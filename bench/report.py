"""Writes a run's tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import machine
from bench.results import Results
from bench.statistics import Summary

REPORT = "report.md"


class Measure(NamedTuple):
    """A line of the table of comparison: where it is in the results, and how it is called."""

    part: str
    key: str
    label: str


MEASURES = (
    Measure("throughput", "post_per_second", "POST, tasks/s"),
    Measure("throughput", "post_p50_ms", "POST at full load, p50 ms"),
    Measure("throughput", "post_p95_ms", "POST at full load, p95 ms"),
    Measure("throughput", "post_p99_ms", "POST at full load, p99 ms"),
    Measure("throughput", "drain_per_second", "backlog worked off, tasks/s"),
    Measure("lone", "post_p50_ms", "lone task: POST, p50 ms"),
    Measure("lone", "completed_p50_ms", "lone task: completed, p50 ms"),
    Measure("steady", "tasks_per_second", "half of capacity, tasks/s"),
    Measure("steady", "post_p50_ms", "at half of capacity: POST, p50 ms"),
    Measure("steady", "completed_p50_ms", "at half of capacity: completed, p50 ms"),
    Measure("steady", "completed_p99_ms", "at half of capacity: completed, p99 ms"),
    Measure("reload", "deploy_seconds", "deployment, s"),
    Measure("reload", "slowest_post_ms", "slowest POST meanwhile, ms"),
    Measure("memory", "idle_mib", "memory, idle, MiB"),
    Measure("memory", "loaded_mib", "memory, after a backlog, MiB"),
)

UNIT_LABELS = {
    "d1_round_trips": "D1 round trips",
    "d1_rows_read": "D1 rows read",
    "d1_rows_written": "D1 rows written",
    "kv_reads": "KV reads",
    "kv_writes": "KV writes",
    "kv_lists": "KV lists",
    "object_requests": "Durable Object requests",
    "object_rows_read": "Durable Object rows read",
    "object_rows_written": "Durable Object rows written",
    "queue_writes": "queue writes",
    "queue_reads": "queue reads",
    "queue_deletes": "queue deletes",
    "workflow_steps": "Workflow steps",
    "requests": "Worker requests",
}


def write_report(results: Results, pictures: Sequence[str], folder: Path) -> None:
    """Write report.md into a run's folder, which has the pictures."""
    (folder / REPORT).write_text("\n\n".join(sections(results, pictures)) + "\n")


def sections(results: Results, pictures: Sequence[str] = ()) -> Iterator[str]:
    """Give the report's parts, those that were measured."""
    yield "# Benchmark"
    yield provenance(results)
    comparison = comparison_table(results)
    if comparison:
        yield f"## Side by side\n\n{comparison}"
    if "units" in results:
        yield f"## Units that Cloudflare bills, a task\n\n{units_table(results['units'])}"
    if "combinations" in results:
        yield f"## The same, by store and engine\n\n{units_table(results['combinations'])}"
    for name, points in results.get("growth", {}).items():
        yield f"## Growth: {name.replace('_', ' ')}\n\n{growth_table(points)}"
    yield from (f"![{Path(picture).stem}]({picture})" for picture in pictures)


def origin(results: Results) -> str:
    """Say when and where it was measured, and how to read the numbers."""
    return (
        f"Measured {results['made_at']} on {machine.in_words(results['machine'])}; profile "
        f"{results['profile']['name']}. Medians, with the range of the rounds; × and ÷: so many times more or less "
        "than in the first column."
    )


def provenance(results: Results) -> str:
    """Say when, where and how it was measured, and what is on disk when a POST is answered."""
    profile = results["profile"]
    kinds: dict[str, list[str]] = {}
    for system, durability in results["systems"].items():
        kinds.setdefault(durability, []).append(system)
    durable = "; ".join(f"{', '.join(names)}: {durability}" for durability, names in kinds.items())
    disk = f"\n\nOn disk when a POST is answered: {durable}." if durable else ""
    return (
        f"{origin(results)}\n\n{profile['rounds']} rounds in turns, backlogs of {profile['backlog_tasks']:,} tasks of "
        f"{profile['payload_bytes']} B, submitted over {profile['concurrency']} connections.{disk}"
    )


def comparison_table(results: Results, measures: Sequence[Measure] = MEASURES) -> str:
    """Put the systems side by side, a line a measure."""
    systems: list[str] = list(results["systems"]) or sorted(results.get("memory", {}))
    rows = [row for measure in measures if (row := _comparison_row(results, measure, systems))]
    return table(["", *systems], rows) if rows else ""


def units_table(units: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Put units side by side: of tasks from a backlog, in full batches, and of lone tasks."""
    used = [unit for unit in UNIT_LABELS if any(unit in kinds["backlog"] for kinds in units.values())]
    rows = [
        [UNIT_LABELS[unit], *(f"{_number(kinds[kind].get(unit, 0))}" for kinds in units.values() for kind in kinds)]
        for unit in used
    ]
    return table(["", *(f"{system}: {kind}" for system, kinds in units.items() for kind in kinds)], rows)


def growth_table(points: Sequence[Mapping[str, float]]) -> str:
    """Write a line a size."""
    rows = [[f"{size:,.0f}", *map(_number, values)] for size, *values in (list(point.values()) for point in points)]
    return table([name.replace("_", " ").replace("post", "POST") for name in points[0]], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; all columns but the first hold numbers."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _comparison_row(results: Results, measure: Measure, systems: Sequence[str]) -> list[str] | None:
    measured: Mapping[str, Sequence[Mapping[str, Any]]] = results.get(measure.part, {})
    summaries = {
        name: Summary.of([turn[measure.key] for turn in measured[name]]) for name in systems if name in measured
    }
    if not summaries:
        return None
    first = summaries.get(systems[0])
    return [measure.label, *(_cell(summaries.get(name), first) for name in systems)]


def _cell(summary: Summary | None, first: Summary | None) -> str:
    if summary is None:
        return ""
    text = _number(summary.median)
    if summary.rounds > 1:
        text += f" ({_number(summary.low)}–{_number(summary.high)})"
    if first is not None and summary is not first and first.median > 0:
        text += f" **{_ratio(summary.median, first.median)}**"
    return text


def _ratio(value: float, first: float) -> str:
    """Say how many times more or less it is."""
    if value >= first:
        return f"×{_number(value / first)}"
    return f"÷{_number(first / value)}" if value > 0 else ""


def _number(value: float) -> str:
    """Write a number with three significant digits, and no more than it has."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"

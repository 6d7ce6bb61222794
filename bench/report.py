"""The files of a run: its results, a report of them in Markdown and as one page, and the pictures in it."""

from __future__ import annotations

import base64
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markdown_it import MarkdownIt

from bench import machine
from bench.latency import LOADS
from bench.results import Results, save
from bench.statistics import Summary
from bench.throughput import BATCH_TASKS, MANY_CONNECTIONS

REPORT, PAGE = "report.md", "report.html"

BASELINE, OURS, IN_LARGE_BATCHES, IN_BULK = (
    "baseline",
    "ephemera",
    "ephemera, batches of 100",
    "Hono + BullMQ, fsync always",
)
"""The systems to which the targets apply, with their names in the tables."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Benchmark</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
  table {{ border-collapse: collapse; display: block; overflow-x: auto }}
  th, td {{ border-bottom: 1px solid #8884; padding: .3rem .7rem }}
  img {{ max-width: 100%; background: #fff }}
</style>
{body}
</html>
"""


class Measure(NamedTuple):
    """A line of the comparison table: its key in the results, and its name."""

    part: str
    key: str
    label: str


MEASURES = (
    Measure("throughput", "post_per_second", "POST, tasks/s"),
    Measure("throughput", f"post_per_second_{MANY_CONNECTIONS}", f"POST over {MANY_CONNECTIONS} connections, tasks/s"),
    Measure("throughput", "batch_post_per_second", f"POST of {BATCH_TASKS} tasks, tasks/s"),
    Measure("throughput", "post_p50_ms", "POST at full load, p50 ms"),
    Measure("throughput", "post_p95_ms", "POST at full load, p95 ms"),
    Measure("throughput", "post_p99_ms", "POST at full load, p99 ms"),
    Measure("throughput", "drain_per_second", "backlog worked off, tasks/s"),
    Measure("lone", "post_p50_ms", "lone task: POST, p50 ms"),
    Measure("lone", "pickup_p50_ms", "lone task: picked up, p50 ms"),
    Measure("lone", "completed_p50_ms", "lone task: completed, p50 ms"),
    *(
        Measure("steady", f"{key}_at_{percent}", f"at {percent} % of capacity: {label}")
        for percent in LOADS
        for key, label in (
            ("tasks_per_second", "tasks/s"),
            ("post_p50_ms", "POST, p50 ms"),
            ("pickup_p50_ms", "picked up, p50 ms"),
            ("pickup_p99_ms", "picked up, p99 ms"),
            ("completed_p50_ms", "completed, p50 ms"),
            ("completed_p99_ms", "completed, p99 ms"),
        )
    ),
    Measure("delayed", "late_p50_ms", "delayed tasks: completed late, p50 ms"),
    Measure("delayed", "late_p99_ms", "delayed tasks: completed late, p99 ms"),
    Measure("reload", "deploy_seconds", "deployment, s"),
    Measure("reload", "slowest_post_ms", "slowest POST meanwhile, ms"),
    Measure("memory", "idle_mib", "memory, idle, MiB"),
    Measure("memory", "loaded_mib", "memory, after a backlog, MiB"),
)

_CPU = "cpu_ms_"
"""The prefix of a measurement's key; the work and the process follow."""

_DELIVERED = {
    "throughput": "backlogs",
    "lone": "lone tasks",
    "steady": "steady load",
    "delayed": "delayed tasks",
    "reload": "deployments",
    "memory": "memory",
}

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
    """Write the results and the report into a run's folder, which has the pictures."""
    save(results, folder)
    text = "\n\n".join(sections(results, pictures)) + "\n"
    (folder / REPORT).write_text(text)
    body = MarkdownIt("commonmark").enable("table").render(text)
    embedded = re.sub(r'src="([^":]+\.png)"', lambda match: f'src="{_data_url(folder / match[1])}"', body)
    (folder / PAGE).write_text(_PAGE.format(body=embedded))


def _data_url(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def sections(results: Results, pictures: Sequence[str] = ()) -> Iterator[str]:
    """Yield the parts of the report that were measured."""
    yield "# Benchmark"
    yield provenance(results)
    if "throughput" in results:
        yield f"## Targets\n\n{targets_table(results)}"
    comparison = comparison_table(results)
    if comparison:
        yield f"## Side by side\n\n{comparison}"
    delivery = delivery_table(results)
    if delivery:
        yield f"## Delivery\n\n{delivery}"
    if "throughput" in results:
        yield f"## CPU time of each process, ms a task\n\n{cpu_table(results)}"
    if "units" in results:
        yield f"## Units that Cloudflare bills, a task\n\n{units_table(results['units'])}"
    if "combinations" in results:
        yield f"## The same, by store and engine\n\n{units_table(results['combinations'])}"
    if "features" in results:
        yield "## What a feature adds to a task\n\n" + "\n\n".join(features_tables(results["features"]))
    for name, points in results.get("growth", {}).items():
        yield f"## Growth: {name.replace('_', ' ')}\n\n{growth_table(points)}"
    yield from (f"![{Path(picture).stem}]({picture})" for picture in pictures)


def origin(results: Results) -> str:
    """Return when and where it was measured, and how to read the numbers."""
    return (
        f"Measured {results['made_at']} on {machine.in_words(results['machine'])}; profile "
        f"{results['profile']['name']}. Medians, with the range of the rounds; × and ÷: so many times more or less "
        "than in the first column."
    )


def provenance(results: Results) -> str:
    """Return when, where and how it was measured, and what is on disk when a POST is answered."""
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
    """Return a table of the systems, with a line for each measure."""
    systems: list[str] = list(results["systems"]) or sorted(results.get("memory", {}))
    rows = [row for measure in measures if (row := _comparison_row(results, measure, systems))]
    return table(["", *systems], rows) if rows else ""


def delivery_table(results: Results) -> str:
    """Return for every measurement whether each task was completed once."""
    systems: list[str] = list(results["systems"]) or sorted(results.get("memory", {}))
    rows = [
        [label, *(_delivery(results[part].get(name, [])) for name in systems)]
        for part, label in _DELIVERED.items()
        if part in results
    ]
    return table(["completed of submitted", *systems], rows) if rows else ""


def _delivery(turns: Sequence[Mapping[str, float]]) -> str:
    counted = [turn for turn in turns if "completed" in turn]
    if not counted:
        return ""
    tasks, completed = (sum(turn[key] for turn in counted) for key in ("tasks", "completed"))
    text = f"{completed:,.0f} of {tasks:,.0f}"
    if not all("attempts" in turn for turn in counted):
        return text
    again = sum(turn["attempts"] for turn in counted) - completed
    return f"{text}, {'each once' if again == 0 else f'{again:,.0f} attempted again'}"


def cpu_table(results: Results) -> str:
    """Return a table of the CPU time of each system's processes: for a POST, and for working a task off."""
    turns: Mapping[str, Sequence[Mapping[str, float]]] = results["throughput"]
    keys = sorted({key for each in turns.values() for turn in each for key in turn if key.startswith(_CPU)})
    whats = dict.fromkeys(key.removeprefix(_CPU).rpartition(": ")[0] for key in keys)
    rows: list[list[str]] = []
    for what in whats:
        own = [key for key in keys if key.startswith(f"{_CPU}{what}: ")]
        medians = {key: [_median(turns[name], key) for name in turns] for key in own}
        rows += [
            [key.removeprefix(_CPU), *("" if each is None else _number(each) for each in medians[key])] for key in own
        ]
        totals = [sum(each or 0 for each in column) for column in zip(*medians.values(), strict=True)]
        rows.append([f"{what}: all", *map(_number, totals)])
    return table(["what, and which process", *turns], rows)


def targets_table(results: Results) -> str:
    """Compare the measurements with the targets; a target whose system was not measured is left empty."""
    turns: Mapping[str, Sequence[Mapping[str, float]]] = results["throughput"]
    lone: Mapping[str, Sequence[Mapping[str, float]]] = results.get("lone", {})
    units = results.get("units", {}).get(OURS, {}).get("backlog", {})
    many, batches = f"post_per_second_{MANY_CONNECTIONS}", "batch_post_per_second"
    ours = turns.get(OURS, [])
    rows = [
        ["POST, tasks/s, over 16 connections, beside the baseline", _against(turns, OURS, "post_per_second"), "≥ 3 ×"],
        [f"the same over {MANY_CONNECTIONS} connections", _against(turns, OURS, many), "≥ 5 ×"],
        ["POST of a lone client, p50 ms", _against(lone, OURS, "post_p50_ms"), "≤ 0.7 ×"],
        ["backlog worked off, batches of 10", _against(turns, OURS, "drain_per_second"), "≥ 12 ×"],
        ["backlog worked off, batches of 100", _against(turns, IN_LARGE_BATCHES, "drain_per_second"), "≥ 25 ×"],
        [
            f"POST of {BATCH_TASKS}, tasks/s, beside one by one",
            _quotient(_median(ours, batches), _median(ours, "post_per_second")),
            "≥ 10 ×",
        ],
        [
            f"POST of {BATCH_TASKS}, tasks/s, beside addBulk of {IN_BULK}",
            _quotient(_median(ours, batches), _median(turns.get(IN_BULK, []), batches)),
            "",
        ],
        ["D1 round trips a task, at full load, batches of 10", _given(units.get("d1_round_trips")), "≤ 0.4"],
        ["D1 rows written a task", _given(units.get("d1_rows_written")), "3"],
    ]
    baseline = (
        "The baseline is the Worker that `--baseline` or `--baseline-document` names: the same API by hand, on one D1 "
        "database and one queue. × is how many times as much as it."
    )
    return f"{baseline}\n\n{table(['figure', 'measured', 'target'], rows)}"


def _against(turns: Mapping[str, Sequence[Mapping[str, float]]], system: str, key: str) -> str:
    return _quotient(_median(turns.get(system, []), key), _median(turns.get(BASELINE, []), key))


def _quotient(value: float | None, other: float | None) -> str:
    if value is None:
        return ""
    return f"{_number(value)}" if not other else f"{_number(value)}, {_number(value / other)} × of {_number(other)}"


def _given(value: float | None) -> str:
    return "" if value is None else _number(value)


def _median(turns: Sequence[Mapping[str, float]], key: str) -> float | None:
    values = [turn[key] for turn in turns if key in turn]
    return statistics.median(values) if values else None


def units_table(units: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return a table of units: of tasks from a backlog, in full batches, and of lone tasks."""
    used = [unit for unit in UNIT_LABELS if any(unit in kinds["backlog"] for kinds in units.values())]
    rows = [
        [UNIT_LABELS[unit], *(f"{_number(kinds[kind].get(unit, 0))}" for kinds in units.values() for kind in kinds)]
        for unit in used
    ]
    return table(["", *(f"{system}: {kind}" for system, kinds in units.items() for kind in kinds)], rows)


def features_tables(features: Mapping[str, Mapping[str, Mapping[str, float] | None]]) -> list[str]:
    """Return a table for each store: features (rows) with each engine (columns)."""
    stores, engines = (list(dict.fromkeys(name.split(", ")[part] for name in features)) for part in (0, 1))
    return [_features_table(store, engines, features) for store in stores]


def _features_table(
    store: str, engines: Sequence[str], features: Mapping[str, Mapping[str, Mapping[str, float] | None]]
) -> str:
    columns = {engine: features.get(f"{store}, {engine}", {}) for engine in engines}
    names = dict.fromkeys(name for column in columns.values() for name in column)
    rows = [
        [name, *(_units_text(column[name]) if name in column else "" for column in columns.values())] for name in names
    ]
    return table([f"{store}: what it adds", *(f"`{engine}`" for engine in columns)], rows)


def _units_text(units: Mapping[str, float] | None) -> str:
    if units is None:
        return "refused"
    return (
        ", ".join(f"{_number(units[unit])} {UNIT_LABELS[unit]}" for unit in UNIT_LABELS if units.get(unit)) or "nothing"
    )


def growth_table(points: Sequence[Mapping[str, float]]) -> str:
    """Return a table with a line for each size."""
    rows = [[f"{size:,.0f}", *map(_number, values)] for size, *values in (list(point.values()) for point in points)]
    return table([name.replace("_", " ").replace("post", "POST") for name in points[0]], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; all columns except the first have numbers."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _comparison_row(results: Results, measure: Measure, systems: Sequence[str]) -> list[str] | None:
    measured: Mapping[str, Sequence[Mapping[str, Any]]] = results.get(measure.part, {})
    summaries = {
        name: Summary.of(values)
        for name in systems
        if (values := [turn[measure.key] for turn in measured.get(name, []) if measure.key in turn])
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
    """Return how many times larger or smaller a value is."""
    if value >= first:
        return f"×{_number(value / first)}"
    return f"÷{_number(first / value)}" if value > 0 else ""


def _number(value: float) -> str:
    """Return a number with at most three significant digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"

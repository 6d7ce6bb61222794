"""Writes the results of a run into docs, README.md, and the units of `ops cost`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bench.capacity import capacity_text
from bench.node import ROOT
from bench.report import features_tables, sections, table
from bench.results import COMPARISON_PICTURE, GROWTH_PICTURE, LATEST, Results
from bench.scale import scale_text
from ops.cost import (
    BASELINE,
    INSTANCE_BYTES,
    KEPT_BYTES,
    LOG_BYTES,
    OBJECT_SECONDS,
    UNITS_FILE,
    WORKFLOW_DAYS,
    MeasuredUnits,
    PriceList,
    cost,
    estimated,
    read_prices,
    read_units,
)

README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "performance.md"
CAPACITY = ROOT / "docs" / "limits-and-capacity.md"

_MILLION = 1_000_000
_WHOLE = ("throughput", "lone", "steady", "delayed", "units", "reload", "memory", "combinations", "features", "growth")


class DocsError(Exception):
    """The docs cannot be written; the message gives the reason in one line."""


def write_docs(results: Results, folder: Path) -> None:
    """Make a run the source of the docs' numbers. Raises DocsError."""
    missing = [part for part in _WHOLE if part not in results]
    if missing:
        raise DocsError(f"expected a whole run to write the docs from, this one has no {', '.join(missing)}")
    write_units(results, UNITS_FILE)
    shutil.rmtree(LATEST, ignore_errors=True)
    shutil.copytree(folder, LATEST)
    pictures = [f"../bench/results/latest/{name}" for name in (COMPARISON_PICTURE, GROWTH_PICTURE)]
    write_costs(README, PERFORMANCE)
    _fill(CAPACITY, "capacity", capacity_text(read_units()))
    _fill(CAPACITY, "features", features_text(read_units()))
    _, *rest = sections(results, pictures)
    _fill(PERFORMANCE, "bench", "\n\n".join(rest))
    write_scale(PERFORMANCE)


def write_scale(performance: Path) -> None:
    """Write the rates that numbers of shards reach, from the current units."""
    _fill(performance, "scale", scale_text(read_units().full_batches["d1, queue"]["d1_round_trips"]))


def write_units(results: Results, file: Path) -> None:
    """Write the units that `python -m ops cost` multiplies with prices."""
    counted = dict(results["combinations"])
    if BASELINE in results["units"]:
        counted[BASELINE] = results["units"][BASELINE]
    units = {
        "measured_at": results["made_at"],
        "full_batches": {name: kinds["backlog"] for name, kinds in counted.items()},
        "lone_tasks": {name: kinds["lone"] for name, kinds in counted.items()},
        "features": results["features"],
    }
    file.write_text(json.dumps(units, indent=2) + "\n")


def write_costs(readme: Path, performance: Path) -> None:
    """Write the tables of costs from the current units, and the prices with their sources."""
    _fill(readme, "choice", choice_text(read_units(), read_prices()))
    _fill(performance, "cost", cost_text(read_units(), read_prices()))
    _fill(performance, "prices", price_text(read_units(), read_prices()))


def features_text(measured: MeasuredUnits) -> str:
    """Return a table for each store: what features add to a task, with each engine."""
    return "\n\n".join(features_tables(measured.features))


def choice_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Return a table of costs: a row for each store, a column for each engine."""
    names = [name for name in measured.full_batches if name != BASELINE]
    stores, engines = (list(dict.fromkeys(name.split(", ")[part] for name in names)) for part in (0, 1))
    rows = [[f"`{store}`", *(_usd(measured, prices, f"{store}, {engine}") for engine in engines)] for store in stores]
    return table(["US$ for a million short tasks", *(f"`{engine}`" for engine in engines)], rows)


def _usd(measured: MeasuredUnits, prices: PriceList, name: str) -> str:
    units = measured.full_batches.get(name)
    return "" if units is None else f"{cost(units, prices.cloudflare, _MILLION).usd:.2f}"


def cost_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Return a table of the cost of a million tasks."""
    rows = [
        [
            name,
            f"{cost(measured.full_batches[name], prices.cloudflare, _MILLION).usd:.2f}",
            f"{cost(measured.lone_tasks[name], prices.cloudflare, _MILLION).usd:.2f}",
        ]
        for name in measured.full_batches
    ]
    aws = cost(prices.aws_units, prices.aws, _MILLION).usd
    rows.append(["SQS + Lambda + DynamoDB, computed", f"{aws:.2f}", ""])
    head = table(["US$ for a million tasks", "in full batches", "each alone"], rows)
    measured_at = f"Units measured {measured.measured_at}, prices of {prices.as_of}."
    return f"{head}\n\n{measured_at}\n\n{estimate_text(measured, prices)}"


def estimate_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Return a table of the costs that are added to those of the counted units."""
    kinds = {
        "logs": ("log_megabytes",),
        "duration of objects": ("object_gb_seconds",),
        "storage": tuple(unit for unit in prices.estimated if unit.endswith("_megabyte_months")),
    }
    rows: list[list[str]] = []
    for name, units in measured.full_batches.items():
        used = estimated(units)
        usd = [
            sum(used.get(unit, 0) * prices.estimated[unit].usd_per_million for unit in kind) for kind in kinds.values()
        ]
        rows.append([name, *(f"{each:.2f}" if each else "" for each in usd)])
    sources = ", ".join(
        f"[{price.name}]({price.source}) {price.usd_per_million / _MILLION:g} US$, {price.included:,} included a month"
        for price in prices.estimated.values()
    )
    head = table(["US$ for a million tasks, on top", *kinds], rows)
    return (
        f"{head}\n\nEstimated, not measured: {LOG_BYTES:,} bytes of log an invocation (`log_sampling_rate` takes a "
        f"part), objects of 128 MB awake for {OBJECT_SECONDS * 1000:g} ms a request, {KEPT_BYTES} bytes a task kept "
        f"for a day, {INSTANCE_BYTES:,} bytes a Workflow instance kept for {WORKFLOW_DAYS} days. A client that waits "
        f"for a task keeps its object awake. With `workflow` a delay, and each wait before a retry, is a step "
        f"more. {sources}."
    )


def price_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Return the prices of the used units, with their sources, and the assumptions about AWS."""
    used = {unit for units in measured.full_batches.values() for unit in units} | {"queue_operations"}
    rows = [
        [f"[{price.name}]({price.source})", f"{price.usd_per_million:g}", f"{price.included:,}"]
        for unit, price in prices.cloudflare.items()
        if unit in used
    ]
    of_aws = [
        [
            f"[{price.name}]({price.source})",
            f"{price.usd_per_million:g}",
            f"{prices.aws_units[unit]:g}: {prices.aws_reasons[unit]}",
        ]
        for unit, price in prices.aws.items()
    ]
    cloudflare = table(["Cloudflare", "US$ a million", "included a month"], rows)
    aws = table(["AWS", "US$ a million", "a task"], of_aws)
    return f"Of {prices.as_of}.\n\n{cloudflare}\n\n{aws}"


def _fill(file: Path, marker: str, text: str) -> None:
    file.write_text(replaced(file.read_text(), marker, text))


def replaced(document: str, marker: str, text: str) -> str:
    """Replace the text between the comments that mark its place. Raises DocsError."""
    start, end = (f"<!-- {marker}:{edge} -->" for edge in ("start", "end"))
    if document.count(start) != 1 or document.count(end) != 1:
        raise DocsError(f"expected {start} and {end} once each")
    pattern = re.escape(start) + r".*" + re.escape(end)
    return re.sub(pattern, lambda _: f"{start}\n{text}\n{end}", document, flags=re.DOTALL)

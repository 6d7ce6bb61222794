"""Writes what a run has found where people read it: docs/performance.md, README.md, and the units of `ops cost`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from bench.node import ROOT
from bench.report import sections, table
from bench.results import COMPARISON_PICTURE, GROWTH_PICTURE, LATEST, Results
from bench.scale import scale_text
from ops.cost import BASELINE, UNITS_FILE, MeasuredUnits, PriceList, cost, read_prices, read_units

README = ROOT / "README.md"
PERFORMANCE = ROOT / "docs" / "performance.md"

_MILLION = 1_000_000
_WHOLE = ("throughput", "lone", "steady", "units", "reload", "memory", "combinations", "growth")


class DocsError(Exception):
    """The docs cannot be written; the message says why, in one line."""


def write_docs(results: Results, folder: Path) -> None:
    """Make a run the one that the docs quote. Raises DocsError."""
    missing = [part for part in _WHOLE if part not in results]
    if missing:
        raise DocsError(f"expected a whole run to write the docs from, this one has no {', '.join(missing)}")
    write_units(results, UNITS_FILE)
    shutil.rmtree(LATEST, ignore_errors=True)
    shutil.copytree(folder, LATEST)
    pictures = [f"../bench/results/latest/{name}" for name in (COMPARISON_PICTURE, GROWTH_PICTURE)]
    write_costs(README, PERFORMANCE)
    _, *rest = sections(results, pictures)
    _fill(PERFORMANCE, "bench", "\n\n".join(rest))
    write_scale(PERFORMANCE)


def write_scale(performance: Path) -> None:
    """Write what rate so many shards reach, from the units that are in use."""
    _fill(performance, "scale", scale_text(read_units().full_batches["d1, queue"]["d1_round_trips"]))


def write_units(results: Results, file: Path) -> None:
    """Write what `python -m ops cost` multiplies with prices."""
    counted = dict(results["combinations"])
    if BASELINE in results["units"]:
        counted[BASELINE] = results["units"][BASELINE]
    units = {
        "measured_at": results["made_at"],
        "full_batches": {name: kinds["backlog"] for name, kinds in counted.items()},
        "lone_tasks": {name: kinds["lone"] for name, kinds in counted.items()},
    }
    file.write_text(json.dumps(units, indent=2) + "\n")


def write_costs(readme: Path, performance: Path) -> None:
    """Write the tables of costs from the units that are in use, and the prices with their sources."""
    _fill(readme, "choice", choice_text(read_units(), read_prices()))
    _fill(performance, "cost", cost_text(read_units(), read_prices()))
    _fill(performance, "prices", price_text(read_units(), read_prices()))


def choice_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Put the costs of the stores (rows) with each engine (columns) side by side."""
    names = [name for name in measured.full_batches if name != BASELINE]
    stores, engines = (list(dict.fromkeys(name.split(", ")[part] for name in names)) for part in (0, 1))
    rows = [[f"`{store}`", *(_usd(measured, prices, f"{store}, {engine}") for engine in engines)] for store in stores]
    return table(["US$ for a million short tasks", *(f"`{engine}`" for engine in engines)], rows)


def _usd(measured: MeasuredUnits, prices: PriceList, name: str) -> str:
    units = measured.full_batches.get(name)
    return "" if units is None else f"{cost(units, prices.cloudflare, _MILLION).usd:.2f}"


def cost_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """Put the costs of a million tasks side by side."""
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
    return f"{head}\n\nUnits measured {measured.measured_at}, prices of {prices.as_of}."


def price_text(measured: MeasuredUnits, prices: PriceList) -> str:
    """List the prices of the units that are used, with their sources, and what is assumed of AWS."""
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
    """Put a text between the comments that mark its place. Raises DocsError."""
    start, end = (f"<!-- {marker}:{edge} -->" for edge in ("start", "end"))
    if document.count(start) != 1 or document.count(end) != 1:
        raise DocsError(f"expected {start} and {end} once each")
    pattern = re.escape(start) + r".*" + re.escape(end)
    return re.sub(pattern, lambda _: f"{start}\n{text}\n{end}", document, flags=re.DOTALL)

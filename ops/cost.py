"""Computes what tasks cost: the units that the benchmark measured, times the published prices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
PRICES_FILE = _FOLDER / "prices.json"
UNITS_FILE = _FOLDER / "measured_units.json"
"""The measured units, written by the benchmark (`python -m bench --write-docs`)."""

BASELINE = "baseline"
PLAIN_TASK = "a task"
"""The measured feature that is a task without features; the cost of the other features is added to it."""

_QUEUE_OPERATIONS = ("queue_writes", "queue_reads", "queue_deletes")
"""Units that share one price and one monthly allowance."""

_CLOUDS = ("cloudflare", "estimated", "aws")

_MILLION = 1_000_000
_DAYS_A_MONTH = 30

LOG_BYTES = 1_000
OBJECT_SECONDS = 0.01
KEPT_BYTES = 260
INSTANCE_BYTES = 2_000
"""Assumptions about units that the benchmark does not count: the log of an invocation; how long a request keeps a
Durable Object of 128 MB in memory; the size of a completed task with a short result; the size of a Workflow instance
with its steps."""

WORKFLOW_DAYS = 7
"""How long Cloudflare keeps the state of a Workflow instance by default on the Paid plan:
https://developers.cloudflare.com/workflows/reference/limits/."""

Units = Mapping[str, float]
"""How many of each unit a task uses, by the unit's name."""


class CostError(Exception):
    """The cost cannot be computed; the message gives the reason in one line."""


@dataclass(frozen=True)
class Price:
    """The price of a unit, beyond the monthly allowance of the plan.

    Attributes:
        name: the unit, in words.
        usd_per_million: the price of a million units in US$.
        included: how many units a month the plan includes, for the whole account.
        source: the URL of the published price.
    """

    name: str
    usd_per_million: float
    included: int
    source: str


@dataclass(frozen=True)
class Line:
    """A line of a bill."""

    price: Price
    units_a_task: float
    units: float
    usd: float

    @property
    def usd_beyond_included(self) -> float:
        """The cost in US$ in a month in which nothing else has used the allowance."""
        return max(0.0, self.units - self.price.included) / _MILLION * self.price.usd_per_million

    @property
    def included_share(self) -> float:
        """Which part of the monthly allowance these units are; 0 if there is no allowance."""
        return self.units / self.price.included if self.price.included else 0


@dataclass(frozen=True)
class Cost:
    """The cost of a number of tasks, without any allowance."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """The cost of all lines in US$."""
        return sum(line.usd for line in self.lines)

    @property
    def usd_beyond_included(self) -> float:
        """The cost of all lines in US$, in a month in which nothing else has used the allowances."""
        return sum(line.usd_beyond_included for line in self.lines)


@dataclass(frozen=True)
class PriceList:
    """Published prices.

    Attributes:
        as_of: the month in which the prices were looked up.
        cloudflare, estimated, aws: prices by unit; the estimated units are those of the function `estimated`.
        aws_units: how many units the same work would use on SQS, Lambda and DynamoDB: computed, not measured.
        aws_reasons: the reason for each of these numbers.
    """

    as_of: str
    cloudflare: Mapping[str, Price]
    estimated: Mapping[str, Price]
    aws: Mapping[str, Price]
    aws_units: Units
    aws_reasons: Mapping[str, str]


@dataclass(frozen=True)
class MeasuredUnits:
    """The units that the benchmark counted.

    Attributes:
        measured_at: the time in ISO 8601.
        full_batches, lone_tasks: units by combination such as `d1, queue`, and of the baseline if it was measured.
        features: the units that each feature adds to a lone task, by combination and feature; None if it is refused.
    """

    measured_at: str
    full_batches: Mapping[str, Units]
    lone_tasks: Mapping[str, Units]
    features: Mapping[str, Mapping[str, Units | None]] = field(default_factory=dict[str, Mapping[str, Units | None]])


def read_prices(file: Path = PRICES_FILE) -> PriceList:
    """Read the price list."""
    values: dict[str, Any] = json.loads(file.read_text())
    clouds = {cloud: {unit: Price(**price) for unit, price in values[cloud].items()} for cloud in _CLOUDS}
    return PriceList(
        values["as_of"],
        clouds["cloudflare"],
        clouds["estimated"],
        clouds["aws"],
        {unit: used["a_task"] for unit, used in values["aws_units"].items()},
        {unit: used["because"] for unit, used in values["aws_units"].items()},
    )


def read_units(file: Path = UNITS_FILE) -> MeasuredUnits:
    """Read the units that the benchmark counted. Raises CostError."""
    try:
        values: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise CostError(f"expected measured units in {file}: run `python -m bench --write-docs` first") from None
    return MeasuredUnits(**values)


def cost(units: Units, prices: Mapping[str, Price], tasks: int) -> Cost:
    """Compute what tasks cost. Raises CostError for a unit without a price."""
    used = billed(units)
    unpriced = sorted(set(used) - set(prices))
    if unpriced:
        raise CostError(f"expected a price of {', '.join(unpriced)} in {PRICES_FILE.name}")
    lines = [
        Line(price, used[unit], used[unit] * tasks, used[unit] * tasks / _MILLION * price.usd_per_million)
        for unit, price in prices.items()
        if used.get(unit)
    ]
    return Cost(tuple(lines))


def billed(units: Units) -> dict[str, float]:
    """Drop units that cost nothing by themselves, and add up units that are billed together."""
    units_billed = {unit: used for unit, used in units.items() if unit not in (*_QUEUE_OPERATIONS, "d1_round_trips")}
    operations = sum(units.get(unit, 0) for unit in _QUEUE_OPERATIONS)
    return units_billed | ({"queue_operations": operations} if operations else {})


def estimated(units: Units) -> dict[str, float]:
    """Return the units that the benchmark does not count: logs, Durable Object duration, a day of storage."""
    kept = KEPT_BYTES / _MILLION / _DAYS_A_MONTH
    stores = {"d1_rows_written": "d1", "kv_writes": "kv", "object_rows_written": "object"}
    storage = {f"{store}_megabyte_months": kept for unit, store in stores.items() if units.get(unit)}
    if units.get("workflow_steps"):
        storage["workflow_megabyte_months"] = INSTANCE_BYTES / _MILLION * WORKFLOW_DAYS / _DAYS_A_MONTH
    objects = units.get("object_requests", 0)
    duration = {"object_gb_seconds": objects * 0.128 * OBJECT_SECONDS} if objects else {}
    return {"log_megabytes": (units.get("requests", 0) + objects) * LOG_BYTES / _MILLION} | duration | storage

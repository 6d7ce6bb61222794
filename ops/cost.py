"""What tasks cost: units that the bench has measured, times published prices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
PRICES_FILE = _FOLDER / "prices.json"
UNITS_FILE = _FOLDER / "measured_units.json"
"""Written by the bench (`python -m bench --write-docs`)."""

BASELINE = "baseline"
PLAIN_TASK = "a task"
"""Among the features that were measured: the task that uses none, to which the others add."""

_QUEUE_OPERATIONS = ("queue_writes", "queue_reads", "queue_deletes")
"""Have one price and one allowance."""

_CLOUDS = ("cloudflare", "estimated", "aws")

_MILLION = 1_000_000
_DAYS_A_MONTH = 30

LOG_BYTES = 1_000
OBJECT_SECONDS = 0.01
KEPT_BYTES = 260
INSTANCE_BYTES = 2_000
"""What is assumed of units that the bench does not count: of the log of an invocation; of the time that a request keeps
a Durable Object of 128 MB awake; of a completed task with a short result; of a Workflow instance with its steps."""

WORKFLOW_DAYS = 7
"""How long the state of an instance is kept by default on the Paid plan:
https://developers.cloudflare.com/workflows/reference/limits/."""

Units = Mapping[str, float]
"""How much a task uses of each unit, by the unit's name."""


class CostError(Exception):
    """A cost cannot be told; the message says why, in one line."""


@dataclass(frozen=True)
class Price:
    """Of a unit, beyond what is included in a month.

    Attributes:
        name: the unit, in words.
        usd_per_million: price of a million units.
        included: units a month that the plan includes; once for the account, whatever else uses them.
        source: where it is published.
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
        """What they cost in a month in which nothing else has used what is included."""
        return max(0.0, self.units - self.price.included) / _MILLION * self.price.usd_per_million

    @property
    def included_share(self) -> float:
        """What part of a month's included units these are; 0 where none are included."""
        return self.units / self.price.included if self.price.included else 0


@dataclass(frozen=True)
class Cost:
    """What some tasks cost, with nothing included."""

    lines: tuple[Line, ...]

    @property
    def usd(self) -> float:
        """All lines together."""
        return sum(line.usd for line in self.lines)

    @property
    def usd_beyond_included(self) -> float:
        """All lines together, in a month in which nothing else has used what is included."""
        return sum(line.usd_beyond_included for line in self.lines)


@dataclass(frozen=True)
class PriceList:
    """Published prices.

    Attributes:
        as_of: the month in which they were looked up.
        cloudflare, estimated, aws: prices by unit; the estimated units are those of `estimated`.
        aws_units: what the same work would use on SQS, Lambda and DynamoDB: computed, not measured.
        aws_reasons: why so much of each.
    """

    as_of: str
    cloudflare: Mapping[str, Price]
    estimated: Mapping[str, Price]
    aws: Mapping[str, Price]
    aws_units: Units
    aws_reasons: Mapping[str, str]


@dataclass(frozen=True)
class MeasuredUnits:
    """What the bench has counted.

    Attributes:
        measured_at: ISO 8601.
        full_batches, lone_tasks: units by combination such as `d1, queue`, and of the baseline if there was one.
        features: what each feature adds to a lone task, by combination and feature; None where it is refused.
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
    """Read what the bench has counted. Raises CostError."""
    try:
        values: dict[str, Any] = json.loads(file.read_text())
    except FileNotFoundError:
        raise CostError(f"expected measured units in {file}: run `python -m bench --write-docs` first") from None
    return MeasuredUnits(**values)


def cost(units: Units, prices: Mapping[str, Price], tasks: int) -> Cost:
    """Work out what tasks cost. Raises CostError for a unit without a price."""
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
    """Leave out what costs nothing by itself, and put together what is billed together."""
    units_billed = {unit: used for unit, used in units.items() if unit not in (*_QUEUE_OPERATIONS, "d1_round_trips")}
    operations = sum(units.get(unit, 0) for unit in _QUEUE_OPERATIONS)
    return units_billed | ({"queue_operations": operations} if operations else {})


def estimated(units: Units) -> dict[str, float]:
    """Return what a task uses beside what was counted: logs, the duration of Durable Objects, a day's storage."""
    kept = KEPT_BYTES / _MILLION / _DAYS_A_MONTH
    stores = {"d1_rows_written": "d1", "kv_writes": "kv", "object_rows_written": "object"}
    storage = {f"{store}_megabyte_months": kept for unit, store in stores.items() if units.get(unit)}
    if units.get("workflow_steps"):
        storage["workflow_megabyte_months"] = INSTANCE_BYTES / _MILLION * WORKFLOW_DAYS / _DAYS_A_MONTH
    objects = units.get("object_requests", 0)
    duration = {"object_gb_seconds": objects * 0.128 * OBJECT_SECONDS} if objects else {}
    return {"log_megabytes": (units.get("requests", 0) + objects) * LOG_BYTES / _MILLION} | duration | storage

"""The command `cost`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.pulumi import PROJECT_FILE, DeployError, StackConfig, load_config
from ops.command import SUCCESS, UsageError, add_command
from ops.console import Console, table
from ops.cost import BASELINE, PLAIN_TASK, Cost, CostError, MeasuredUnits, PriceList, cost, read_prices, read_units
from ops.options import whole_number

DEFAULT_TASKS = 1_000_000


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    text = "tell what short tasks cost that succeed at once, from measured units and published prices"
    parser = add_command(commands, common, "cost", _cost, text)
    parser.add_argument(
        "--tasks", type=whole_number(1), default=DEFAULT_TASKS, metavar="N", help="default: %(default)s"
    )


def _cost(options: argparse.Namespace, console: Console) -> int:
    combination = _combination(options.stack)
    try:
        prices, measured = read_prices(), read_units()
        costs = dict(_costs(combination, prices, measured, options.tasks))
        features = feature_costs(combination, prices, measured, options.tasks)
    except CostError as error:
        raise UsageError(str(error)) from error
    result = {
        "stack": options.stack,
        "combination": combination,
        "tasks": options.tasks,
        "measuredAt": measured.measured_at,
        "pricesAsOf": prices.as_of,
        "costs": {name: _as_json(each) for name, each in costs.items()},
        "usdMoreByFeature": features,
    }
    lines = (*_lines(options.tasks, combination, prices, measured, costs), *_feature_lines(features))
    console.result(result, lines)
    return SUCCESS


def _combination(stack: str) -> str:
    """Return a stack's store and engine from its config; the stack need not be deployed."""
    try:
        config: StackConfig = load_config(Path(), stack)
    except DeployError as error:
        raise UsageError(f"{error} (expected {PROJECT_FILE} and Pulumi.{stack}.yaml in this folder)") from error
    store, engine = (config.values[f"{config.project}:{key}"] for key in ("state_store", "engine"))
    return f"{store}, {engine}"


def _costs(combination: str, prices: PriceList, measured: MeasuredUnits, tasks: int) -> Iterator[tuple[str, Cost]]:
    """Yield the stack's cost first, then the costs that it is compared with."""
    if combination not in measured.full_batches:
        raise CostError(f"expected measured units of {combination}, got those of {', '.join(measured.full_batches)}")
    yield combination, cost(measured.full_batches[combination], prices.cloudflare, tasks)
    yield f"{combination}: each task alone", cost(measured.lone_tasks[combination], prices.cloudflare, tasks)
    if BASELINE in measured.full_batches:
        yield BASELINE, cost(measured.full_batches[BASELINE], prices.cloudflare, tasks)
    yield "SQS + Lambda + DynamoDB", cost(prices.aws_units, prices.aws, tasks)


def feature_costs(combination: str, prices: PriceList, measured: MeasuredUnits, tasks: int) -> dict[str, float | None]:
    """Return how many US$ each feature adds if all tasks use it once; None if the combination refuses the feature.

    Raises CostError for a unit without a price.
    """
    more: dict[str, float | None] = {}
    for feature, units in measured.features.get(combination, {}).items():
        if feature == PLAIN_TASK:
            continue
        # A negative number is the part of a sweep that was counted in the task without features.
        added = None if units is None else {unit: max(0.0, used) for unit, used in units.items()}
        more[feature] = None if added is None else cost(added, prices.cloudflare, tasks).usd
    return more


def _feature_lines(features: Mapping[str, float | None]) -> Iterator[str]:
    if not features:
        return
    yield ""
    rows = [(feature, "refused" if usd is None else f"{usd:.2f}") for feature, usd in features.items()]
    yield from table([("US$ MORE WHERE EACH TASK HAS", "NOTHING INCLUDED"), *rows])


def _lines(
    tasks: int, combination: str, prices: PriceList, measured: MeasuredUnits, costs: dict[str, Cost]
) -> Iterator[str]:
    own = costs[combination]
    yield f"{tasks:,} short tasks that succeed at once, in full batches, on {combination}; without storage and CPU time"
    yield f"units measured {measured.measured_at}, prices of {prices.as_of}"
    yield ""
    rows = [
        (
            line.price.name,
            f"{line.units_a_task:g}",
            f"{line.units:,.0f}",
            f"{line.price.usd_per_million:g}",
            f"{line.usd:.2f}",
            f"{line.included_share:.1%}" if line.price.included else "",
            line.price.source,
        )
        for line in own.lines
    ]
    head = ("", "A TASK", "UNITS", "US$/MILLION", "US$", "OF A MONTH'S INCLUDED", "SOURCE")
    yield from table([head, *rows])
    yield ""
    totals = [(name, f"{each.usd:.2f}", f"{each.usd_beyond_included:.2f}") for name, each in costs.items()]
    yield from table([("US$, ALL TOGETHER", "NOTHING INCLUDED", "BEYOND A MONTH'S INCLUDED"), *totals])
    yield ""
    reasons = "; ".join(f"{prices.aws[unit].name}: {reason}" for unit, reason in prices.aws_reasons.items())
    yield f"SQS + Lambda + DynamoDB is computed, not measured. {reasons}."


def _as_json(each: Cost) -> dict[str, Any]:
    lines = [
        {
            "unit": line.price.name,
            "unitsATask": line.units_a_task,
            "units": line.units,
            "usdPerMillion": line.price.usd_per_million,
            "usd": line.usd,
            "usdBeyondIncluded": line.usd_beyond_included,
            "includedAMonth": line.price.included,
            "source": line.price.source,
        }
        for line in each.lines
    ]
    return {"usd": each.usd, "usdBeyondIncluded": each.usd_beyond_included, "lines": lines}

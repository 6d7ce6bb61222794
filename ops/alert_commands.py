"""The command about the stack's alerts."""

from __future__ import annotations

import argparse
from typing import Any

from ops.alert import Alert, Alerts
from ops.command import FAILURE, SUCCESS, add_command, client_of
from ops.console import Console, table


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to the command line."""
    add_command(commands, common, "alerts", _alerts, "show the stack's alerts; 1 when one fires")


def _alerts(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        alerts = client.alerts()
    console.result(alerts, _lines(alerts))
    return FAILURE if any(each.state == "firing" for each in alerts.alerts) else SUCCESS


def _lines(alerts: Alerts) -> list[str]:
    if alerts.url is None:
        return ["the stack has no alerts: the setting alerts makes some"]
    untold = [f"{alerts.untold} posts to {alerts.url} have not arrived yet"] if alerts.untold else []
    return [*table([("ALERT", "STATE", "VALUE", "LIMIT", ""), *map(_row, alerts.alerts)]), *untold]


def _row(alert: Alert) -> tuple[str, ...]:
    value = "unknown" if alert.value is None else f"{alert.value:g}"
    since = f"since {alert.since:%Y-%m-%d %H:%M:%S} UTC" if alert.since else ""
    return alert.name, alert.state, value, f"{alert.limit:g}, resolved below {alert.resolves_below:g}", since

"""Asks the user for consent: shows what will be done, and goes on only after a yes."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from ops.command import UsageError
from ops.console import Console
from ops.live_state import Confirmation
from ops.planned_change import GATE, Effect, PlannedChange, counted, lines

LEGEND = "🟢 create · 🟡 change · 🔴 publish, and a human's yes · 💥 destroy · ⏳ wait · ✔ verify"


def require_somebody(options: argparse.Namespace) -> None:
    """Raise UsageError if nobody can answer the question: there is no terminal, and no option answers it."""
    if not options.yes and (options.json or not (sys.stdin.isatty() and sys.stderr.isatty())):
        raise UsageError("nobody can be asked here: run this in a terminal, or with --yes once you know what it does")


def show(console: Console, changes: Sequence[PlannedChange]) -> None:
    """Show what will be done, with a legend of the signs."""
    console.note(f"\n{LEGEND}\n")
    for line in lines(changes):
        console.note(f"  {line}")
    console.note(f"\n{counted(changes)}")


def confirmed(
    options: argparse.Namespace, console: Console, changes: Sequence[PlannedChange], *, is_teardown: bool = False
) -> Confirmation | None:
    """Ask for a yes; if data would be lost, ask for the stack's name.

    Returns:
        None if the answer was a different one.

    Raises:
        UsageError: there is no terminal to ask on, and the options do not consent to the loss of data.
    """
    by = options.confirmed_by or getpass.getuser()
    moment = datetime.now(UTC)
    if not changes:
        return Confirmation(by, "nothing was to be done", moment)
    loses_data = any(change.loses_data for change in changes)
    if options.yes:
        if loses_data and not is_teardown and not options.delete_data:
            lost = ", ".join(f"{change.kind} {change.name}" for change in changes if change.loses_data)
            raise UsageError(
                f"this would delete {lost} with the data: --yes alone does not allow it, add --delete-data"
            )
        return Confirmation(by, "--yes", moment)
    destroys = any(change.effect is Effect.DESTROY for change in changes)
    expected = options.stack if loses_data or is_teardown else "yes"
    sign = "💥" if destroys else GATE
    console.note(f"{sign} Type {expected!r} to do this to stack {options.stack}:")
    answer = sys.stdin.readline().strip()
    return Confirmation(by, f"typed {expected!r}", datetime.now(UTC)) if answer == expected else None

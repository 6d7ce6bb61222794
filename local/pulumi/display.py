"""Shows a deployment to people: one line for each finished step, and the current steps on a terminal's last line."""

import json
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from local.pulumi.diff import Change
from local.pulumi.steps import Action, Severity, Step
from local.pulumi.urn import label, name_of, type_of
from local.pulumi.wire import UNKNOWN, Properties, hide

_TICK_SECONDS = 0.1
_REMINDER_SECONDS = 10  # without a terminal, how often to report that a step is still running
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MAX_VALUE_CHARACTERS = 60
_MODULE_DEPTH = 2  # of a path: modules, and one of them

_CLEAR_LINE = "\r\x1b[2K"
_RESET = "\x1b[0m"


@dataclass(frozen=True)
class _Look:
    """How an action is shown: its sign, its word (past, present, future) and its ANSI colour."""

    sign: str
    word: str
    doing: str
    done: str
    colour: str


_LOOKS = {
    Action.CREATE: _Look("+", "create", "creating", "created", "\x1b[32m"),
    Action.UPDATE: _Look("~", "update", "updating", "updated", "\x1b[33m"),
    Action.REPLACE: _Look("+-", "replace", "replacing", "replaced", "\x1b[35m"),
    Action.DELETE: _Look("-", "delete", "deleting", "deleted", "\x1b[31m"),
    Action.SAME: _Look(" ", "same", "checking", "unchanged", ""),
    Action.READ: _Look(" ", "read", "reading", "unchanged", ""),
}
_SEVERITY_COLOURS: dict[Severity, str] = {"info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}


class ConsoleDisplay:
    """Writes to a stream; to a terminal with colours and a live line."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._colours = self._live and "NO_COLOR" not in os.environ
        self._lock = threading.RLock()  # a signal handler may write while its own thread is writing
        self._running: dict[str, tuple[Step, float]] = {}
        self._reminded: dict[str, float] = {}

    @contextmanager
    def watching(self) -> Generator[None]:
        """Update the live line in the background."""
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(ended,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()
            with self._lock:
                self._clear()

    def started(self, step: Step) -> None:
        """Show it on the live line."""
        with self._lock:
            self._running[step.urn] = (step, time.monotonic())

    def finished(self, step: Step, seconds: float) -> None:
        """Write its line, and the differences."""
        with self._lock:
            self._running.pop(step.urn, None)
            if step.action is not Action.SAME:
                look = _LOOKS[step.action]
                self._line(f" {look.sign:<2} {look.word:<8}", step, seconds, look.colour)
                for change in step.changes:
                    self._write(f"       {describe(change)}")

    def failed(self, step: Step, seconds: float) -> None:
        """Write its line; the error message comes at the end."""
        with self._lock:
            self._running.pop(step.urn, None)
            self._line(f" !  {_LOOKS[step.action].word:<8}", step, seconds, _SEVERITY_COLOURS["error"], "failed")

    def message(self, severity: Severity, text: str, urn: str = "") -> None:
        """Write a message of the program or of the engine."""
        about = f"{label(urn)}: " if urn and type_of(urn) != "pulumi:pulumi:Stack" else ""
        with self._lock:
            self._write(f"{self._painted(severity, _SEVERITY_COLOURS[severity])}: {about}{text}")

    def write(self, text: str = "") -> None:
        """Write a separate line."""
        with self._lock:
            self._write(text)

    def _line(self, head: str, step: Step, seconds: float, colour: str, note: str = "") -> None:
        took = f"{seconds:6.2f} s" if seconds else ""
        kind = type_of(step.urn).rsplit(":", 1)[-1]
        notes = ", ".join(text for text in (note, step.note) if text)
        line = (
            f"{self._painted(head, colour)} {kind:<20} {name_of(step.urn):<32} {took}{f'  ({notes})' if notes else ''}"
        )
        self._write(line.rstrip())

    def _write(self, text: str) -> None:
        try:
            self._clear()
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except BrokenPipeError:  # the reader has ended, as `head` does; the deployment continues
            self._live = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours and colour else text

    def _clear(self) -> None:
        if self._live:
            self._stream.write(_CLEAR_LINE)

    def _tick(self, ended: threading.Event) -> None:
        while not ended.wait(_TICK_SECONDS):
            with self._lock:
                if self._live:
                    self._show_running()
                else:
                    self._remind()

    def _show_running(self) -> None:
        now = time.monotonic()
        parts = [
            f"{_LOOKS[step.action].doing} {label(urn)} {now - began:.1f} s"
            for urn, (step, began) in self._running.items()
        ]
        parts = parts or ["working"]
        spinner = _SPINNER[int(now / _TICK_SECONDS) % len(_SPINNER)]
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_CLEAR_LINE + f"{spinner} {' · '.join(parts)}"[:width])
        self._stream.flush()

    def _remind(self) -> None:
        now = time.monotonic()
        for urn, (step, began) in self._running.items():
            if now - self._reminded.get(urn, began) >= _REMINDER_SECONDS:
                self._reminded[urn] = now
                self._write(f"    {_LOOKS[step.action].doing} {label(urn)} … {now - began:.0f} s")


class JsonDisplay:
    """Collects the steps for one JSON document; messages go to stderr."""

    def __init__(self) -> None:
        self.steps: list[Properties] = []
        self._lock = threading.Lock()

    def started(self, step: Step) -> None:
        """Ignore it: only the end of a step counts."""

    def finished(self, step: Step, seconds: float) -> None:
        """Store it."""
        self._keep(step, seconds, failed=False)

    def failed(self, step: Step, seconds: float) -> None:
        """Store it."""
        self._keep(step, seconds, failed=True)

    def message(self, severity: Severity, text: str, urn: str = "") -> None:
        """Write it to stderr."""
        sys.stderr.write(f"{severity}: {f'{label(urn)}: ' if urn else ''}{text}\n")

    def _keep(self, step: Step, seconds: float, *, failed: bool) -> None:
        with self._lock:
            self.steps.append(
                {
                    "action": step.action.value,
                    "urn": step.urn,
                    "seconds": round(seconds, 3),
                    "failed": failed,
                    "changes": [change.where for change in step.changes],
                }
            )


def describe(change: Change) -> str:
    """Return a change in a readable form: `~ settings.maxRetries: 5 → 7`, with secrets hidden."""
    mark = " (replaces)" if change.replaces else ""
    module = _module(change)
    if module is not None:
        return f"{module}{mark}"
    if change.secret:
        return f"~ {change.where}: [secret] changed{mark}"
    if change.old is None and change.new is None:
        return f"~ {change.where}{mark}"
    if change.old is None:
        return f"+ {change.where}: {brief(change.new)}{mark}"
    if change.new is None:
        return f"- {change.where}: {brief(change.old)}{mark}"
    return f"~ {change.where}: {brief(change.old)} → {brief(change.new)}{mark}"


_CODE = {"contentBase64", "contentSha256", "contentFile"}


def _module(change: Change) -> str | None:
    """Return the name of a module whose code differs; None for any other change."""
    if len(change.path) < _MODULE_DEPTH or change.path[0] != "modules":
        return None
    name, *rest = change.path[1:]
    if rest and rest[0] in _CODE:
        return f"~ module {name}: its code changed"
    if rest:
        return None
    if change.old is None or change.new is None:
        return f"{'+' if change.old is None else '-'} module {name}"
    return f"~ module {name}"


def brief(value: Any) -> str:
    """Return a value on one short line."""
    if value == UNKNOWN:
        return "(known after up)"
    text = json.dumps(hide(value), ensure_ascii=False).replace(f'"{UNKNOWN}"', "(known after up)")
    if len(text) <= _MAX_VALUE_CHARACTERS:
        return text
    return f"{text[:_MAX_VALUE_CHARACTERS]}… ({len(text)} characters)"


def output_lines(outputs: Properties) -> list[str]:
    """Return a stack's outputs as lines, with secrets hidden."""
    width = max(map(len, outputs), default=0)
    lines = [f"  {name:<{width}}  {_readable(value)}" for name, value in sorted(outputs.items())]
    return ["Outputs:", *lines] if lines else []


def _readable(value: Any) -> str:
    shown = hide(value)
    return shown if isinstance(shown, str) and shown != UNKNOWN else brief(shown)


def summary(tally: Counter[Action], *, foretold: bool, complete: bool) -> str:
    """Return what was done, or would be: `2 created, 5 unchanged`; `8, nothing changed` if there is nothing else."""
    unchanged = tally[Action.SAME]
    if complete and 0 < tally.total() == unchanged:
        return f"{unchanged}, {'nothing to change' if foretold else 'nothing changed'}"
    counts = Counter[str]()
    for action, look in _LOOKS.items():
        word = f"to {look.word}" if foretold and look.done != "unchanged" else look.done
        counts[word] += tally[action]
    nothing = "none" if complete else "nothing changed"
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or nothing

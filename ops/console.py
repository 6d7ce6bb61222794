"""Prints the commands' output: lines for people, or JSON for programs."""

from __future__ import annotations

import codecs
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from ops.deep_json import dumps
from ops.json_object import to_json

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def command_output(*, to_stderr: bool) -> int | None:
    """Return where a subcommand prints output for people: None is stdout; it is stderr when stdout is only for JSON."""
    return sys.stderr.fileno() if to_stderr else None


class Console:
    """Prints results to stdout, and progress and errors to stderr. With JSON it prints results and errors only."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._has_progress = not as_json and sys.stderr.isatty()
        self._progress_length = 0

    @property
    def is_live(self) -> bool:
        """Whether the progress line is shown: stderr is a terminal."""
        return self._has_progress

    def result(self, result: Any, lines: Iterable[str]) -> None:
        """Print a result: as JSON, or as lines."""
        self.clear_progress()
        if self.as_json:
            _print(_json_line(to_json(result), sys.stdout), sys.stdout)
        else:
            for line in lines:
                _print(line, sys.stdout)

    def note(self, line: str) -> None:
        """Print a line for people that is not part of the result."""
        if not self.as_json:
            self.clear_progress()
            _print(line, sys.stderr)

    def error(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        """Print an error, in one line."""
        self.clear_progress()
        error = {"error": message, "code": code, **(details or {})}
        _print(_json_line(error, sys.stderr) if self.as_json else f"error: {message}", sys.stderr)

    def progress(self, line: str) -> None:
        """Show a progress line, which the next one overwrites, if stderr is a terminal."""
        if self._has_progress:
            line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be overwritten
            sys.stderr.write("\r" + line.ljust(self._progress_length))
            sys.stderr.flush()
            self._progress_length = len(line)

    def clear_progress(self) -> None:
        """Erase the progress line."""
        if self._progress_length:
            sys.stderr.write("\r" + " " * self._progress_length + "\r")
            sys.stderr.flush()
            self._progress_length = 0


def _json_line(value: Any, stream: TextIO) -> str:
    return dumps(value, ensure_ascii=codecs.lookup(stream.encoding or "utf-8").name != "utf-8")


def _print(line: str, stream: TextIO) -> None:
    """Print a line. Characters that the stream cannot encode are escaped; a lone surrogate is escaped as in JSON."""
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def age(since: datetime) -> str:
    """Say how long ago a time was: `duration` since then."""
    return duration((datetime.now(UTC) - since).total_seconds())


def duration(seconds: float) -> str:
    """Format a duration in its largest unit: ``45 s``, ``12 min``, ``3.5 h``, ``2 d``."""
    seconds = max(0.0, seconds)
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "s"))
    number = seconds / size
    return f"{number:.0f} {unit}" if number >= 10 else f"{number:.2g} {unit}"


def excerpt(text: str, length: int | None = 60) -> str:
    """Return a text, or its beginning, as one printable line. It may contain anything, even terminal control codes."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if length is None or len(line) <= length else line[: length - 1] + "…"

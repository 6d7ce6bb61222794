"""Reports the progress of a run."""

from __future__ import annotations

import sys
import time


class Progress:
    """Lines on stderr, each with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        print(f"[{minutes:3d}:{seconds:02d}] {line}", file=sys.stderr, flush=True)

    def measured(self, what: str, system: str, values: dict[str, float]) -> None:
        """Print a measurement."""
        numbers = ", ".join(f"{name} {value:,.4g}" for name, value in values.items())
        self.say(f"{what}: {system}: {numbers}")

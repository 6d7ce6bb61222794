"""What a run did and when, to be told when it fails."""

from __future__ import annotations

import threading
import time

SHOWN_SECONDS = 10


class Events:
    """Notes from several threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._notes: list[tuple[float, str]] = []
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        """Note something that happens now."""
        with self._lock:
            self._notes.append((time.monotonic() - self._began, text))

    def last(self) -> str:
        """Tell what was noted in the last seconds before the last note, a line each: the second, what happened."""
        since = self._notes[-1][0] - SHOWN_SECONDS if self._notes else 0
        return "\n".join(f"{at:9.3f}  {text}" for at, text in self._notes if at >= since)

"""The instance's log: one JSON object a line in `<state>/logs/cloudflare.log`, and its rendering for people."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

_LARGEST_BYTES = 20_000_000  # then the log is moved to cloudflare.log.1, which is overwritten
_FOLLOW_SECONDS = 0.2

Entry = dict[str, Any]  # time, source (api, data-plane, worker), level, message, worker?


def log_path(state_dir: Path) -> Path:
    """Tell where an instance logs."""
    return state_dir / "logs" / "cloudflare.log"


class LogFile:
    """Appends entries, to a file that the data plane appends to as well, and moves the file away once it is large."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)

    def write(self, source: str, level: str, message: str, **more: Any) -> None:
        """Append an entry of this moment."""
        self.append(
            {"time": datetime.now(UTC).isoformat(), "source": source, "level": level, "message": message, **more}
        )

    def append(self, entry: Entry) -> None:
        """Append an entry as it is. One that finds no room on the disk is dropped: what it tells of must go on."""
        line = (json.dumps(entry) + "\n").encode()
        with suppress(OSError):
            written = self._file.write(line)
            if written != len(line):
                self._file.truncate(
                    self._file.seek(0, os.SEEK_END) - written
                )  # a torn line would spoil the next one too

    def rotate(self) -> None:
        """Begin a new file when this one is large. Nobody else does; the data plane follows."""
        with suppress(OSError):
            if self._file.seek(0, os.SEEK_END) > _LARGEST_BYTES:
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file.close()
                self._file = _open(self._path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: Path) -> FileIO:
    """Open a log to append to, unbuffered: a buffer would keep what the disk had no room for, and fail again."""
    return FileIO(path, "a")


def read(path: Path, *, follow: bool) -> Iterator[Entry]:
    """Read all entries, and go on with new ones for ever when following."""
    if not path.exists():
        return
    with path.open() as file:
        while True:
            line = _whole_line(file)
            if line is not None:
                yield json.loads(line)
            elif not follow:
                return
            elif path.exists() and path.stat().st_ino != _inode(file):  # the log was moved away under us
                yield from read(path, follow=True)
            else:
                time.sleep(_FOLLOW_SECONDS)


def render(entry: Entry) -> str:
    """Render an entry as `12:30:05 my-worker  warn  text`, in local time."""
    at = datetime.fromisoformat(entry["time"]).astimezone().strftime("%H:%M:%S")
    who = entry.get("worker") or entry["source"]
    level = "" if entry["level"] in ("log", "info") else f"{entry['level']}: "
    return f"{at} {who}  {level}{entry['message']}"


def _whole_line(file: TextIO) -> str | None:
    """Read a line, unless the writer is in the middle of it."""
    position = file.tell()
    line = file.readline()
    if line.endswith("\n"):
        return line
    file.seek(position)
    return None


def _inode(file: TextIO) -> int:
    return os.fstat(file.fileno()).st_ino

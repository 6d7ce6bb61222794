"""The instance's log: one JSON object on each line of `<state>/logs/cloudflare.log`, and its text form for people."""

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Any, TextIO

_LARGEST_BYTES = 20_000_000
RETENTION = timedelta(days=7)
"""https://developers.cloudflare.com/workers/observability/logs/workers-logs/#limits, the paid plan's"""
_FOLLOW_SECONDS = 0.2

Entry = dict[str, Any]  # time, source (api, data-plane, worker), level, message, worker?


def log_path(state_dir: Path) -> Path:
    """Return the path of an instance's log."""
    return state_dir / "logs" / "cloudflare.log"


class LogFile:
    """Appends entries to a file, to which the data plane appends too. Once it is large or old it is renamed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        self._begin: datetime | None = None  # the time of the first entry; None: not known yet

    def write(self, source: str, level: str, message: str, **more: Any) -> None:
        """Append an entry with the present time."""
        self.append(
            {"time": datetime.now(UTC).isoformat(), "source": source, "level": level, "message": message, **more}
        )

    def append(self, entry: Entry) -> None:
        """Append an entry. If the disk is full it is dropped, because what it reports must go on."""
        line = (json.dumps(entry) + "\n").encode()
        with suppress(OSError):
            written = self._file.write(line)
            if written != len(line):
                self._file.truncate(
                    self._file.seek(0, os.SEEK_END) - written
                )  # a truncated line would corrupt the next one too

    def rotate(self, moment: datetime | None = None) -> None:
        """Begin a new file if this one is large or old. Delete the previous one once all of it is old.

        Only this process does so; the data plane follows. `moment` is the present time.
        """
        oldest = (moment or datetime.now(UTC)) - RETENTION
        with suppress(OSError):
            if self._file.seek(0, os.SEEK_END) > _LARGEST_BYTES or self._begins_before(oldest):
                self._path.replace(_moved(self._path))
                self._file.close()
                self._file, self._begin = _open(self._path), None
        with suppress(OSError):
            if _moved(self._path).stat().st_mtime < oldest.timestamp():
                _moved(self._path).unlink()

    def _begins_before(self, moment: datetime) -> bool:
        if self._begin is None:
            with self._path.open() as file:
                line = _whole_line(file)
            self._begin = None if line is None else _time_of(json.loads(line))
        return self._begin is not None and self._begin < moment

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: Path) -> FileIO:
    """Open a log for appending, unbuffered: a buffer would keep what did not fit on the disk, and fail again."""
    return FileIO(path, "a")


def rotate_output(path: Path) -> None:
    """Begin a new file for this process's output, if it goes to this file and that has become large."""
    with suppress(OSError):
        file = path.stat()
        if file.st_size <= _LARGEST_BYTES or not os.path.samestat(file, os.fstat(sys.stderr.fileno())):
            return
        path.replace(_moved(path))
        with _open(path) as fresh:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                os.dup2(fresh.fileno(), stream.fileno())


def read(path: Path, *, follow: bool) -> Iterator[Entry]:
    """Read all entries that are kept; when following, wait for new ones for ever."""
    oldest = datetime.now(UTC) - RETENTION
    entries = itertools.chain(_read(_moved(path), follow=False), _read(path, follow=follow))
    yield from (entry for entry in entries if _time_of(entry) >= oldest)


def _read(path: Path, *, follow: bool) -> Iterator[Entry]:
    if not path.exists():
        return
    with path.open() as file:
        while True:
            line = _whole_line(file)
            if line is not None:
                yield json.loads(line)
            elif not follow:
                return
            elif path.exists() and path.stat().st_ino != _inode(file):  # the log was renamed while it was read
                yield from _read(path, follow=True)
            else:
                time.sleep(_FOLLOW_SECONDS)


def _moved(path: Path) -> Path:
    """Return the name of the previous log: cloudflare.log.1, which is overwritten."""
    return path.with_suffix(".log.1")


def _time_of(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry["time"])


def render(entry: Entry) -> str:
    """Format an entry as `12:30:05 my-worker  warn  text`, in local time."""
    at = _time_of(entry).astimezone().strftime("%H:%M:%S")
    who = entry.get("worker") or entry["source"]
    level = "" if entry["level"] in ("log", "info") else f"{entry['level']}: "
    return f"{at} {who}  {level}{entry['message']}"


def _whole_line(file: TextIO) -> str | None:
    """Read a line, unless the writer has not finished it."""
    position = file.tell()
    line = file.readline()
    if line.endswith("\n"):
        return line
    file.seek(position)
    return None


def _inode(file: TextIO) -> int:
    return os.fstat(file.fileno()).st_ino

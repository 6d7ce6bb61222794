"""A separate Redis for each rival, with the requested durability."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

from bench.patience import eventually

PROGRAM = "redis-server"
START_SECONDS = 10

Fsync = Literal["always", "everysec"]


class RedisServer:
    """A Redis with an append-only file. A context manager.

    Args:
        fsync: `always`: everything that was answered is on disk; `everysec`: the last second may be lost.
    """

    def __init__(self, fsync: Fsync) -> None:
        self._fsync = fsync

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="bench-redis-")
        self.socket = Path(self._folder.name) / "redis.sock"
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "dir": self._folder.name,
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "daemonize": "no",
        }
        words = [PROGRAM, *(word for name, value in settings.items() for word in (f"--{name}", value))]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)  # noqa: S603
        try:
            eventually(lambda: self.socket.exists() or None, seconds=START_SECONDS, expected="a socket of redis-server")
        except BaseException:  # for an interrupt too: nothing else knows of the process yet
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid


def is_installed() -> bool:
    """Tell whether Redis is installed."""
    return shutil.which(PROGRAM) is not None

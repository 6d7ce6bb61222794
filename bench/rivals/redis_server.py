"""A Redis of its own for each rival, with the durability that is asked for."""

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
    """A Redis that keeps an append-only file. A context manager.

    Args:
        fsync: `always`: what was answered is on disk; `everysec`: a second of it may be lost.
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
        except BaseException:  # an interrupt as well: nobody else knows of the process yet
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid


def is_installed() -> bool:
    """Tell whether there is a Redis."""
    return shutil.which(PROGRAM) is not None

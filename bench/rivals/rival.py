"""A rival: a Redis, an API and a worker, each in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from bench.errors import MeasuredSystemError
from bench.node import node
from bench.processes import cpu_seconds, resident_bytes
from bench.rivals import redis_server
from bench.rivals.redis_server import Fsync, RedisServer
from bench.system import Ability

_FOLDER = Path(__file__).parent
_REQUEST_SECONDS = 60
_STOP_SECONDS = 20


class _Application(NamedTuple):
    """The commands of a rival's processes, and their folder; RIVAL_REDIS_SOCKET has the path of their Redis."""

    folder: Path
    api: Sequence[str]
    worker: Sequence[str]
    abilities: frozenset[Ability] = frozenset()


_BULLMQ = _Application(
    _FOLDER / "bullmq",
    api=[node(), "api.js"],
    worker=[node(), "worker.js"],
    abilities=frozenset({"batches", "delays"}),
)
_CELERY = _Application(
    _FOLDER / "celery",
    api=[sys.executable, "api.py"],
    worker=[
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "celery",
        "--quiet",
        "--app",
        "tasks",
        "worker",
        "--loglevel",
        "ERROR",
    ],
)
_APPLICATIONS = {"FastAPI + Celery": _CELERY, "Hono + BullMQ": _BULLMQ}


class Rival:
    """A small application on another task queue. A context manager."""

    headers: Mapping[str, str]

    def __init__(self, name: str, application: _Application, fsync: Fsync) -> None:
        self.name = f"{name}, fsync {fsync}"
        lost = "nothing" if fsync == "always" else "up to a second"
        self.durability = f"Redis' append-only file, appendfsync {fsync}: a crash loses {lost}"
        self.headers = {}
        self.abilities = application.abilities
        self._application = application
        self._redis = RedisServer(fsync)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._redis)
            worker, _ = self._start(stack, self._application.worker)
            api, answer = self._start(stack, self._application.api)
            self.url = f"http://127.0.0.1:{answer['port']}"
            self._http = stack.enter_context(httpx.Client(base_url=self.url, timeout=_REQUEST_SECONDS, trust_env=False))
            self._pids = {"redis": self._redis.pid, "worker": worker.pid, "api": api.pid}
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def hold(self) -> None:
        """Pause the queue."""
        self._http.post("/hold").raise_for_status()

    def release(self) -> None:
        """Resume the queue."""
        self._http.post("/release").raise_for_status()

    def backlog(self) -> int:
        """Count jobs that have not ended."""
        return self._http.get("/backlog").raise_for_status().json()

    def completed(self) -> int:
        """Count successful jobs."""
        return self._http.get("/completed").raise_for_status().json()

    def memory_bytes(self) -> int:
        """Measure the memory of Redis, the API and the worker, in bytes."""
        return sum(map(resident_bytes, self._pids.values()))

    def cpu_seconds(self) -> dict[str, float]:
        """Measure the CPU time of Redis, the API and the worker, each with its descendants."""
        return {name: sum(cpu_seconds(pid).values()) for name, pid in self._pids.items()}

    def attempts(self) -> None:
        """Return None: no rival reports its attempts."""

    def _start(self, stack: ExitStack, words: Sequence[str]) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        """Start a process, and wait until it writes a line of JSON that says that it is ready, and where."""
        environment = {**os.environ, "RIVAL_REDIS_SOCKET": str(self._redis.socket)}
        process = subprocess.Popen(  # noqa: S603
            words, cwd=self._application.folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        stack.callback(_stop, process)
        if process.stdout is None:
            raise MeasuredSystemError("the process has no pipe")
        for line in process.stdout:
            if line.startswith("{"):
                return process, json.loads(line)
        raise MeasuredSystemError(f"{' '.join(words)} ended before it was ready")


def rivals(fsyncs: Sequence[Fsync]) -> list[Callable[[object], Rival]]:
    """Return a factory for each rival with each durability; they ignore the local Cloudflare."""

    def maker(name: str, application: _Application, fsync: Fsync) -> Callable[[object], Rival]:
        return lambda _: Rival(name, application, fsync)

    return [maker(name, application, fsync) for name, application in _APPLICATIONS.items() for fsync in fsyncs]


def missing_parts() -> Iterator[str]:
    """Yield what rivals need and is not installed."""
    if not redis_server.is_installed():
        yield f"{redis_server.PROGRAM} (Debian: apt-get install redis-server)"
    if not all(map(find_spec, ("celery", "fastapi", "redis"))):
        yield "bench/requirements.txt (make bench installs it)"
    if not (_BULLMQ.folder / "node_modules").is_dir():
        yield "bench/rivals/bullmq (make bench installs it)"


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

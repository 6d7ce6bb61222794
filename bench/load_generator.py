"""Sends load: the Python side of `load.js`, whose HTTP client needs a fraction of the CPU time of one in Python."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.node import node

_SCRIPT = Path(__file__).parent / "load.js"


class LoadError(Exception):
    """The load could not be sent, or a followed task was never completed."""


@dataclass(frozen=True)
class Target:
    """A task runner's API, and the tasks sent to it.

    Attributes:
        url: its URL.
        headers: the headers of each request.
        payload_bytes: the size of each task's payload, which is JSON.
    """

    url: str
    headers: Mapping[str, str]
    payload_bytes: int


@dataclass(frozen=True)
class Load:
    """The result of a load.

    Attributes:
        seconds: the time from the first request to the last answer.
        post_ms: for each accepted task, the time from when it was to be sent to the answer.
        completed_ms: for each followed task, the time from the same moment to the poll that saw it completed.
        pickup_ms: for each followed task whose system reports it, the time from the same moment to its handler's start.
    """

    seconds: float
    post_ms: list[float]
    completed_ms: list[float]
    pickup_ms: list[float]

    @property
    def tasks_per_second(self) -> float:
        """Accepted tasks a second."""
        return len(self.post_ms) / self.seconds


class LoadGenerator:
    """A Node process that sends the requested load. A context manager."""

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([node(), str(_SCRIPT)], stdin=pipe, stdout=pipe, text=True)  # noqa: S603
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # it ends with its standard input

    def flood(self, target: Target, *, tasks: int, concurrency: int) -> Load:
        """Submit tasks as fast as this number of connections can."""
        return self._run("flood", target, tasks=tasks, concurrency=concurrency)

    def batches(self, target: Target, *, tasks: int, concurrency: int, batch: int) -> Load:
        """Submit tasks in batches as fast as this number of connections can."""
        return self._run("batches", target, tasks=tasks, concurrency=concurrency, batch=batch)

    def delayed(self, target: Target, *, tasks: int, delay_seconds: int, poll_ms: float) -> Load:
        """Submit delayed tasks at once; `completed_ms` and `pickup_ms` count from the end of the delay."""
        return self._run("delayed", target, tasks=tasks, delay_seconds=delay_seconds, poll_ms=poll_ms)

    def lone(self, target: Target, *, tasks: int, pause_ms: float, poll_ms: float) -> Load:
        """Submit tasks one after the other, each followed until it is completed."""
        return self._run("lone", target, tasks=tasks, pause_ms=pause_ms, poll_ms=poll_ms)

    def steady(
        self, target: Target, *, tasks_per_second: float, seconds: float, followed_per_second: float, poll_ms: float
    ) -> Load:
        """Submit tasks at a fixed rate, however fast the answers are; some are followed until they are completed."""
        return self._run(
            "steady",
            target,
            tasks_per_second=tasks_per_second,
            seconds=seconds,
            followed_per_second=followed_per_second,
            poll_ms=poll_ms,
        )

    def _run(self, kind: str, target: Target, **job: float) -> Load:
        """Send a job and wait for its reply. Raises LoadError, also if any task was refused."""
        to = {"url": target.url, "headers": dict(target.headers), "payload_bytes": target.payload_bytes}
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise LoadError("the load generator has no pipes")
        stdin.write(json.dumps({"kind": kind, **to, **job}) + "\n")
        stdin.flush()
        reply: dict[str, Any] = json.loads(stdout.readline() or '{"error": "the load generator ended"}')
        if "error" in reply:
            raise LoadError(reply["error"])
        if reply["refused"]:
            raise LoadError(f"expected {target.url} to accept every task, it refused {reply['refused']}")
        return Load(reply["seconds"], reply["post_ms"], reply["completed_ms"], reply["pickup_ms"])

"""The interface of a measured system: anything that takes tasks over the same small API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, Self

Ability = Literal["batches", "delays"]
"""What only some systems support: `POST /tasks` with many tasks, and `POST /task?delay=` in seconds."""


class System(Protocol):
    """A task runner under test: `POST /task` returns a `taskId`, `GET /task/:id` its `status`. A context manager."""

    @property
    def name(self) -> str:
        """Its name in the tables."""
        ...

    @property
    def durability(self) -> str:
        """What is on disk when a POST is answered, in one line."""
        ...

    @property
    def url(self) -> str:
        """The URL of its API, without a slash at the end."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of each request."""
        ...

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it supports besides submitting a task."""
        ...

    def __enter__(self) -> Self:
        """Start it; it accepts tasks when this returns."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop it and what it has started."""
        ...

    def hold(self) -> None:
        """Accept tasks without starting them."""
        ...

    def release(self) -> None:
        """Start tasks again."""
        ...

    def backlog(self) -> int:
        """Return how many tasks are not done; it must be cheap, because it is called often."""
        ...

    def completed(self) -> int:
        """Return how many tasks were completed."""
        ...

    def attempts(self) -> int | None:
        """Return the total number of attempts of its completed tasks; None if it does not report them."""
        ...

    def memory_bytes(self) -> int:
        """Return the resident memory of all its processes, in bytes."""
        ...

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time in seconds of its processes, by name; systems may share some, and run in turns."""
        ...

"""What is measured: anything that takes tasks over the same small API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, Self

Ability = Literal["batches", "delays"]
"""What not every system can: `POST /tasks` of many tasks, and `POST /task?delay=` seconds."""


class System(Protocol):
    """A task runner under test: `POST /task` gives a `taskId`, `GET /task/:id` its `status`. A context manager."""

    @property
    def name(self) -> str:
        """As the tables have it."""
        ...

    @property
    def durability(self) -> str:
        """What is on disk when a POST is answered, in one line."""
        ...

    @property
    def url(self) -> str:
        """Of its API, without a slash at the end."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Of each request."""
        ...

    @property
    def abilities(self) -> frozenset[Ability]:
        """What it can beside taking a task."""
        ...

    def __enter__(self) -> Self:
        """Start it; it takes tasks when this returns."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop it and what it has started."""
        ...

    def hold(self) -> None:
        """Take tasks, and begin none."""
        ...

    def release(self) -> None:
        """Begin tasks again."""
        ...

    def backlog(self) -> int:
        """Return how many tasks are not done; cheap enough to be asked all the time."""
        ...

    def completed(self) -> int:
        """Return how many tasks there are that were completed."""
        ...

    def attempts(self) -> int | None:
        """Return how many attempts its completed tasks have had together; None where it does not tell."""
        ...

    def memory_bytes(self) -> int:
        """Return the resident memory of all its processes."""
        ...

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time that its processes have had, by their names; systems may share some, and have turns."""
        ...

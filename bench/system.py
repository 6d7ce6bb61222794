"""What is measured: anything that takes tasks over the same small API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self


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

    def memory_bytes(self) -> int:
        """Return the resident memory of all its processes."""
        ...

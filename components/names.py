"""The names of a task runner's resources. They begin with the component's name, so that a stack can have several."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from .priorities import Priority, queue_resource
from .shards import shard_resource

MAX_NAME_LENGTH = 40
"""The longest name that, with the longest suffix, fits into the 63 characters of a host name's label. A Worker's name
is such a label on workers.dev."""


@dataclass(frozen=True)
class Names:
    """The names of a component's resources on Cloudflare.

    The component ``task-runner`` in ``dev`` has the Worker ``task-runner-dev``, the queue ``task-runner-queue-dev`` and
    so on.

    Raises:
        ValueError: the names would not be valid for Workers, queues and databases.
    """

    component: str
    env: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", self.component) or len(self.component) > MAX_NAME_LENGTH:
            raise ValueError(
                f"expected a task runner's name to be at most {MAX_NAME_LENGTH} lower-case letters, digits or hyphens, "
                f"with a letter first, got {self.component!r}"
            )

    @property
    def worker(self) -> str:
        """The Worker's name."""
        return f"{self.component}-{self.env}"

    @property
    def namespace(self) -> str:
        """The KV namespace's name."""
        return self.worker

    @property
    def dead_letter_queue(self) -> str:
        """The dead-letter queue's name."""
        return f"{self.component}-dlq-{self.env}"

    @property
    def workflow(self) -> str:
        """The Workflow's name."""
        return f"{self.component}-workflow-{self.env}"

    def database(self, shard: int) -> str:
        """Return the name of a D1 database."""
        return f"{shard_resource(f'{self.component}-db', shard)}-{self.env}"

    def queue(self, shard: int, priority: Priority = "normal") -> str:
        """Return the name of a queue."""
        return f"{shard_resource(queue_resource(self.component, priority), shard)}-{self.env}"

    @property
    def rate_limit_namespace(self) -> str:
        """A whole number that no other Worker of the account should have: equal numbers share one counter of requests.

        (https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/)
        """
        digest = hashlib.sha256(self.worker.encode()).digest()
        return str(int.from_bytes(digest[:4], "big") % (2**31 - 1) + 1)

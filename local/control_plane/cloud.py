"""The cloud that all products share: its state, its data plane, and the one way to change both."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local.control_plane import desired_state
from local.control_plane.listeners import Listeners
from local.control_plane.store import Store
from local.control_plane.transfers import Transfers
from local.credentials import Credentials
from local.data_plane_client import DataPlaneAwayError, DataPlaneClient, DataPlaneRefusedError

_log = logging.getLogger(__name__)

# The data plane says these before anything changed in it. Whatever else it says may come after.
_CERTAIN_REFUSALS = frozenset({"invalid_worker", "port_in_use", "bad_request"})


@dataclass
class Change:
    """A change under way: the open transaction, and what must happen in the data plane before it is committed."""

    db: sqlite3.Connection
    last_steps: list[Callable[[], Awaitable[object]]] = field(default_factory=list[Callable[[], Awaitable[object]]])

    def finally_do(self, step: Callable[[], Awaitable[object]]) -> None:
        """Add a step that runs once the data plane has taken the new configuration."""
        self.last_steps.append(step)


class Cloud:
    """State and data plane of one instance."""

    def __init__(self, store: Store, data_plane: DataPlaneClient, credentials: Credentials, port: int) -> None:
        self.data_plane = data_plane
        self.credentials = credentials
        self.origin = f"http://127.0.0.1:{port}"
        self.first_port = port + 1  # Workers get the free ports from here on
        self.transfers = Transfers()
        self.listeners = Listeners()
        self._store = store
        self._lock = asyncio.Lock()

    @property
    def db(self) -> sqlite3.Connection:
        """The committed state, to read from."""
        return self._store.reader

    async def start(self) -> None:
        """Bring the data plane to the committed state. Raises DataPlaneRefusedError or DataPlaneAwayError."""
        self._store.writer.execute("DELETE FROM worker_tails")  # whoever listened to the server before is gone
        await self.data_plane.apply(desired_state.build(self.db))

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[Change]:
        """Change state and data plane together or not at all, one change at a time.

        The body edits the open transaction; the whole configuration that follows from it goes to the data plane; only
        what the data plane took is committed. Raises DataPlaneRefusedError when it refuses, and nothing has changed.
        """
        async with self._lock:
            change = Change(self._store.writer)
            before = self.data_plane.config
            in_doubt = False
            change.db.execute("BEGIN IMMEDIATE")
            try:
                yield change
                in_doubt = True
                try:
                    await self.data_plane.apply(desired_state.build(change.db))
                except DataPlaneRefusedError as error:
                    in_doubt = error.kind not in _CERTAIN_REFUSALS
                    raise
                for step in change.last_steps:
                    await step()
                change.db.execute("COMMIT")
            except BaseException:
                if change.db.in_transaction:  # SQLite has ended it by itself when the disk is full
                    change.db.execute("ROLLBACK")
                if in_doubt:
                    await self._return_to(before)
                raise

    async def _return_to(self, config: desired_state.Config) -> None:
        """Put the configuration of the committed state in force again."""
        try:
            await self.data_plane.apply(config, force=True)
        except (DataPlaneRefusedError, DataPlaneAwayError):
            _log.exception("the data plane could not be returned to the committed state")

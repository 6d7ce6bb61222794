"""The cloud that all products share: its state, its data plane, and the only way to change both."""

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local.core.credentials import Credentials
from local.core.product import Config
from local.core.registry import configuration
from local.core.store import Store
from local.products.assets import manifests as asset_manifests
from local.products.assets.files import AssetFiles
from local.products.d1.presigned_files import PresignedFiles
from local.products.faults.rules import FaultRules
from local.products.tails.subscribers import TailSubscribers
from local.runtime.data_plane_client import DataPlaneAwayError, DataPlaneClient, DataPlaneRefusedError

_log = logging.getLogger(__name__)

_TOKEN_KEY_SETTING = "asset_token_key"  # noqa: S105 a name
_TOKEN_KEY_BYTES = 32

# Errors that the data plane reports before it changes anything. All other errors may come after a change.
_CERTAIN_REFUSALS = frozenset({"invalid_worker", "port_in_use", "bad_request"})


@dataclass
class Change:
    """A change in progress: the open transaction, and the steps in the data plane before it is committed."""

    db: sqlite3.Connection
    final_steps: list[Callable[[], Awaitable[object]]] = field(default_factory=list[Callable[[], Awaitable[object]]])

    def add_tombstone(self, kind: str, data_id: str) -> None:
        """Schedule the deletion of data after the commit: once data is deleted, the change cannot be rolled back."""
        self.db.execute("INSERT INTO tombstones VALUES (?, ?)", (kind, data_id))

    def before_commit(self, step: Callable[[], Awaitable[object]]) -> None:
        """Add a step that runs after the data plane has accepted the new configuration."""
        self.final_steps.append(step)


class Cloud:
    """State and data plane of one instance."""

    def __init__(
        self,
        store: Store,
        asset_files: AssetFiles,
        data_plane: DataPlaneClient,
        credentials: Credentials,
        port: int,
        *,
        checks_browsers: bool = True,
    ) -> None:
        self.asset_files = asset_files
        self.code = store.code
        self.data_plane = data_plane
        self.credentials = credentials
        self.origin = f"http://127.0.0.1:{port}"
        self.first_port = port + 1  # Workers get the free ports after this one
        self.presigned_files = PresignedFiles()
        self.tail_subscribers = TailSubscribers()
        self.faults = FaultRules(data_plane)
        self._checks_browsers = checks_browsers
        self._store = store
        self.deleted: set[tuple[str, str]] = set()  # kinds and ids of data deleted since the start
        self._lock = asyncio.Lock()

    @property
    def db(self) -> sqlite3.Connection:
        """The committed state, to read from."""
        return self._store.reader

    @property
    def asset_token_key(self) -> bytes:
        """The key that signs tokens of asset uploads; it is created at the first start."""
        return bytes.fromhex(self._store.setting(_TOKEN_KEY_SETTING) or "")

    async def start(self) -> None:
        """Apply the committed state to the data plane. Raises DataPlaneRefusedError or DataPlaneAwayError."""
        self._store.writer.execute("DELETE FROM worker_tails")  # listeners of the previous server are gone
        if self._store.setting(_TOKEN_KEY_SETTING) is None:
            self._store.remember(_TOKEN_KEY_SETTING, secrets.token_hex(_TOKEN_KEY_BYTES))
        await self._delete_unused_assets()
        await self._delete_unused_code()
        await self._lay_out_assets(self.db)
        await self.data_plane.apply(self._configuration(self.db))
        await self._delete_tombstoned_data()

    @asynccontextmanager
    async def change(self) -> AsyncGenerator[Change]:
        """Change state and data plane together or not at all, one change at a time.

        The body edits the open transaction. Then the whole resulting configuration is sent to the data plane, and it is
        committed only if the data plane accepts it. If it refuses, nothing has changed, and DataPlaneRefusedError is
        raised.
        """
        async with self._lock:
            change = Change(self._store.writer)
            in_doubt = False
            modules_before = _modules(self.db)
            change.db.execute("BEGIN IMMEDIATE")
            try:
                yield change
                forgot_assets = asset_manifests.forget_unused(change.db)
                await self._lay_out_assets(change.db)
                in_doubt = True
                try:
                    await self.data_plane.apply(self._configuration(change.db))
                except DataPlaneRefusedError as error:
                    in_doubt = error.kind not in _CERTAIN_REFUSALS
                    raise
                for step in change.final_steps:
                    await step()
                change.db.execute("COMMIT")
            except BaseException:
                if change.db.in_transaction:  # SQLite ends the transaction by itself if the disk is full
                    change.db.execute("ROLLBACK")
                if in_doubt:
                    await self._return()
                raise
            if forgot_assets:
                await self._delete_unused_assets()
            if _modules(self.db) < modules_before:
                await self._delete_unused_code()
            await self._delete_tombstoned_data()

    def _configuration(self, db: sqlite3.Connection) -> Config:
        """Return the configuration of everything that is to run."""
        return configuration(db) | {"browser_checks": self._checks_browsers}

    async def _delete_tombstoned_data(self) -> None:
        """Delete the data of deleted resources. If that fails, it is tried again after the next change or start."""
        try:
            for row in self.db.execute("SELECT kind, id FROM tombstones").fetchall():
                self.deleted.add((row["kind"], row["id"]))
                await self.data_plane.delete_data(row["kind"], row["id"])
                self._store.writer.execute("DELETE FROM tombstones WHERE (kind, id) = (?, ?)", tuple(row))
        except (DataPlaneRefusedError, DataPlaneAwayError, sqlite3.OperationalError):
            _log.exception("data of what was deleted could not be deleted; the next change tries again")

    async def _lay_out_assets(self, db: sqlite3.Connection) -> None:
        """Create the missing folders of files that versions serve."""
        for site in asset_manifests.sites(db):
            if not self.asset_files.is_laid_out(site.name):
                contents = asset_manifests.contents(db, site.manifest_id)
                await asyncio.to_thread(self.asset_files.lay_out, site.name, contents, site.texts)

    async def _delete_unused_assets(self) -> None:
        """Delete files and folders that the committed state does not contain. If that fails, it is tried again."""
        sites = {site.name for site in asset_manifests.sites(self.db)}
        try:
            await asyncio.to_thread(self.asset_files.keep_only, asset_manifests.digests(self.db), sites)
        except OSError:
            _log.exception("files of assets that nothing uses could not be deleted; the next start tries again")

    async def _delete_unused_code(self) -> None:
        """Delete the code of deleted versions. If that fails, it is tried again."""
        digests = {row["sha256"] for row in self.db.execute("SELECT DISTINCT sha256 FROM worker_modules")}
        try:
            await asyncio.to_thread(self.code.keep_only, digests)
        except OSError:
            _log.exception("code that nothing uses could not be deleted; the next start tries again")

    async def _return(self) -> None:
        """Apply the configuration of the committed state again."""
        try:
            await self.data_plane.apply(self._configuration(self.db), force=True)
        except (DataPlaneRefusedError, DataPlaneAwayError):
            _log.exception("the data plane could not be returned to the committed state")


def _modules(db: sqlite3.Connection) -> int:
    return db.execute("SELECT count(*) FROM worker_modules").fetchone()[0]

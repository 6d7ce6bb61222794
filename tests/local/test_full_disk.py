"""What the server does of itself when the disk has no room; tests/faults fills a real one."""

import asyncio
import resource
import signal
import sqlite3
from collections.abc import Generator
from pathlib import Path

import pytest

from local.cli import log_file
from local.cli.log_file import LogFile
from local.core.cloud import Cloud
from local.core.credentials import Credentials
from local.core.store import Store
from local.products.assets.files import AssetFiles
from local.runtime.data_plane_client import DataPlaneClient

ROOM_BYTES = 1_000


@pytest.fixture
def room() -> Generator[None]:
    """No file of this process may grow beyond ROOM_BYTES; a write across that line is cut short, as by a full disk."""
    former_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, former_handler)


@pytest.mark.usefixtures("room")
def test_a_log_without_room_drops_entries_and_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    for number in range(50):
        log.write("api", "info", f"entry {number} {'x' * 100}")
    log.close()
    kept = list(log_file.read(path, follow=False))  # every line can be read
    assert 0 < len(kept) < 50
    assert path.read_bytes().endswith(b"\n")


class _NoPlane:
    token = ""

    async def url(self) -> str:
        raise AssertionError("nobody calls the data plane")


def test_a_transaction_that_sqlite_ended_itself_keeps_its_own_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "cloudflare.db")

    async def change() -> None:
        data_plane = DataPlaneClient(_NoPlane())
        cloud = Cloud(store, AssetFiles(tmp_path / "assets"), data_plane, Credentials.of("token", {}), port=1)
        try:
            async with cloud.change() as change:
                change.db.execute("ROLLBACK")  # as SQLite does by itself on SQLITE_FULL
                raise sqlite3.OperationalError("database or disk is full")
        finally:
            await data_plane.close()

    try:
        with pytest.raises(sqlite3.OperationalError, match="disk is full"):
            asyncio.run(change())
    finally:
        store.close()

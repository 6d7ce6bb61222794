"""A full disk: errors in Cloudflare's envelope, and once there is room again, everything acknowledged and new work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from local.cli import instance
from tests.faults.audit import audit
from tests.faults.conftest import STACK
from tests.faults.events import Events
from tests.faults.load import Load
from tests.faults.victims import RETURN_SECONDS, Victims

DISK_BYTES = 64_000_000
FULL_SECONDS = 6
FREE_SECONDS = 3
CHUNK_BYTES = 4_096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, which only root can have."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(["mount", *options], check=False, capture_output=True).returncode:  # noqa: S603, S607
        pytest.skip("NOT RUN: a disk to fill takes root on Linux (mount -t tmpfs)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


@pytest.fixture
def stacks() -> list[str]:
    return [STACK]


@pytest.fixture
def victims(disk: Path, events: Events) -> Iterator[Victims]:
    state = disk / "cloudflare"
    instance.start(state, port=0)
    try:
        yield Victims(state, events)
    finally:
        instance.stop(state)


def fill(disk: Path) -> Path:
    """Write until nothing fits any more."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with suppress(OSError):
            while True:
                os.write(descriptor, bytes(CHUNK_BYTES))
    finally:
        os.close(descriptor)
    return ballast


def test_a_full_disk_loses_nothing(disk: Path, load: Load, victims: Victims) -> None:
    before = load.cloud.must("GET", "/queues")
    with load.running():
        time.sleep(FREE_SECONDS)
        ballast = fill(disk)
        deadline = time.monotonic() + FULL_SECONDS
        refused = 0
        while time.monotonic() < deadline:
            fill(disk)
            refused += not load.cloud.accepts("POST", "/queues", {"queue_name": f"no-room-{refused}"})
        ballast.unlink()
        load.wait_until_served(RETURN_SECONDS)
        time.sleep(FREE_SECONDS)
    victims.restart()
    print(f"\nchanges refused while the disk was full: {refused}")
    assert refused > 0
    assert load.cloud.must("GET", "/queues")[: len(before)] == before
    load.cloud.must("POST", "/queues", {"queue_name": "room-again"})
    audit(load, victims.kills)

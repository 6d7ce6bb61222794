"""Logs are kept as long as Cloudflare keeps them, and no file of them grows without end."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.cli import log_file
from local.cli.log_file import RETENTION, LogFile
from local.products.d1 import presigned_files
from local.products.d1.presigned_files import PresignedFiles

NOW = datetime.now(UTC)
PRINTER = """
import sys
from pathlib import Path
from local.cli import log_file
log_file._LARGEST_BYTES = 10
path = Path(sys.argv[1])
print("before, and more than 10 bytes", flush=True)
log_file.rotate_output(path)
print("after", flush=True)
print("to stderr", file=sys.stderr)
log_file.rotate_output(Path(sys.argv[2]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cloudflare.log"


def entry(message: str, age: timedelta) -> log_file.Entry:
    return {"time": (NOW - age).isoformat(), "source": "worker", "level": "log", "message": message}


def messages(path: Path) -> list[str]:
    return [one["message"] for one in log_file.read(path, follow=False)]


def test_a_log_moves_when_it_is_old_and_goes_when_all_of_it_is(path: Path) -> None:
    log = LogFile(path)
    moved = path.with_suffix(".log.1")
    day = timedelta(days=1)
    log.append(entry("first", timedelta()))
    log.rotate(NOW + RETENTION - day)
    assert not moved.exists()
    log.append(entry("second", -2 * day))
    touch(path, NOW + 2 * day)
    log.rotate(NOW + RETENTION + day)
    assert (path.read_text(), moved.read_text().count("\n")) == ("", 2), "its last entry is young"
    log.rotate(NOW + RETENTION + 3 * day)
    assert not moved.exists()
    log.close()


def touch(path: Path, moment: datetime) -> None:
    os.utime(path, times=(moment.timestamp(), moment.timestamp()))


def test_what_is_kept_is_read_from_both_files_and_nothing_older(path: Path) -> None:
    minute = timedelta(minutes=1)
    path.with_suffix(".log.1").write_text(
        "".join(
            json.dumps(entry(*one)) + "\n"
            for one in (("gone", RETENTION + minute), ("kept", RETENTION - timedelta(hours=1)))
        )
    )
    log = LogFile(path)
    log.write("worker", "log", "new")
    log.close()
    assert messages(path) == ["kept", "new"]


def test_a_large_log_moves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_LARGEST_BYTES", 100)
    log = LogFile(path)
    for number in range(3):
        log.write("worker", "log", f"{number} {'x' * 100}")
        log.rotate()
    log.write("worker", "log", "last")
    log.close()
    assert [message.split()[0] for message in messages(path)] == ["2", "last"]


def test_what_the_server_prints_goes_into_a_new_file(tmp_path: Path) -> None:
    path, other = tmp_path / "server.log", tmp_path / "other.log"
    other.write_text("more than ten bytes, of somebody else")
    with path.open("ab") as output:
        command = [sys.executable, "-c", PRINTER, str(path), str(other)]
        subprocess.run(command, stdout=output, stderr=output, check=True)  # noqa: S603
    assert path.with_suffix(".log.1").read_text() == "before, and more than 10 bytes\n"
    assert path.read_text() == "after\nto stderr\n"
    assert other.exists()


def test_files_that_nobody_may_fetch_any_more_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(presigned_files.time, "monotonic", lambda: clock[0])
    files = PresignedFiles()
    early = files.open("database", b"dump")
    clock[0] = 3599
    late = files.open("database", b"dump")
    files.forget_expired()
    assert files.find(early.key) is early
    clock[0] = 3601
    files.forget_expired()
    assert (files.find(early.key), files.find(late.key)) == (None, late)
    assert len(files) == 1

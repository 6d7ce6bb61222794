"""The data plane's process: whatever it says, it is read, and one that nobody reads is replaced."""

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from local.cli.log_file import LogFile
from local.runtime import data_plane_process, node_parts
from local.runtime.data_plane_process import DataPlaneProcess

TAIL = {"event": "tail", "worker": "w", "tail_event": {"n": 1}}
READY = json.dumps({"event": "ready", "port": 1})

STAND_IN = """#!/bin/sh
echo $$ >> {pids}
echo '{ready}'
{says}
cat > /dev/null
"""


def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    check: Callable[[DataPlaneProcess, Callable[[], list[int]]], Awaitable[None]],
) -> list[str]:
    """Run a shell script in node's place, and give what was logged."""
    node, pids = tmp_path / "node", tmp_path / "pids"
    node.write_text(STAND_IN.format(pids=pids, ready=READY, says=says))
    node.chmod(stat.S_IRWXU)
    monkeypatch.setattr(node_parts, "node", lambda: str(node))

    async def play() -> None:
        log = LogFile(tmp_path / "log")
        process = DataPlaneProcess(tmp_path, log)
        try:
            await process.start()
            await check(process, lambda: [int(pid) for pid in pids.read_text().split()])
        finally:
            await process.stop()
            log.close()

    asyncio.run(play())
    return [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()]


async def eventually(probe: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not probe():  # noqa: ASYNC110 of another process
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "garbage",
    [
        "echo 123",
        "echo '[]'",
        "echo nonsense",
        """echo '{"event": "tail"}'""",
        "head -c 20000000 /dev/zero | tr '\\0' x; echo",
        "printf '\\377\\376\\n'",
    ],
)
def test_what_makes_no_sense_is_told_of_and_the_next_event_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, garbage: str
) -> None:
    events: list[dict[str, Any]] = []

    async def check(process: DataPlaneProcess, pids: Callable[[], list[int]]) -> None:
        process.on_tail_event = lambda _worker, event: events.append(event)
        await eventually(lambda: events)
        assert len(pids()) == 1

    logged = run(tmp_path, monkeypatch, f"sleep 0.2\n{garbage}\necho '{json.dumps(TAIL)}'", check)
    assert events == [{"n": 1}]
    assert [message.partition(":")[0] for message in logged] == ["the data plane's output was not understood"]


def test_a_listener_that_fails_does_not_end_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def fail_once(_worker: str, event: dict[str, Any]) -> None:
        seen.append(event)
        if len(seen) == 1:
            raise OSError(28, "No space left on device")

    async def check(process: DataPlaneProcess, _pids: Callable[[], list[int]]) -> None:
        process.on_tail_event = fail_once
        await eventually(lambda: len(seen) == 2)

    line = f"echo '{json.dumps(TAIL)}'"
    logged = run(tmp_path, monkeypatch, f"sleep 0.2\n{line}\n{line}", check)
    assert len(logged) == 1
    assert "No space left on device" in logged[0]


def test_a_process_whose_output_nobody_reads_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(process: DataPlaneProcess, pids: Callable[[], list[int]]) -> None:
        await eventually(lambda: len(pids()) == 2)
        await process.url()
        with pytest.raises(ProcessLookupError):
            os.kill(pids()[0], 0)

    closes_its_output = f"[ $(wc -l < {tmp_path / 'pids'}) -gt 1 ] || exec > /dev/null"
    logged = run(tmp_path, monkeypatch, closes_its_output, check)
    assert any("it is started again" in message for message in logged)


def test_a_reader_that_fails_is_told_of_and_its_process_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_line = data_plane_process._read_line  # pyright: ignore[reportPrivateUsage]
    failures = [RuntimeError("a bug")]

    async def fail_once(stream: asyncio.StreamReader) -> bytes:
        line = await read_line(stream)
        if b"tail" in line and failures:
            raise failures.pop()
        return line

    monkeypatch.setattr(data_plane_process, "_read_line", fail_once)

    async def check(process: DataPlaneProcess, pids: Callable[[], list[int]]) -> None:
        await eventually(lambda: len(pids()) == 2)
        await process.url()

    logged = run(tmp_path, monkeypatch, f"sleep 0.2\necho '{json.dumps(TAIL)}'", check)
    assert "the data plane's output could not be read: RuntimeError('a bug')" in logged

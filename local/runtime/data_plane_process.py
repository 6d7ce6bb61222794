"""Runs the data plane (Node with workerd), and restarts it after a crash."""

import asyncio
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from local.cli.instance import InstanceError, record_data_plane, stop_leftovers
from local.cli.log_file import LogFile
from local.cli.processes import ProcessRecord, stop_group
from local.runtime import node_parts

_MAIN = Path(__file__).parent / "main.js"
_TOKEN_VARIABLE = "CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN"  # noqa: S105 a name
_READY_SECONDS = 30
_STOP_SECONDS = 15  # the data plane stops its workerd first
_CRASH_GRACE_SECONDS = 0.5  # what is left of a dead data plane's process group has this long to end by itself
_SERVED_SECONDS = 1  # after a run that has served for this long, the next one starts at once
_PAUSES_SECONDS = (0.0, 0.5, 1, 2, 5)  # after such a run, and after one, two, … shorter ones in a row
_LONGEST_LINE_BYTES = 16_000_000
_SHOWN_BYTES = 500  # of a line that cannot be parsed

Restore = Callable[[str], Awaitable[None]]
TailListener = Callable[[str, dict[str, Any]], None]


class DataPlaneProcess:
    """The data plane of one state folder.

    `restore` sends a restarted one its configuration; `on_tail_event` gets invocations, with their Worker's name.
    """

    def __init__(self, state_dir: Path, log: LogFile) -> None:
        self.token = secrets.token_urlsafe(32)
        self.restore: Restore | None = None
        self.on_tail_event: TailListener | None = None
        self._state_dir = state_dir
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._leader: ProcessRecord | None = None  # of the process group
        self._url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._keeper: asyncio.Task[None] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def url(self) -> str:
        """Wait for a running data plane that has its configuration, and return its base address."""
        return await asyncio.shield(self._url)

    async def start(self) -> None:
        """Start the data plane and keep it running. Raises InstanceError if it does not start."""
        self._url.set_result(await self._spawn())
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Stop the data plane and wait until all its processes have ended."""
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()  # tells it to end
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        if self._leader is not None:  # not the one in the folder's record, which may belong to another instance by now
            await asyncio.to_thread(stop_group, self._leader, grace_seconds=_CRASH_GRACE_SECONDS)
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _keep(self) -> None:
        crashes = 0
        while True:
            process = self._process
            assert process is not None  # noqa: S101
            served_from = asyncio.get_running_loop().time()
            code = await self._ended(process)
            if self._url.done():  # otherwise somebody has been waiting for it since the last end
                self._url = asyncio.get_running_loop().create_future()
            served_seconds = asyncio.get_running_loop().time() - served_from
            crashes = 0 if served_seconds > _SERVED_SECONDS else crashes + 1
            self._log.write("data-plane", "error", f"the data plane ended (exit code {code}); it is started again")
            await asyncio.sleep(_PAUSES_SECONDS[min(crashes, len(_PAUSES_SECONDS) - 1)])
            try:
                url = await self._spawn()
                if self.restore is not None:
                    await self.restore(url)
            except Exception as error:
                self._log.write("data-plane", "error", f"the data plane did not come back: {error}")
                await self._end_attempt()
            else:
                self._url.set_result(url)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait for a process to end; stop one whose output nobody reads any more. Return its exit code."""
        exited = asyncio.create_task(process.wait())
        try:
            done, _ = await asyncio.wait({exited, *self._readers}, return_when=asyncio.FIRST_COMPLETED)
            for reader in done - {exited}:
                if error := reader.exception():
                    self._log.write("data-plane", "error", f"the data plane's output could not be read: {error!r}")
            try:
                return await asyncio.wait_for(asyncio.shield(exited), _CRASH_GRACE_SECONDS)
            except TimeoutError:
                await self._end_attempt()
                return await exited
        finally:
            exited.cancel()

    async def _end_attempt(self) -> None:
        """End the whole process group: whatever still holds a pipe of it keeps `wait` from returning."""
        if self._leader is not None:
            await asyncio.to_thread(stop_group, self._leader, grace_seconds=0)

    async def _spawn(self) -> str:
        """Start node; return its address once it reports that it is ready."""
        await asyncio.to_thread(stop_leftovers, self._state_dir, grace_seconds=_CRASH_GRACE_SECONDS)
        process = await asyncio.create_subprocess_exec(
            node_parts.node(), *node_parts.arguments(), str(_MAIN), "--state", str(self._state_dir.resolve()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **node_parts.environment(), _TOKEN_VARIABLE: self.token},
            start_new_session=True,  # its own process group: this process handles Ctrl-C, and killpg reaches all of it
            limit=_LONGEST_LINE_BYTES,
        )  # fmt: skip
        self._process = process
        with suppress(ProcessLookupError):
            self._leader = ProcessRecord.of(process.pid)
            record_data_plane(self._state_dir, self._leader)
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        errors: list[str] = []
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._readers = [
            asyncio.create_task(self._read_errors(process.stderr, errors)),
            asyncio.create_task(self._read_events(process.stdout, ready)),
        ]
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await asyncio.wait({ready, self._readers[1]}, return_when=asyncio.FIRST_COMPLETED)
                port = ready.result()
        except (TimeoutError, asyncio.InvalidStateError) as error:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await asyncio.gather(*self._readers, return_exceptions=True)
            why = errors[-1] if errors else "it said nothing"
            msg = f"the data plane did not start: {why}"
            raise InstanceError(msg) from error
        return f"http://127.0.0.1:{port}"

    async def _read_events(self, stdout: asyncio.StreamReader, ready: asyncio.Future[int]) -> None:
        """Handle every event. No error of the data plane, or of a listener, ends the reading."""
        while line := await _read_line(stdout):
            try:
                self._take(json.loads(line), ready)
            except Exception as error:
                said = line[:_SHOWN_BYTES].decode(errors="replace").rstrip()
                self._log.write("data-plane", "error", f"the data plane's output was not understood: {said}: {error!r}")

    def _take(self, event: dict[str, Any], ready: asyncio.Future[int]) -> None:
        if event["event"] == "ready":
            ready.set_result(event["port"])
        elif event["event"] == "tail" and self.on_tail_event is not None:
            self.on_tail_event(event["worker"], event["tail_event"])

    async def _read_errors(self, stderr: asyncio.StreamReader, last: list[str]) -> None:
        while line := await _read_line(stderr):
            text = line.decode(errors="replace").rstrip()
            if text:
                last.append(text)
                del last[:-20]
                self._log.write("data-plane", "error", text)


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """Read a line, or the beginning of one that is too long; return nothing at the end."""
    beginning: bytes | None = None
    while True:
        try:
            line = await stream.readuntil()
        except asyncio.LimitOverrunError as error:
            part = await stream.readexactly(error.consumed)
            beginning = beginning or part[:_SHOWN_BYTES]
        except asyncio.IncompleteReadError as error:
            return beginning or error.partial
        else:
            return beginning or line

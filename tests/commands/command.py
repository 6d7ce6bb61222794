"""Python commands as a user types them: `python -m MODULE ...`, without what the imports of each cost."""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from tests.commands.fork_server import REPLY_BYTES

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND_SECONDS = 180

_FORK_SERVER = Path(__file__).with_name("fork_server.py")
_VARIABLE = "TESTS_FORK_SERVER"
"""The path of the fork server's socket: one server for a run of the tests, with all of its workers."""
_NEVER_FORKED = "pytest"
"""It rewrites its plugins as they are imported, and warns of those that are there. It needs no large package."""
_CHUNK_BYTES = 65_536


@contextmanager
def fork_server() -> Generator[None]:
    """Have a fork server for the commands that this process and its children start; in theirs there is one."""
    if _VARIABLE in os.environ or not hasattr(os, "pidfd_open"):
        yield
        return
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        os.environ[_VARIABLE] = f"{folder}/fork_server"
        listener.bind(os.environ[_VARIABLE])
        listener.listen()
        fd = listener.fileno()
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, _FORK_SERVER, str(fd)],
            pass_fds=[fd],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            del os.environ[_VARIABLE]
            server.communicate()


@contextmanager
def real_processes() -> Generator[None]:
    """Start commands by Python itself: for tests of just what a user starts."""
    server = os.environ.pop(_VARIABLE, None)
    try:
        yield
    finally:
        if server:
            os.environ[_VARIABLE] = server


def run(*words: str | Path, expect: int = 0, cwd: Path = ROOT) -> str:
    """Run a Python module's command; return what it printed."""
    with start(*words, cwd=cwd) as command:
        output, _ = command.communicate(timeout=COMMAND_SECONDS)
    assert command.returncode == expect, output
    return output


def start(
    *words: str | Path, cwd: Path = ROOT, env: Mapping[str, str] = os.environ, stderr: int = subprocess.STDOUT
) -> Process:
    """Start a Python module's command.

    Args:
        words: the module, and its arguments.
        cwd: the folder that it works in.
        env: its environment.
        stderr: `subprocess.PIPE`, or `subprocess.STDOUT`, which makes one stream of its output and errors.
    """
    texts = list(map(str, words))
    server = os.environ.get(_VARIABLE)
    if server and texts[0] != _NEVER_FORKED:
        return Command(server, texts, cwd, env, stderr)
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", *texts],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=cwd,
        env=env,
    )


class Command:
    """A process that the fork server has started: what the tests use of `subprocess.Popen`, which has children only."""

    def __init__(self, server: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], stderr: int) -> None:
        self.returncode: int | None = None
        self.stdout, write = _pipe()
        self.stderr, error_write = _pipe() if stderr == subprocess.PIPE else (None, write)
        with open(os.devnull) as nothing:  # noqa: PTH123
            self._connection = _connect(server, [nothing.fileno(), write, error_write])
        for end in {write, error_write}:
            os.close(end)
        weakref.finalize(self, os.close, self._connection)
        self._words = words
        self._lock = threading.Lock()
        self._send({"module": words[0], "arguments": words[1:], "folder": str(cwd), "environment": dict(env)})
        self.pid = self._receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_streams()
        self.wait()

    def poll(self) -> int | None:
        """Give the exit code, which is negative for a signal; None while it runs."""
        with self._lock:
            if self.returncode is None and self._has_ended(0):
                self.returncode = self._receive()
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; give the exit code. Raises subprocess.TimeoutExpired."""
        while (code := self.poll()) is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired(self._words, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it prints to its end. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        printed = {stream.fileno(): b"" for stream in streams}
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(_seconds_to(deadline))
                if not ready:
                    raise subprocess.TimeoutExpired(self._words, timeout or 0)
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    printed[key.fd] += chunk
                    if not chunk:
                        selector.unregister(key.fileobj)
        self._close_streams()
        self.wait(_seconds_to(deadline))
        output, *errors = (text.decode() for text in printed.values())
        return output, "".join(errors)

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        self.send_signal(signal.SIGKILL)

    def _has_ended(self, timeout: float | None) -> bool:
        return bool(select.select([self._connection], [], [], timeout)[0])

    def _send(self, command: dict[str, Any]) -> None:
        text = json.dumps(command).encode() + b"\n"
        while text:
            text = text[os.write(self._connection, text) :]

    def _receive(self) -> int:
        reply = os.read(self._connection, REPLY_BYTES)
        assert reply, "the fork server has ended"
        return int.from_bytes(reply, sys.byteorder, signed=True)

    def _close_streams(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()


Process = Command | subprocess.Popen[str]


def _pipe() -> tuple[IO[str], int]:
    """Make a pipe: the end that is read, as a stream, and the one that is written."""
    read, write = os.pipe()
    return open(read), write  # noqa: PTH123


def _connect(server: str, streams: list[int]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        socket.send_fds(connection, [b"\0"], streams)
        return connection.detach()


def _seconds_to(deadline: float | None) -> float | None:
    return None if deadline is None else max(0, deadline - time.monotonic())

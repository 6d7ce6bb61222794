"""One process with the REST API, which supervises the data plane: `python -m local serve`."""

import asyncio
import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn

from local.api.application import Application
from local.api.web_socket import TolerantWebSocket
from local.cli import instance
from local.cli.instance import DEFAULT_PORT, InstanceError, InstanceLock
from local.cli.log_file import LogFile, log_path, rotate_output
from local.core.cloud import Cloud
from local.core.credentials import Credentials, read_token
from local.core.store import Store
from local.products.assets.files import AssetFiles
from local.products.tails import tails
from local.runtime.data_plane_client import DataPlaneAwayError, DataPlaneClient, DataPlaneRefusedError
from local.runtime.data_plane_process import DataPlaneProcess

_GRACE_SECONDS = 5  # for requests that are running when the server is told to stop
_KEEP_ALIVE_SECONDS = 75  # longer than clients keep idle connections, so that the server closes none under a request
_PORT_SETTING = "port"
_LOOK_SECONDS = 0.5

_LASTING_PORTS = range(10_000, 30_000, 50)
"""The range for port 0. It leaves room for the Workers' ports after it, and is below the ports that systems give to
connections (Linux from 32,768 on). A connection keeps its port for a minute after its end, so an instance could not
restart on such a port."""


def serve(state_dir: Path, port: int | None = None, *, checks_browsers: bool = True) -> None:
    """Serve until SIGTERM or SIGINT. Raises InstanceError if the folder or the port is in use."""
    os.umask(instance.PRIVATE_UMASK)  # for the data plane too, which writes most of the files
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s")
    instance.prepare(state_dir)
    with InstanceLock(state_dir) as lock:
        store = Store(state_dir / "cloudflare.db")
        try:
            with _listen_on_any() if port == 0 else _listen(_chosen_port(store, port)) as listener:
                store.remember(_PORT_SETTING, str(listener.getsockname()[1]))
                asyncio.run(_run(state_dir, store, listener, lock, checks_browsers=checks_browsers))
        finally:
            store.close()


async def _run(
    state_dir: Path, store: Store, listener: socket.socket, lock: InstanceLock, *, checks_browsers: bool
) -> None:
    port: int = listener.getsockname()[1]
    log = LogFile(log_path(state_dir))
    process = DataPlaneProcess(state_dir, log)
    data_plane = DataPlaneClient(process)
    process.restore = data_plane.restore
    try:
        await process.start()
        credentials = Credentials.of(read_token(state_dir))
        assets = AssetFiles(state_dir / "assets")
        cloud = Cloud(store, assets, data_plane, credentials, port, checks_browsers=checks_browsers)
        process.on_tail_event = tails.publisher(cloud)
        await _start(cloud)
        server = _Server(
            uvicorn.Config(
                Application(cloud, log),
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                ws=TolerantWebSocket,
            ),
            on_ready=lambda: lock.announce(port, checks_browsers=checks_browsers),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        log.write("api", "info", f"listening on http://127.0.0.1:{port}{instance.API_PATH}")
        _look_after(lock, server, log, cloud)
        await server.serve(sockets=[listener])
        log.write("api", "info", "stopped")
    finally:
        await process.stop()
        await data_plane.close()
        log.close()


async def _start(cloud: Cloud) -> None:
    try:
        await cloud.start()
    except DataPlaneRefusedError as error:
        if error.kind == "port_in_use":
            msg = f"{error.message}: stop that one"
            raise InstanceError(msg) from error
        msg = f"the data plane does not take the state of this folder: {error}"
        raise InstanceError(msg) from error
    except DataPlaneAwayError as error:
        msg = f"the data plane does not take the state of this folder: {error}"
        raise InstanceError(msg) from error


def _look_after(lock: InstanceLock, server: "_Server", log: LogFile, cloud: Cloud) -> None:
    """Delete old data, and stop once the state folder was deleted: nobody could find this instance any more."""
    if not lock.is_in_place():
        server.stop()
        return
    log.rotate()
    rotate_output(instance.server_log_path(lock.state_dir))
    cloud.presigned_files.forget_expired()
    asyncio.get_running_loop().call_later(_LOOK_SECONDS, _look_after, lock, server, log, cloud)


class _Server(uvicorn.Server):
    """A uvicorn that leaves signals to us: it would raise them again when it stops, before our own clean-up."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    def stop(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _chosen_port(store: Store, port: int | None) -> int:
    if port is not None:
        return port
    remembered = store.setting(_PORT_SETTING)
    return DEFAULT_PORT if remembered is None else int(remembered)


def _listen_on_any() -> socket.socket:
    for port in random.sample(_LASTING_PORTS, len(_LASTING_PORTS)):
        with suppress(InstanceError):
            return _listen(port)
    msg = f"no port is free between {_LASTING_PORTS.start} and {_LASTING_PORTS.stop}: choose another with --port N"
    raise InstanceError(msg)


def _listen(port: int) -> socket.socket:
    """Open the port. Raises InstanceError with a line that says what to do."""
    # asyncio turns Nagle's algorithm off only if the protocol is named; with it on, an answer takes 40 ms more.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError as error:
        listener.close()
        another = "`python -m local start --port N`"
        msg = f"port {port} is in use by another program: stop it, or choose another with {another}"
        raise InstanceError(msg) from error
    return listener

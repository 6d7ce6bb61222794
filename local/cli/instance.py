"""A running local Cloudflare as a client sees it: found, started and stopped by its state folder.

The server holds an exclusive lock on `<state>/instance.lock` as long as it lives, so the kernel knows whether it is
running, and no pid file is needed. The file's contents (pid, port) count only while it is locked.
"""

import atexit
import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from local.cli.processes import ProcessRecord, stop_group
from local.core.credentials import ACCOUNT_VARIABLE, LOCAL_ACCOUNT_ID, mint_token, read_token

DEFAULT_STATE_DIR = Path(".local")
DEFAULT_PORT = 9780  # 8787 is wrangler's; Workers get free ports after this one
API_PATH = "/client/v4"
PRIVATE_UMASK = 0o077  # only the user may read the instance's files: state and logs contain secrets
_PRIVATE_FILE = 0o600
_PRIVATE_FOLDER = 0o700

START_SECONDS = 60  # for a first start on a busy computer; a usual one takes two
STOP_SECONDS = 30  # the server finishes running requests before it stops
_ANSWER_SECONDS = 5  # for a request that needs neither the database nor the data plane
_LOCK_SECONDS = 2  # a reader holds the lock only for a moment
_POLL_SECONDS = 0.05
_RECORD_BYTES = 256  # all records have this size: one write replaces a record, and no reader sees half of one

_servers: list["subprocess.Popen[bytes]"] = []  # they outlive this process; Python would warn of a dropped handle


@atexit.register
def _let_go() -> None:
    for server in _servers:
        server.returncode = 0


class InstanceError(Exception):
    """The local Cloudflare cannot be started or stopped; the message gives the reason in one line."""


@dataclass(frozen=True)
class Instance:
    """A running local Cloudflare."""

    state_dir: Path
    pid: int
    port: int
    base_url: str
    api_token: str
    account_id: str
    checks_browsers: bool = True  # whether Workers' ports refuse requests of other sites' pages

    @classmethod
    def find(cls, state_dir: Path = DEFAULT_STATE_DIR) -> "Instance | None":
        """Find the instance that serves this state folder and is ready; None if there is none."""
        record = _read_lock(state_dir)
        if record is None or record["port"] is None:
            return None
        return cls(
            state_dir=state_dir.resolve(),
            pid=record["process"]["pid"],
            port=record["port"],
            base_url=f"http://127.0.0.1:{record['port']}{API_PATH}",
            api_token=read_token(state_dir),
            account_id=os.environ.get(ACCOUNT_VARIABLE) or LOCAL_ACCOUNT_ID,
            checks_browsers=record.get("checks_browsers", True),
        )

    def answers(self) -> bool:
        """Tell whether it answers a request. An instance that was just killed may still hold its lock, and does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_SECONDS)
        try:
            connection.request(
                "GET", f"{API_PATH}/user/tokens/verify", headers={"Authorization": f"Bearer {self.api_token}"}
            )
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


class InstanceLock:
    """The server's lock: it holds the state folder, and publishes the server's port.

    Raises InstanceError if another process holds the folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._path = _lock_path(state_dir)
        self._process = ProcessRecord.of(os.getpid())
        self._path.touch(_PRIVATE_FILE)
        self._file = self._path.open("r+b", buffering=0)
        self._take()
        self._write(port=None)

    def announce(self, port: int, *, checks_browsers: bool = True) -> None:
        """Record that the instance is ready on this port, and whether Workers' ports check browsers."""
        self._write(port=port, checks_browsers=checks_browsers)

    def is_in_place(self) -> bool:
        """Tell whether the folder still exists, and is the same one as at the start."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Release the folder."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _take(self) -> None:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(self._file.fileno()):
            # Do not wait for a server's lock: this process would take over when that server is stopped.
            if _is_held_by_a_server(self._path) or time.monotonic() > deadline:
                msg = f"another local Cloudflare already runs on {self._path.parent}"
                raise InstanceError(msg)
            time.sleep(_POLL_SECONDS)

    def _write(self, **more: int | None) -> None:
        record = json.dumps({"process": asdict(self._process), **more})
        self._file.seek(0)
        self._file.write(record.ljust(_RECORD_BYTES).encode())


def start(state_dir: Path, port: int | None = None, *, checks_browsers: bool = True) -> tuple[Instance, bool]:
    """Start an instance in the background and wait until it is ready. Return True if this call started it.

    `checks_browsers` says whether Workers' ports refuse unknown host names, and writes by other sites' pages. Raises
    InstanceError with the server's last lines of output if it does not start.
    """
    deadline = time.monotonic() + START_SECONDS
    running = _await_holder(state_dir, deadline)
    if running is not None:
        return running, False
    log_path = server_log_path(prepare(state_dir))
    command = [sys.executable, "-m", "local", "serve", "--state", str(state_dir)]
    command += [] if port is None else ["--port", str(port)]
    command += [] if checks_browsers else ["--no-browser-checks"]
    with log_path.open("ab") as log:  # two starts at the same time may both write
        log_path.chmod(_PRIVATE_FILE)
        own_words = log.tell()
        server = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )
    _servers.append(server)
    while time.monotonic() < deadline:
        instance = Instance.find(state_dir)
        if instance is not None and instance.answers():
            started = instance.pid == server.pid
            if not started:  # our server came too late; it would try again once the other one is stopped
                server.kill()
                server.wait()
            return instance, started
        # If two starts run at the same time, one server gives up; the other one is the result, once it is ready.
        if server.poll() is not None and not _is_held(state_dir):
            raise InstanceError(_last_words(log_path, own_words))
        time.sleep(_POLL_SECONDS)
    stop(state_dir)
    msg = f"the local Cloudflare was not ready after {START_SECONDS} s; see {log_path}"
    raise InstanceError(msg)


def stop(state_dir: Path) -> bool:
    """Stop the instance and wait until all its processes have ended. Return False if none was running."""
    record = _read_lock(state_dir)
    running = record is not None
    if record is not None:
        server = ProcessRecord(**record["process"])
        with suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGTERM)
        if not _ended(server, STOP_SECONDS):
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGKILL)
            _ended(server, STOP_SECONDS)
    stop_leftovers(state_dir)
    return running


def prepare(state_dir: Path) -> Path:
    """Create the state folder, readable by its owner only, because it contains secrets. Return it."""
    state_dir.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    state_dir.chmod(_PRIVATE_FOLDER)
    (state_dir / "logs").mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    mint_token(state_dir)
    return state_dir


def server_log_path(state_dir: Path) -> Path:
    """Return the file for the output of a server that runs in the background."""
    return state_dir / "logs" / "server.log"


def is_state_dir(state_dir: Path) -> bool:
    """Tell whether a folder is a state folder. It is checked before the folder is deleted."""
    return _lock_path(state_dir).is_file()


def record_data_plane(state_dir: Path, process: ProcessRecord) -> None:
    """Record the leader of the data plane's process group, for the clean-up after a crash."""
    _data_plane_path(state_dir).write_text(json.dumps(asdict(process)))


def stop_leftovers(state_dir: Path, *, grace_seconds: float = 1) -> None:
    """Stop what a killed server left behind. Its data plane normally ends by itself when its standard input closes."""
    try:
        leader = ProcessRecord(**json.loads(_data_plane_path(state_dir).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return
    stop_group(leader, grace_seconds=grace_seconds)
    _data_plane_path(state_dir).unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Return the server's environment: its output is not buffered, and `local` is found from any folder."""
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join(paths)}


def _await_holder(state_dir: Path, deadline: float) -> Instance | None:
    """Wait until the holder of the folder answers, or is gone; then return None."""
    while _read_lock(state_dir) is not None:
        instance = Instance.find(state_dir)
        if instance is not None and instance.answers():
            return instance
        if time.monotonic() > deadline:
            msg = f"the local Cloudflare on {state_dir} does not answer: stop it with `python -m local stop`"
            raise InstanceError(msg)
        time.sleep(_POLL_SECONDS)
    return None


def _lock_path(state_dir: Path) -> Path:
    return state_dir / "instance.lock"


def _data_plane_path(state_dir: Path) -> Path:
    return state_dir / "data_plane.json"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_lock(state_dir: Path) -> dict[str, Any] | None:
    """Read the record of the folder's holder; None if nobody holds it, or the holder has written no record yet."""
    return _living_record(_lock_path(state_dir)) if _is_held(state_dir) else None


def _is_held(state_dir: Path) -> bool:
    """Tell whether anybody holds the folder, even a server that has just taken it and has written no record yet."""
    try:
        with _lock_path(state_dir).open() as file:
            return not _try_lock(file.fileno())
    except FileNotFoundError:
        return False


def _is_held_by_a_server(lock_path: Path) -> bool:
    """Distinguish a server's lock from that of a reader, which holds it for a moment and writes nothing."""
    return _living_record(lock_path) is not None


def _living_record(lock_path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(lock_path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record if ProcessRecord(**record["process"]).is_running() else None


def _ended(process: ProcessRecord, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.is_running():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _last_words(log_path: Path, start: int) -> str:
    lines = log_path.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"the local Cloudflare ended at once; see {log_path}"

"""Start, stop, crash: state is kept, nothing is left behind."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from local.__main__ import main
from local.cli import commands, instance
from local.cli.instance import Instance, InstanceError
from local.cli.processes import ProcessRecord
from tests.local.rest import Rest, eventually, version

COUNTER = """
export default {
  async fetch(request, env) {
    await env.DB.exec("CREATE TABLE IF NOT EXISTS visits (at INTEGER)")
    await env.DB.prepare("INSERT INTO visits VALUES (?)").bind(Date.now()).run()
    console.log("a visit")
    const { n } = await env.DB.prepare("SELECT count(*) AS n FROM visits").first()
    return new Response(String(n))
  },
}
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Generator[Path]:
    state_dir = tmp_path / "state"
    yield state_dir
    instance.stop(state_dir)


def run(*arguments: str, state_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", *arguments, "--state", str(state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)  # noqa: S603


def ps(*options: str) -> str:
    return subprocess.run(["ps", *options], capture_output=True, text=True, check=False).stdout  # noqa: S603, S607


def children(pid: int) -> list[int]:
    """Find all processes below one."""
    pairs = [tuple(map(int, row.split())) for row in ps("-axo", "pid=,ppid=").splitlines()]
    found = [child for child, parent in pairs if parent == pid]
    return found + [deeper for child in found for deeper in children(child)]


def named(pids: list[int], name: str) -> list[int]:
    return [pid for pid in pids if name in ps("-o", "args=", "-p", str(pid)).split(" ")[0]]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Deployed:
    """An instance with a database, a queue with one message, and a Worker that counts its visits."""

    def __init__(self, state_dir: Path) -> None:
        self.cloud, _ = instance.start(state_dir, port=0)
        with Rest(self.cloud) as rest:
            self.database = rest.database()
            self.queue = rest.queue()
            rest.result("POST", f"/queues/{self.queue['queue_id']}/messages", {"body": {"kept": True}})
            bindings = [{"name": "DB", "type": "d1", "id": self.database["uuid"]}]
            self.worker = rest.deployed_worker(COUNTER, bindings=bindings)
        self.url: str = self.worker["subdomain"]["url"]
        self.processes = [self.cloud.pid, *children(self.cloud.pid)]

    def visit(self) -> int:
        return int(httpx.get(self.url, timeout=30, trust_env=False).raise_for_status().text)

    def backlog(self) -> Any:
        running = Instance.find(self.cloud.state_dir)
        assert running is not None
        with Rest(running) as rest:
            return rest.result("GET", f"/queues/{self.queue['queue_id']}/metrics")["backlog_count"]

    def all_gone(self) -> bool | None:
        ports = (self.cloud.port, int(self.url.rpartition(":")[2]))
        gone = not any(alive(pid) for pid in self.processes) and all(is_free(port) for port in ports)
        return gone or None


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return ProcessRecord.of(pid).is_running()
    return False


def visits_again(deployed: Deployed) -> int | None:
    with suppress(httpx.HTTPError, ValueError):
        return deployed.visit()
    return None


def test_commands_of_a_day(state_dir: Path) -> None:
    assert run("status", state_dir=state_dir).returncode == 3
    assert run("stop", state_dir=state_dir).stdout == "not running\n"
    started = run("start", "--port", "0", state_dir=state_dir)
    assert started.stdout.startswith("started: http://127.0.0.1:")
    base_url = started.stdout.split()[-1]
    assert httpx.URL(base_url).port in range(10_000, 30_000)  # no connection ever has that port
    assert run("start", state_dir=state_dir).stdout == f"already running: {base_url}\n"
    elsewhere = run("start", "--port", "8999", state_dir=state_dir)
    assert elsewhere.returncode == 1
    assert elsewhere.stderr.endswith(": stop it first, then start it on port 8999\n")
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    deployed = Deployed(state_dir)
    assert deployed.visit() == 1
    status = run("status", state_dir=state_dir).stdout
    for text in (base_url, deployed.url, deployed.cloud.api_token, deployed.database["uuid"], "1 message"):
        assert text in status
    name = deployed.worker["name"]
    eventually(lambda: "a visit" in run("logs", name, state_dir=state_dir).stdout or None)
    assert run("logs", "nobody", state_dir=state_dir).stdout == ""
    assert run("stop", state_dir=state_dir).stdout == "stopped\n"
    assert deployed.all_gone()
    assert run("start", state_dir=state_dir).stdout == f"started: {base_url}\n"
    assert deployed.visit() == 2
    assert run("reset", state_dir=state_dir).stdout == f"deleted {state_dir}\n"
    assert not state_dir.exists()
    assert deployed.all_gone()


def test_what_does_not_answer_is_a_line_of_the_status(
    state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a Worker loops: what the runtime would have to tell is unknown, and the rest is told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"http://127.0.0.1:{port}/client/v4"
        running = Instance(state_dir, 1, port, url, "token", "0" * 32)
        monkeypatch.setattr(Instance, "find", Mock(return_value=running))
        monkeypatch.setattr(commands, "_STATUS_SECONDS", 0.1)
        monkeypatch.setattr(sys, "argv", ["cloudflare-local", "status", "--state", str(state_dir)])
        assert main() == 1
    printed = capsys.readouterr()
    assert printed.err == ""
    assert f"API       {url}" in printed.out
    why = f"GET /accounts/{'0' * 32}/queues got no answer in 0.1 s: see `python -m local logs`"
    assert f"Queues: unknown: {why}\n" in printed.out


def test_checks_of_browsers_are_switched_off(state_dir: Path) -> None:
    assert run("start", "--port", "0", "--no-browser-checks", state_dir=state_dir).returncode == 0
    assert run("start", "--no-browser-checks", state_dir=state_dir).stdout.startswith("already running")
    deployed = Deployed(state_dir)
    elsewhere = {"Host": "rebound.example", "Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"}
    assert httpx.post(deployed.url, headers=elsewhere, timeout=30, trust_env=False).text == "1"
    instance.stop(state_dir)
    assert run("start", state_dir=state_dir).returncode == 0
    refused = httpx.post(deployed.url, headers=elsewhere, timeout=30, trust_env=False)
    assert (refused.status_code, "--no-browser-checks" in refused.text) == (403, True)
    again = run("start", "--no-browser-checks", state_dir=state_dir)
    assert again.stderr.endswith(": stop it first, then start it with --no-browser-checks\n")


def test_it_ends_once_its_folder_was_deleted_and_leaves_the_next_one_alone(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    shutil.rmtree(state_dir)
    following, started = instance.start(state_dir, port=0)
    assert started
    eventually(deployed.all_gone)
    assert following.answers()
    with Rest(following) as rest:
        assert rest.result("GET", "/workers/workers") == []


def test_reset_deletes_nothing_but_a_state_folder(tmp_path: Path) -> None:
    answer = run("reset", state_dir=tmp_path)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: ")
    assert tmp_path.exists()


def test_of_starts_at_once_one_wins(state_dir: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = [one.result() for one in [pool.submit(instance.start, state_dir, 0) for _ in range(4)]]
    assert len({running.pid for running, _ in outcomes}) == 1
    assert [started for _, started in outcomes].count(True) == 1
    assert instance.stop(state_dir)
    time.sleep(0.5)
    assert Instance.find(state_dir) is None
    assert str(state_dir) not in ps("-axo", "args=")  # nobody who came too late takes over


def test_a_taken_port_is_one_clear_line(state_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = run("start", "--port", str(port), state_dir=state_dir)
    assert answer.returncode == 1
    command = "`python -m local start --port N`"
    expected = f"error: port {port} is in use by another program: stop it, or choose another with {command}\n"
    assert answer.stderr == expected
    assert Instance.find(state_dir) is None


def test_a_second_server_on_the_folder_gives_up(state_dir: Path) -> None:
    instance.start(state_dir, port=0)
    answer = run("serve", "--port", "0", state_dir=state_dir)
    assert answer.returncode == 1
    assert answer.stderr == f"error: another local Cloudflare already runs on {state_dir}\n"


BUSY = """
import sys
from pathlib import Path
from local.cli.instance import InstanceLock

with InstanceLock(Path(sys.argv[1])) as lock:
    print("held", flush=True)
    while True:
        lock.announce(8787)
"""


def test_a_holder_is_seen_while_it_writes(state_dir: Path) -> None:
    instance.prepare(state_dir)
    with subprocess.Popen([sys.executable, "-c", BUSY, str(state_dir)], stdout=subprocess.PIPE) as holder:  # noqa: S603
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            eventually(lambda: Instance.find(state_dir))
            found = [Instance.find(state_dir) for _ in range(1000)]
        finally:
            holder.kill()
    assert {one.pid if one else None for one in found} == {holder.pid}


SILENT = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from local.cli.instance import InstanceLock

write = InstanceLock._write

def write_late(lock, *, port):
    InstanceLock._write = write
    print("held", flush=True)
    sys.stdin.readline()
    write(lock, port=port)

InstanceLock._write = write_late
with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server, InstanceLock(Path(sys.argv[1])) as lock:
    lock.announce(server.server_port)
    server.serve_forever()
"""


def test_a_holder_that_has_said_nothing_yet_is_waited_for(state_dir: Path) -> None:
    """A busy machine may pause a server right after it took the folder, for longer than another waits."""
    log = instance.prepare(state_dir) / "logs" / "server.log"
    command = [sys.executable, "-c", SILENT, str(state_dir)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,  # noqa: S603
        ThreadPoolExecutor(1) as pool,
    ):
        try:
            assert holder.stdin is not None
            assert holder.stdout is not None
            holder.stdout.readline()
            outcome = pool.submit(instance.start, state_dir, 0)
            eventually(lambda: (log.exists() and "already runs on" in log.read_text()) or None)
            time.sleep(0.5)  # the one that gave up is gone
            assert not outcome.done()
            holder.stdin.write(b"\n")
            holder.stdin.flush()
            running, started = outcome.result()
        finally:
            holder.kill()
    assert running.pid == holder.pid
    assert not started


DYING = """
import socket, sys, time
from pathlib import Path
from local.cli.instance import InstanceLock

with socket.create_server(("127.0.0.1", 0)) as listener, InstanceLock(Path(sys.argv[1])) as lock:
    lock.announce(listener.getsockname()[1])
    print("announced", flush=True)
    listener.accept()[0].close()
    time.sleep(0.3)
"""


def test_a_server_that_dies_is_waited_for_and_not_found(state_dir: Path) -> None:
    """One that was killed a moment ago has its lock and its port still, and takes connections."""
    instance.prepare(state_dir)
    command = [sys.executable, "-c", DYING, str(state_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dying:  # noqa: S603
        try:
            assert dying.stdout is not None
            assert dying.stdout.readline() == "announced\n"
            running, started = instance.start(state_dir, port=0)
        finally:
            dying.kill()
    assert started
    assert running.pid != dying.pid
    assert running.answers()


def test_a_killed_server_is_started_again_at_once(state_dir: Path) -> None:
    running, _ = instance.start(state_dir, port=0)
    for _ in range(3):
        os.kill(running.pid, signal.SIGKILL)
        again, started = instance.start(state_dir)
        assert started
        assert again.pid != running.pid
        running = again


def test_a_killed_server_leaves_nothing_and_goes_on(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    assert deployed.visit() == 1
    os.kill(deployed.cloud.pid, signal.SIGKILL)
    eventually(deployed.all_gone)
    assert Instance.find(state_dir) is None
    again, started = instance.start(state_dir)
    assert started
    assert again.base_url == deployed.cloud.base_url
    assert deployed.visit() == 2
    assert deployed.backlog() == 1


@pytest.mark.parametrize("victim", ["node", "workerd"])
def test_a_killed_data_plane_comes_back(state_dir: Path, victim: str) -> None:
    deployed = Deployed(state_dir)
    assert deployed.visit() == 1
    pids = named(deployed.processes, victim)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: visits_again(deployed), seconds=20) == 2
    assert deployed.backlog() == 1
    with Rest(deployed.cloud) as rest:  # and it takes new code
        path = f"/workers/workers/{deployed.worker['id']}/versions?deploy=true"
        rest.result("POST", path, version("export default { fetch: () => new Response('3') }"))
    assert deployed.visit() == 3


def test_kill_9_of_everything_loses_nothing(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    assert deployed.visit() == 1
    for pid in deployed.processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    eventually(deployed.all_gone)
    instance.start(state_dir)
    assert deployed.visit() == 2
    assert deployed.backlog() == 1


def test_a_call_waits_for_a_data_plane_that_restarts(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    for pid in named(deployed.processes, "node"):
        os.kill(pid, signal.SIGKILL)
    with Rest(deployed.cloud) as rest:
        [result] = rest.result("POST", f"/d1/database/{deployed.database['uuid']}/query", {"sql": "SELECT 1 AS one"})
        assert result["results"] == [{"one": 1}]
        assert rest.deployed_worker()


def test_a_call_waits_for_a_data_plane_that_is_killed_again_while_it_restarts(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    with Rest(deployed.cloud) as rest, ThreadPoolExecutor(1) as pool:
        first = eventually(lambda: data_plane(state_dir))
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not alive(first) or None)
        call = pool.submit(rest.result, "GET", f"/queues/{deployed.queue['queue_id']}/metrics")
        second = eventually(lambda: data_plane(state_dir))
        os.kill(second, signal.SIGKILL)
        assert call.result()["backlog_count"] == 1


def data_plane(state_dir: Path) -> int | None:
    """Find the running data plane."""
    with suppress(FileNotFoundError, ValueError):
        record = ProcessRecord(**json.loads((state_dir / "data_plane.json").read_text()))
        return record.pid if record.is_running() else None
    return None


def test_a_port_of_a_worker_that_is_taken_is_one_clear_line(state_dir: Path) -> None:
    deployed = Deployed(state_dir)
    instance.stop(state_dir)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(deployed.url.rpartition(":")[2])))
        other.listen()
        name = deployed.worker["name"]
        with pytest.raises(
            InstanceError, match=rf"^port [0-9]+, where Worker {name} answers, is in use .*: stop that one$"
        ):
            instance.start(state_dir)
    assert instance.start(state_dir)[1]
    assert deployed.visit() == 1


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_one_line(state_dir: Path, port: str) -> None:
    for command in ("start", "serve"):
        refused = run(command, f"--port={port}", state_dir=state_dir)
        assert refused.returncode == 2
        assert refused.stdout == ""
        last = refused.stderr.splitlines()[-1]
        assert last.endswith(f"error: argument --port: expected a port from 0 to 65535, got '{port}'")
    assert not state_dir.exists()

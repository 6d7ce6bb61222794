"""A command that the fork server starts is as one that Python starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.command import Command, Process, fork_server, real_processes, start

PATIENCE_SECONDS = 120
BEGUN = "begun\n"
"""What a command prints that goes on until a signal."""

PROBE = """
import atexit, gc, json, os, signal, sys, threading
from . import beside

def look():
    return {
        "arguments": sys.argv,
        "names": [__name__, __package__, __file__, beside.__file__],
        "folder": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "LC_CTYPE"},
        "path": sys.path,
        "bytecode": sys.dont_write_bytecode,
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "threads": os.listdir("/proc/self/task") == [str(os.getpid())],
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "garbage": [gc.isenabled(), gc.get_threshold()],
        "streams": [
            [stream.encoding, stream.errors, stream.isatty(), stream.line_buffering]
            for stream in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "input": sys.stdin.read(),
    }

atexit.register(print, "the end")
threading.Timer(0.2, print, ["before the end"]).start()
print(json.dumps(look()))
sys.stderr.write("an error\\n")
sys.exit(7)
"""


@pytest.fixture(params=["forked", "real"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "forked":
        yield request.param
        return
    with real_processes():
        yield request.param


def write(folder: Path, **modules: str) -> None:
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))


def ended(process: Process) -> tuple[int | None, str, str]:
    try:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # its `with` would wait for it for ever
        raise
    return process.returncode, output, errors or ""


def test_a_fork_finds_what_a_python_of_its_own_finds(tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    write(tmp_path / "probe", __main__=PROBE, beside="", __init__="")
    environment = {**os.environ, "PYTHONPATH": f"/one{os.pathsep}/two", "PYTHONDONTWRITEBYTECODE": "1", "NEW": "ü"}

    def probe() -> tuple[dict[str, Any], list[str]]:
        code, output, errors = ended(
            start("probe", "--word", "ü", cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        )
        assert (code, errors) == (7, "an error\n")
        seen, *ends = output.splitlines()
        return json.loads(seen), ends

    forked, forked_ends = probe()
    with real_processes():
        real, real_ends = probe()
    assert forked == real
    assert forked_ends == real_ends == ["before the end", "the end"]
    assert real["arguments"] == [str(tmp_path / "probe" / "__main__.py"), "--word", "ü"]
    assert real["path"][:3] == [str(tmp_path), "/one", "/two"]


def test_it_is_a_fork(tmp_path: Path) -> None:
    write(tmp_path, imported="import sys\nprint('pulumi_cloudflare' in sys.modules, 'local' in sys.modules)")
    command = start("imported", cwd=tmp_path)
    assert isinstance(command, Command)
    assert ended(command) == (0, "True False\n", "")


@pytest.mark.usefixtures("way")
def test_an_exception_is_told_and_is_an_exit_code(tmp_path: Path) -> None:
    write(tmp_path, broken="raise ValueError('odd')", silent="")
    code, output, _ = ended(start("broken", cwd=tmp_path))
    assert code == 1
    assert output.startswith("Traceback (most recent call last):\n")
    assert f'File "{tmp_path / "broken.py"}", line 1' in output
    assert output.endswith("\nValueError: odd\n")
    assert ended(start("silent", cwd=tmp_path)) == (0, "", "")
    code, output, _ = ended(start("missing", cwd=tmp_path))
    assert code == 1
    assert "No module named missing" in output


@pytest.mark.usefixtures("way")
def test_much_is_printed_to_two_streams(tmp_path: Path) -> None:
    write(tmp_path, much="import sys\nfor each in range(50000): print(each); print(each, file=sys.stderr)")
    code, output, errors = ended(start("much", cwd=tmp_path, stderr=subprocess.PIPE))
    assert code == 0
    assert output == errors == "".join(f"{each}\n" for each in range(50_000))


ENDLESS = f"""
import signal, sys
print({BEGUN!r}, end="", flush=True)
try:
    signal.pause()
except KeyboardInterrupt:
    if "catch" not in sys.argv: raise
    print("interrupted")
    sys.exit(130)
"""


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("number", "word", "code", "last"),
    [
        (signal.SIGKILL, "", -signal.SIGKILL, ""),
        (signal.SIGTERM, "", -signal.SIGTERM, ""),
        (signal.SIGINT, "catch", 130, "interrupted"),
        (signal.SIGINT, "", -signal.SIGINT, "KeyboardInterrupt"),
    ],
)
def test_signals_come_and_their_ends_are_told(
    tmp_path: Path, number: signal.Signals, word: str, code: int, last: str
) -> None:
    write(tmp_path, endless=ENDLESS)
    with start("endless", word, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == BEGUN
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.01)
        process.send_signal(number)
        found, output, _ = ended(process)
    assert found == process.poll() == process.wait() == code
    assert output.rstrip().endswith(last)
    assert not Path("/proc", str(process.pid)).exists()
    process.kill()  # and nothing is hit


def test_commands_run_beside_each_other_and_the_server_ends_with_the_tests(tmp_path: Path) -> None:
    write(tmp_path, endless=ENDLESS)
    with real_processes(), fork_server():
        first, second = (start("endless", cwd=tmp_path) for _ in range(2))
        for process in (first, second):
            assert process.stdout is not None
            assert process.stdout.readline() == BEGUN
        server = int(Path("/proc", str(first.pid), "stat").read_text().split()[3])
        second.kill()
        assert second.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        assert first.poll() is None
        first.kill()
        assert [ended(each)[0] for each in (first, second)] == [-signal.SIGKILL, -signal.SIGKILL]
    assert not Path("/proc", str(server)).exists()

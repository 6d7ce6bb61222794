"""Options of the test suites, and what they tell of themselves at their end."""

import gc
import signal
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from tests.commands.command import fork_server

SLOWEST_FILES = 15


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance")
    group.addoption("--stack", default="local", help="the deployed stack that tests/acceptance checks (default: local)")
    group.addoption("--state", default=".local", help="the state folder of the local Cloudflare (default: .local)")
    features = parser.getgroup("features")
    features.addoption("--receiver", help="the URL of a server that tests/features lets the http handler deliver to")
    faults = parser.getgroup("faults")
    faults.addoption(
        "--fault-seconds", type=float, default=60, help="how long tests/faults kills under load (default: 60)"
    )
    faults.addoption("--fault-seed", type=int, default=1, help="the seed of its moments and victims (default: 1)")


def pytest_configure(config: pytest.Config) -> None:
    """Start what the commands of all workers of this run are started by.

    A shell starts what runs in the background without SIGINT, and a process hands that on to those that it starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    running = ExitStack()
    running.enter_context(fork_server())
    config.add_cleanup(running.close)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import everything without looks for garbage: there is none, and to find that out takes a fifth of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which files took longest; others ran beside them, so each took less by itself."""
    seconds: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[report.nodeid.partition("::")[0]] += report.duration  # pyright: ignore[reportArgumentType]
    if len(seconds) > 1:
        terminalreporter.section(f"the longest of {len(seconds)} files")
        for file, each in seconds.most_common(SLOWEST_FILES):
            terminalreporter.line(f"{each:7.1f} s {file}")

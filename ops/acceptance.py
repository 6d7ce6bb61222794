"""Runs the acceptance suite on a deployed stack, and reads each check from its report: expected and observed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ops.console import command_output
from ops.deployed_stack import NotReadyError

SUITE = Path("tests/acceptance")


@dataclass(frozen=True)
class Check:
    """The result of one check of a deployed stack."""

    name: str
    expected: str
    observed: str
    passed: bool


def run_acceptance(stack: str, state_dir: Path, *, output_to_stderr: bool) -> list[Check]:
    """Run the suite and return its checks; its output is shown to the user.

    Raises:
        NotReadyError: the suite is not installed here, or it could not start.
    """
    if not SUITE.is_dir():
        raise NotReadyError(f"expected the acceptance suite in {SUITE}: run this in a copy of the repository")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-p", "no:cacheprovider", "-q", f"--junit-xml={report}", "-o", "junit_family=xunit1"]
        command = [sys.executable, "-m", "pytest", *options, str(SUITE), "--stack", stack, "--state", str(state_dir)]
        output = command_output(to_stderr=output_to_stderr)
        done = subprocess.run(command, stdout=output, stdin=subprocess.DEVNULL, check=False)  # noqa: S603
        if not report.exists():
            raise NotReadyError(f"the acceptance suite did not run (exit code {done.returncode}); see above")
        checks = read_report(report.read_text(encoding="utf-8"))
    if not checks:
        raise NotReadyError(f"the acceptance suite checked nothing (exit code {done.returncode}); see above")
    return checks


def read_report(text: str) -> list[Check]:
    """Read pytest's JUnit report; each test records what it checks by ``record_property``."""
    # The parsed text is trusted: the suite has just written it here.
    return [_check(case) for case in ElementTree.fromstring(text).iter("testcase")]  # noqa: S314


def _check(case: ElementTree.Element) -> Check:
    noted = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
    problems = [
        each.get("message") or "it failed" for kind in ("failure", "error", "skipped") for each in case.iter(kind)
    ]
    name = noted.get("check") or case.get("name", "").removeprefix("test_").replace("_", " ")
    observed = problems[0].splitlines()[0] if problems else noted.get("observed", "as expected")
    return Check(name, noted.get("expected", "the test passes"), observed, passed=not problems)


def run_smoke_test(command: str, variables: Mapping[str, str], *, output_to_stderr: bool) -> Check:
    """Run the user's own command in the shell, with environment variables that say where the task runner is."""
    output = command_output(to_stderr=output_to_stderr)
    environment = {**os.environ, **variables}
    done = subprocess.run(  # noqa: S602 it is a shell command that its own user has typed
        command, shell=True, stdout=output, stdin=subprocess.DEVNULL, env=environment, check=False
    )
    return Check(f"smoke test: {command}", "exit code 0", f"exit code {done.returncode}", passed=done.returncode == 0)

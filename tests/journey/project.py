"""A copy of the project with a stack of its own, and the commands that a user types in it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from local.core.credentials import LOCAL_ACCOUNT_ID
from tests.commands.command import ROOT, Process, run, start

PROGRAM = ("__main__.py", "components", "worker", "tests", "local", "ops", "pyproject.toml", "Pulumi.yaml")
SUITE_SECONDS = 600
"""Six suites run at the same time, on two cores."""


@contextmanager
def local_cloudflare(state: Path) -> Generator[None]:
    """Run a local Cloudflare of its own."""
    run("local", "start", "--state", state, "--port", "0")
    try:
        yield
    finally:
        run("local", "stop", "--state", state)


class Project:
    """A project folder: the program is this repository's; its stack files, and its handler if need be, are its own."""

    def __init__(self, folder: Path, state: Path, handlers: Mapping[str, str] | None = None) -> None:
        """Lay the project out.

        Args:
            folder: an empty folder.
            state: the local Cloudflare's.
            handlers: sources of handlers beside the built-in ones, or in their place, by file name.
        """
        self.folder = folder
        self.state = state
        for name in PROGRAM:
            (folder / name).symlink_to(ROOT / name)
        self._handlers = bool(handlers)
        if handlers:
            (folder / "handlers").mkdir()
            for file_name, source in handlers.items():
                (folder / "handlers" / file_name).write_text(source)

    def configure(self, stack: str, **settings: Any) -> None:
        """Write a stack's config."""
        config = {
            "cloudflare:baseUrl": "http://127.0.0.1:9780/client/v4",
            "ephemera:account_id": LOCAL_ACCOUNT_ID,
            **({"ephemera:handlers": "handlers"} if self._handlers else {}),
            **{f"ephemera:{key}": value for key, value in settings.items()},
        }
        (self.folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))

    def deploy(self, command: str, stack: str, *options: str, expect: int = 0) -> str:
        """Run ``up``, ``preview``, ``refresh`` or ``destroy``."""
        known = ("--stack", stack, "--state", self.state)
        return run("local", command, *known, *options, expect=expect, cwd=self.folder)

    def start_acceptance(self, stack: str) -> Process:
        """Start the acceptance suite."""
        return self._start_suite("tests/acceptance", stack)

    def start_features(self, stack: str, receiver_url: str) -> Process:
        """Start the suite of features."""
        return self._start_suite("tests/features", stack, "--receiver", receiver_url)

    def _start_suite(self, suite: str, stack: str, *options: str) -> Process:
        arguments = ("-p", "no:cacheprovider", suite, "--stack", stack, "--state", self.state, *options)
        return start("pytest", *arguments, cwd=self.folder)


def failures(running: dict[str, Process]) -> list[str]:
    """Wait for suites; tell which did not pass, and print what they printed."""
    failed: list[str] = []
    for stack, suite in running.items():
        output, _ = suite.communicate(timeout=SUITE_SECONDS)
        if suite.returncode != 0 or " passed" not in output:
            failed.append(stack)
            print(f"--- {stack}\n{output}")
    return failed

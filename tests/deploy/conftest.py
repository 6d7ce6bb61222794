"""A program in a temporary folder, a stand-in API, and the deploy between them."""

import io
import json
import re
import textwrap
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from local.pulumi.deployment import Deployment, Outcome
from local.pulumi.display import ConsoleDisplay
from local.pulumi.outputs import read_outputs
from local.pulumi.target import Target
from tests.deploy.stand_in_api import TOKEN, StandInApi

PROJECT = "sample"
STACK = "local"


def is_real(item: dict[str, Any]) -> bool:
    """Whether a resource of the state is one of the program's, and no provider that the engine starts by itself."""
    return item["custom"] and not item["urn"].rpartition("::")[2].startswith("default")


class Stack:
    """A program, its state and the API: `deploy("up")` runs a command on them; `target` is another API."""

    def __init__(self, folder: Path, api: StandInApi, target: Target | None = None) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.api = api
        self._target = target or Target(api.base_url, TOKEN)
        self.allow_data_loss = False
        self.shown = ""
        self.write("Pulumi.yaml", "name: sample\nruntime: python\n")
        self.configure("")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def configure(self, lines: str) -> None:
        """Write the stack's configuration (`key: value` lines)."""
        text = f"cloudflare:baseUrl: http://127.0.0.1:1/client/v4\n{textwrap.dedent(lines)}"
        self.write(f"Pulumi.{STACK}.yaml", f"config:\n{textwrap.indent(text, '  ')}")

    def program(self, text: str) -> None:
        """Write the program; the usual names are imported."""
        head = f"import pulumi\nimport pulumi_cloudflare as cf\n\nACCOUNT = {'0' * 32!r}\n"
        self.write("__main__.py", head + textwrap.dedent(text))

    def deploy(self, command: str) -> Outcome:
        stream = io.StringIO()
        display = ConsoleDisplay(stream)
        with Deployment(self.folder, STACK, self.state_dir, self._target, display, self._confirm) as deployment:
            outcome: Outcome = getattr(deployment, command)()
        self.shown = stream.getvalue()
        return outcome

    def _confirm(self, _lost: list[str]) -> bool:
        return self.allow_data_loss

    def up(self) -> Outcome:
        """Run `up`, and demand success."""
        outcome = self.deploy("up")
        assert outcome.errors == [], outcome.trace
        return outcome

    @property
    def outputs(self) -> dict[str, Any]:
        return read_outputs(self.state_dir, STACK)

    @property
    def state_path(self) -> Path:
        return self.state_dir / "stacks" / PROJECT / f"{STACK}.json"

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.state_path.read_text())["deployment"]

    def deployed(self) -> list[str]:
        """Name the custom resources of the state, in its order."""
        return [item["urn"].rpartition("::")[2] for item in self.state["resources"] if is_real(item)]

    def lines(self, sign: str) -> list[str]:
        """Name the resources on the shown lines with this sign, in order."""
        return re.findall(rf"^ {re.escape(f'{sign:<2}')} \w+ +\w+ +(\S+)", self.shown, re.MULTILINE)


@pytest.fixture
def api() -> Generator[StandInApi]:
    api = StandInApi()
    yield api
    api.close()


@pytest.fixture
def stack(tmp_path: Path, api: StandInApi) -> Stack:
    return Stack(tmp_path, api)

"""The running API does what its description says: schemathesis sends what it allows, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.pulumi.outputs import read_outputs
from tests.commands.command import run
from tests.journey.project import Project, local_cloudflare

STACK = "described"
TOKEN = "token-of-the-described-stack-0123456789"  # noqa: S105
CONFIG = Path(__file__).parent / "schemathesis.toml"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a deployed stack that asks for a token."""
    state = tmp_path_factory.mktemp("cloudflare")
    project = Project(tmp_path_factory.mktemp("project"), state)
    project.configure(STACK, state_store="d1", engine="queue", api_tokens=TOKEN)
    with local_cloudflare(state):
        project.deploy("up", STACK)
        yield str(read_outputs(state, STACK)["url"])


def test_the_api_does_what_its_description_says(url: str) -> None:
    printed = run(
        "schemathesis.cli", "--config-file", CONFIG, "run", f"{url}/openapi.json",
        "--header", f"Authorization: Bearer {TOKEN}", "--no-color",
    )  # fmt: skip
    assert re.search(r"Selected: (\d+)/\1\n +Tested: \1\n", printed), printed
    for phase in ("Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in printed, printed

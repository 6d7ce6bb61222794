"""The dashboard of deployed stacks with tokens, in a real browser that signs in and does what an operator does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from local.pulumi.outputs import read_outputs
from tests.commands.command import COMMAND_SECONDS, ROOT
from tests.journey.project import Project, local_cloudflare

TOKEN = "token-of-the-stack-with-a-page-0123456789"  # noqa: S105
COMBINATIONS = {"queue": ("d1", "dev"), "workflow": ("durable-object", "stg")}
"""A store and an environment for each engine."""

GATE_HANDLER = """
/** Fails, or waits for what does not come. */
export default async function gate(payload, { progress, signal }) {
  if (payload !== 'wait') throw new RangeError('the gate is shut');
  progress(40, 'at the gate');
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}
"""


def node(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Node.js in the repository's folder."""
    program = shutil.which("node")
    assert program is not None
    return subprocess.run(  # noqa: S603
        [program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    browser = node("tests/page/chromium.js")
    if browser.stderr:
        (pytest.fail if browser.returncode else pytest.skip)(browser.stderr)
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield Project(tmp_path_factory.mktemp("project"), state, {"gate.js": GATE_HANDLER})


@pytest.mark.parametrize("engine", COMBINATIONS)
def test_an_operator_works_with_the_page(project: Project, engine: str) -> None:
    store, env = COMBINATIONS[engine]
    project.configure(engine, state_store=store, engine=engine, env=env, api_tokens=TOKEN)
    project.deploy("up", engine)
    url = str(read_outputs(project.state, engine)["url"])
    done = node("--test", "tests/page/deployed.js", URL=url, TOKEN=TOKEN, ENGINE=engine)
    assert done.returncode == 0, done.stdout
    assert "pass 6" in done.stdout, done.stdout

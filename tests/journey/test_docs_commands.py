"""Runs the commands of the documents on a local stack, as they are printed, in the order of each page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.pulumi.outputs import read_outputs
from ops.client import TaskRunnerClient
from tests.commands.command import ROOT, run
from tests.journey.project import Project, local_cloudflare

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMAND_SECONDS = 120

ELSEWHERE = {
    r"\bpulumi\b|ops (deploy|teardown|former)\b|tests\.account|CLOUDFLARE_API_TOKEN=\.\.\.|wrangler d1": (
        "needs a real account, or a terminal; tests/journey/test_deploy.py and test_ops.py run these on local stacks"
    ),
    r"\bmake\b|pip install": "installs, or is what the first test of a clone runs",
    r"cloudflare-local|terraform|npx wrangler|TF_VAR|PYTHONPATH|127\.0\.0\.1:9781/": (
        "tests/wrangler/test_guide.py runs these"
    ),
    r"curl --resolve": "tests/local/test_zones.py asks by that name",
    r"local/faults ": "tests/local/test_faults.py asks the route",
    r"header.*SECRET|http&param.url=|callbackUrl=|--callback-url": (
        "calls a host that is not there; tests/features has a receiver"
    ),
    r"ops event ": "needs a task with steps; tests/features sends events",
    r"dlq purge": "asks first; tests/journey/test_ops.py says yes",
    r"handler=(sync|report)|--handler report|thumbnails-7|01a2044f-": (
        "needs the handlers and tasks of the page; tests/features has such ones"
    ),
    r"actions stop ID": "needs an action that runs; tests/worker/actions.test.js stops one",
}
"""Commands that are not run here, by what they have in them, with the reason."""

MAY_FAIL = {"ops cancel ID", "ops retry --status failed", "ops dlq show ID"}
"""Whose task may be in another state by then: that is said in one line, with exit code 1."""


def commands(page: Path) -> list[str]:
    """Return a page's commands: what follows a ``$``, with its further lines, without comments and answers."""
    blocks = re.findall(r"```(?:console|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    found = [
        each
        for block in blocks
        for each in re.findall(r"^ *\$ ((?:.*\\\n|.*'[^'\n]*\n(?=    ))*.*)$", block, re.MULTILINE)
    ]
    return [re.sub(r"\s{2,}# .*$", "", each) for each in found]


def runs_here(command: str) -> bool:
    return not any(re.search(pattern, command) for pattern in ELSEWHERE)


HERE = {page: [each for each in commands(page) if runs_here(each)] for page in PAGES}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The stack `local` in a folder of its own, with the handler that the README writes."""
    folder = tmp_path_factory.mktemp("project")
    source = re.findall(r"```js\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    project = Project(folder, folder / ".local", handlers={"count.js": source})
    (folder / "README.md").write_text("some words")
    with local_cloudflare(project.state):
        project.configure("local", env="dev", priorities=True)
        project.deploy("up", "local")
        yield project


def test_there_are_commands_to_run() -> None:
    assert sum(map(len, HERE.values())) > 25


def test_every_reason_is_still_needed() -> None:
    everything = [each for page in PAGES for each in commands(page)]
    assert [pattern for pattern in ELSEWHERE if not any(re.search(pattern, each) for each in everything)] == []


@pytest.mark.parametrize("page", [page for page, found in HERE.items() if found], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(project: Project, page: Path) -> None:
    url = str(read_outputs(project.state)["url"])
    with TaskRunnerClient(url) as client:
        task_id = client.submit({"a": 1}).task_id
        client.wait(task_id, timeout_seconds=60)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "url": url}
    lines = [re.sub(r"\bID\b", task_id, each.replace("my-consumer", "task-runner-dev")) for each in HERE[page]]
    lines = [f"url={url}" if each.startswith("url=") else each for each in lines]
    for command, line in zip(HERE[page], lines, strict=True):
        if command.startswith("id="):
            line = f"{line} && echo $id > id"
        script = f"[ -f id ] && id=$(cat id)\n{line}"
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", script],
            cwd=project.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = f"{line}\n{done.stdout}{done.stderr}"
        may_fail = any(each in command for each in MAY_FAIL)
        assert done.returncode in ({0, 1} if may_fail else {0}), said
        assert "Traceback" not in said
        assert not done.stdout.startswith('{"error"'), said
    run("local", "faults", "clear", "--state", project.state)

"""Node is killed at each named moment of a start, under a control plane that starts too: nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import local
from local.cli import instance
from local.cli.log_file import log_path
from tests.local.rest import Rest, eventually

MESSAGES = 5


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    state_dir = tmp_path / "state"
    yield state_dir
    instance.stop(state_dir)


def moments() -> list[str]:
    """Read the moments' names where they are declared."""
    source = (Path(local.__file__).parent / "runtime" / "fault_points.js").read_text()
    declared = source[source.index("@typedef") : source.index("FaultPoint\n")]
    return re.findall(r"'([a-z: ]+)'", declared)


def test_node_killed_at_each_moment_of_a_start(
    state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    monkeypatch.setenv("EPHEMERA_FAULT_POINTS", str(faults))
    running, _ = instance.start(state_dir, port=0)
    with Rest(running) as rest:
        queue = rest.queue()
        path = f"/queues/{queue['queue_id']}"
        for number in range(MESSAGES):
            rest.result("POST", f"{path}/messages", {"body": {"number": number}, "content_type": "json"})
    for moment in moments():
        instance.stop(state_dir)
        (faults / moment).touch()
        running, _ = instance.start(state_dir)
        assert list(faults.iterdir()) == [], f"a start does not pass '{moment}'"
        with Rest(running) as rest:
            backlog = eventually(lambda: rest.result("GET", f"{path}/metrics")["backlog_count"])
        assert backlog == MESSAGES, f"killed at '{moment}'"
    lines = [json.loads(line) for line in log_path(state_dir).read_text().splitlines()]
    assert sum("is started again" in line["message"] for line in lines) == len(moments())

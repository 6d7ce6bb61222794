"""What people see."""

import io
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from local.pulumi import display as display_module
from local.pulumi.diff import Change
from local.pulumi.display import ConsoleDisplay, brief, describe, output_lines, summary
from local.pulumi.errors import DeployError
from local.pulumi.outputs import read_outputs
from local.pulumi.state import Resource, State
from local.pulumi.state_file import StateFile
from local.pulumi.steps import Action, Step
from local.pulumi.urn import STACK_TYPE
from local.pulumi.wire import UNKNOWN, secret

QUEUE_URN = "urn:pulumi:local::sample::cloudflare:index/queue:Queue::queue"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    display = ConsoleDisplay(terminal)
    step = Step(Action.CREATE, QUEUE_URN)
    with display.watching():
        display.started(step)
        time.sleep(0.25)
        display.finished(step, 0.25)
    shown = terminal.getvalue()
    assert re.search(r"\r\x1b\[2K. creating Queue queue 0\.\d s", shown)
    assert "\x1b[32m +  create  \x1b[0m Queue                queue                              0.25 s\n" in shown
    assert shown.endswith("\r\x1b[2K")


def test_without_a_terminal_there_are_plain_lines_and_a_reminder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_module, "_REMINDER_SECONDS", 0.2)
    stream = io.StringIO()
    display = ConsoleDisplay(stream)
    step = Step(Action.UPDATE, QUEUE_URN, (Change(("settings", "deliveryDelay"), 1, 2),))
    with display.watching():
        display.started(step)
        time.sleep(0.35)
        display.finished(step, 0.35)
    assert stream.getvalue().splitlines() == [
        "    updating Queue queue … 0 s",
        " ~  update   Queue                queue                              0.35 s",
        "       ~ settings.deliveryDelay: 1 → 2",
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change(("name",), "a", "b", replaces=True), '~ name: "a" → "b" (replaces)'),
        (Change(("name",), None, "b"), '+ name: "b"'),
        (Change(("name",), "a", None), '- name: "a"'),
        (Change(("name",), "a", "b", secret=True), "~ name: [secret] changed"),
        (Change(("items", 0, "id"), "a", UNKNOWN), '~ items[0].id: "a" → (known after up)'),
    ],
)
def test_changes(change: Change, text: str) -> None:
    assert describe(change) == text


def test_values_are_short_and_secrets_hidden() -> None:
    assert brief({"a": secret("x"), "b": [1, UNKNOWN]}) == '{"a": "[secret]", "b": [1, (known after up)]}'
    assert brief("x" * 100) == f'"{"x" * 59}… (102 characters)'
    assert output_lines({"b": secret("x"), "long": "1", "a": True}) == [
        "Outputs:",
        "  a     true",
        "  b     [secret]",
        "  long  1",
    ]


def test_summaries() -> None:
    tally = Counter({Action.CREATE: 2, Action.SAME: 3})
    assert summary(tally, foretold=False, complete=True) == "2 created, 3 unchanged"
    assert summary(tally, foretold=True, complete=True) == "2 to create, 3 unchanged"
    assert summary(Counter({Action.SAME: 3}), foretold=False, complete=True) == "3, nothing changed"
    assert summary(Counter({Action.SAME: 3}), foretold=False, complete=False) == "3 unchanged"
    assert summary(Counter(), foretold=False, complete=True) == "none"
    assert summary(Counter(), foretold=False, complete=False) == "nothing changed"


def test_outputs_of_one_stack_among_several(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="stack local is not deployed"):
        read_outputs(tmp_path)
    for project in ("one", "two"):
        stack = Resource(f"urn:pulumi:local::{project}::{STACK_TYPE}::stack", STACK_TYPE, custom=False)
        state = State([stack], outputs={"project": secret(project)})
        StateFile(tmp_path, project, "local").save(state)
    with pytest.raises(DeployError, match=r"several projects have a stack local in .*: one, two; name one"):
        read_outputs(tmp_path)
    assert read_outputs(tmp_path, project="two") == {"project": "two"}

"""Which program deploys a stack, and how its previews are read: the Pulumi CLI's by what a stand-in prints."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.command_line import main
from ops.deployed_stack import NotReadyError
from ops.deployer import PulumiCli, find_deployer
from ops.planned_change import Step

URN = "urn:pulumi:dev::ephemera::cloudflare:index/queue:Queue::task-runner-queue"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two stacks, of a real account and of this machine; no Pulumi CLI is on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: ephemera\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  ephemera:env: dev\n")
    (tmp_path / "Pulumi.local.yaml").write_text("config:\n  cloudflare:baseUrl: http://127.0.0.1:1/client/v4\n")
    return tmp_path


def cli_that_prints(project: Path, stdout: str, stderr: str = "", code: int = 0) -> None:
    """Put a `pulumi` on the path, which notes its arguments."""
    script = f"""#!{sys.executable}
import sys
open({str(project / "arguments")!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
sys.stdout.write({stdout!r})
sys.stderr.write({stderr!r})
sys.exit({code})
"""
    file = project / "bin" / "pulumi"
    file.write_text(script)
    file.chmod(0o700)


def find(stack: str, state: Path, *, with_pulumi: bool = False) -> Any:
    return find_deployer(stack, state, with_pulumi=with_pulumi, output_to_stderr=True)


def test_a_stack_of_an_account_needs_the_cli(project: Path) -> None:
    with pytest.raises(NotReadyError, match="needs the Pulumi CLI, and there is no `pulumi` on the path: https://"):
        find("dev", project / "state")
    cli_that_prints(project, "v3.274.1\n")
    assert find("dev", project / "state").name == "pulumi v3.274.1"


def test_a_local_stack_needs_the_local_cloudflare_and_no_cli(project: Path) -> None:
    with pytest.raises(NotReadyError, match=r"run `python -m local start --state .* first"):
        find("local", project / "state")
    cli_that_prints(project, "v3.274.1\n")
    assert isinstance(find("local", project / "state", with_pulumi=True), PulumiCli)


def test_an_unknown_stack_is_told_with_those_that_there_are(project: Path) -> None:
    with pytest.raises(NotReadyError, match=r"there is no Pulumi\.nope\.yaml \(known stacks: dev, local\)"):
        find("nope", project / "state")
    (project / "Pulumi.yaml").unlink()
    with pytest.raises(NotReadyError, match="run this where the program is"):
        find("dev", project / "state")


def test_a_preview_s_steps_are_read(project: Path) -> None:
    steps = [
        {"op": "same", "urn": URN},
        {"op": "update", "urn": URN, "detailedDiff": {"settings.deliveryDelay": {"kind": "update"}}},
        {"op": "create-replacement", "urn": URN, "detailedDiff": None, "diffReasons": ["queueName"]},
    ]
    cli_that_prints(project, json.dumps({"steps": steps}))
    assert find("dev", project).preview() == [
        Step("same", URN),
        Step("update", URN, ("settings.deliveryDelay",)),
        Step("create-replacement", URN, ("queueName",)),
    ]
    assert "preview --stack dev --non-interactive --json\n" in (project / "arguments").read_text()


def test_a_refused_preview_says_why(project: Path) -> None:
    """Recorded: prod without an account and a token tells both problems at once, as diagnostics."""
    message = "2 problems in the config of stack prod:\n  account_id: expected ...\n  api_tokens: expected ..."
    diagnostics = [{"message": "a warning", "severity": "warning"}, {"message": message, "severity": "error"}]
    cli_that_prints(project, json.dumps({"diagnostics": diagnostics}), "stderr", 255)
    with pytest.raises(NotReadyError) as refused:
        find("dev", project).preview()
    assert str(refused.value) == message
    cli_that_prints(project, "", "error: no stack named 'dev' found", 255)
    with pytest.raises(NotReadyError, match="no stack named 'dev' found"):
        find("dev", project).preview()


def test_a_failed_up_is_told(project: Path) -> None:
    cli_that_prints(project, "", "error: update failed", 255)
    with pytest.raises(NotReadyError, match=r"`pulumi up --stack dev .*` failed with exit code 255"):
        find("dev", project).up(delete_data=False)


def test_a_stack_without_a_state_has_no_resources(project: Path) -> None:
    cli_that_prints(project, "", "error: no stack named 'dev' found", 255)
    assert find("dev", project).resources() == []
    resources = [
        {"urn": URN, "type": "cloudflare:index/queue:Queue", "custom": True},
        {"urn": "urn::stack", "type": "pulumi:pulumi:Stack", "custom": False},
        {"urn": URN, "type": "cloudflare:index/queue:Queue", "custom": True, "delete": True},
    ]
    cli_that_prints(project, json.dumps({"version": 3, "deployment": {"resources": resources}}))
    assert find("dev", project).resources() == resources[:1]


@pytest.mark.parametrize("words", [["deploy"], ["teardown"], ["deploy", "--json"]])
def test_without_a_terminal_and_without_yes_nothing_begins(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    cli_that_prints(project, "")
    assert main([*words, "--stack", "dev"]) == 2
    assert "nobody can be asked here: run this in a terminal, or with --yes" in capsys.readouterr().err
    assert not (project / "arguments").exists()


class Terminal:
    """Somebody who types a line."""

    def __init__(self, line: str) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{self.line}\n"


@pytest.mark.parametrize(
    ("operation", "asked", "answer"),
    [("create", "yes", "no"), ("create", "yes", ""), ("delete", "dev", "yes"), ("delete", "dev", "Dev")],
)
def test_another_answer_than_the_one_asked_for_touches_nothing(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    asked: str,
    answer: str,
) -> None:
    cli_that_prints(project, json.dumps({"steps": [{"op": operation, "urn": URN}], "deployment": {}}))
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["deploy", "--stack", "dev"]) == 1
    printed = capsys.readouterr().err
    assert f"Type '{asked}' to do this to stack dev" in printed
    assert "nothing was touched" in printed
    assert " up " not in (project / "arguments").read_text()


def test_yes_alone_deletes_no_data(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli_that_prints(project, json.dumps({"steps": [{"op": "delete", "urn": URN}], "deployment": {}}))
    assert main(["deploy", "--stack", "dev", "--yes"]) == 2
    assert "would delete Queue task-runner-queue with the data" in capsys.readouterr().err
    assert " up " not in (project / "arguments").read_text()


def test_nothing_is_torn_down_where_nothing_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli_that_prints(project, "", "error: no stack named 'dev' found", 255)
    assert main(["teardown", "--stack", "dev", "--yes"]) == 1
    assert "stack dev has nothing" in capsys.readouterr().err

"""The state is Pulumi's own checkpoint; what would lose data is asked; providers are the instance's."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.pulumi import checkpoint
from local.pulumi.cloudflare_types.rest_type import RestType
from local.pulumi.data_loss import lost_data
from local.pulumi.errors import DeployError
from local.pulumi.stack_config import load_config, set_value
from local.pulumi.state import PendingOperation, Resource, State
from local.pulumi.state_file import StateFile
from local.pulumi.wire import secret
from tests.deploy.conftest import Stack

MARK = "4dabf18193072939515e22adb298388d"
STACK_URN = "urn:pulumi:local::sample::pulumi:pulumi:Stack::sample-local"
QUEUE_URN = "urn:pulumi:local::sample::cloudflare:index/queue:Queue::queue"


def sample() -> State:
    stack = Resource(STACK_URN, "pulumi:pulumi:Stack", custom=False)
    queue = Resource(
        QUEUE_URN,
        "cloudflare:index/queue:Queue",
        custom=True,
        id="q1",
        inputs={"queueName": "queue", "token": secret({"a": ["b"]})},
        outputs={"queueId": "q1"},
        parent=STACK_URN,
        dependencies=[STACK_URN],
        property_dependencies={"queueName": [STACK_URN]},
        protect=True,
        retain_on_delete=True,
    )
    pending = PendingOperation("update", queue, "2026-11-29T00:00:00+00:00")
    return State([stack, queue], [pending], {"url": "http://x", "key": secret("hush")})


def test_it_is_the_format_of_the_cli() -> None:
    document = checkpoint.write(sample(), "local", "sample")
    assert document["version"] == 3
    provider, stack, queue = document["deployment"]["resources"]
    assert provider["type"] == "pulumi:providers:cloudflare"
    assert provider["urn"].rpartition("::")[2].startswith("default_")
    assert queue["provider"] == f"{provider['urn']}::{provider['id']}"
    assert queue["propertyDependencies"] == {"queueName": [STACK_URN]}
    assert (queue["protect"], queue["retainOnDelete"], queue["parent"]) == (True, True, STACK_URN)
    sealed = queue["inputs"]["token"]
    assert sealed == {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": '{"a": ["b"]}',
    }
    assert stack["outputs"]["key"]["plaintext"] == '"hush"'
    [pending] = document["deployment"]["pending_operations"]
    assert (pending["type"], pending["resource"]["urn"]) == ("updating", QUEUE_URN)
    json.dumps(document)


def test_it_comes_back_as_it_was() -> None:
    written = json.loads(json.dumps(checkpoint.write(sample(), "local", "sample")))
    read = checkpoint.read(written)
    expected = sample()
    expected.resources[0].outputs = expected.outputs
    assert read == expected


def test_encrypted_secrets_are_the_cli_s() -> None:
    document = checkpoint.write(sample(), "local", "sample")
    sealed = document["deployment"]["resources"][2]["inputs"]["token"]
    sealed["ciphertext"] = sealed.pop("plaintext")
    with pytest.raises(DeployError, match="--show-secrets"):
        checkpoint.read(document)


def test_the_format_of_older_releases_is_read_and_written_anew(stack: Stack) -> None:
    stack.program('cf.Queue("queue", account_id=ACCOUNT, queue_name="queue")')
    stack.up()
    state = StateFile(stack.state_dir, "sample", "local").load()
    old = {
        "version": 1,
        "resources": [vars(resource) for resource in state.resources],
        "pending": [],
        "outputs": state.outputs,
    }
    stack.state_path.write_text(json.dumps(old))
    assert {action.value for action in stack.up().tally} == {"same"}
    assert json.loads(stack.state_path.read_text())["version"] == 3


def test_what_the_cli_has_written_goes_on_here(stack: Stack) -> None:
    """The CLI leaves out what is empty, and adds fields of its own."""
    stack.program('cf.Queue("queue", account_id=ACCOUNT, queue_name="queue")')
    stack.up()
    document = json.loads(stack.state_path.read_text())
    for item in document["deployment"]["resources"]:
        item |= {"created": "2026-11-29T00:00:00Z", "modified": "2026-11-29T00:00:00Z", "sourcePosition": "project:///"}
    document["deployment"] |= {"secrets_providers": {"type": "passphrase"}, "pending_operations": None}
    stack.state_path.write_text(json.dumps(document))
    assert {action.value for action in stack.up().tally} == {"same"}


def lossy(stack: Stack) -> State:
    return StateFile(stack.state_dir, "sample", "local").load()


def test_a_store_with_data_is_not_deleted_unasked(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.program('cf.Queue("queue", account_id=ACCOUNT, queue_name="queue")')
    stack.up()
    held = "5 messages"

    def contents(_type: RestType, _resource: Resource, _planned: object) -> str:
        return held

    monkeypatch.setattr(RestType, "contents", contents)
    stack.program("")
    outcome = stack.deploy("up")
    assert outcome.errors == ["nothing was touched: it would delete data: Queue queue (5 messages)"]
    assert stack.deployed() == ["queue"]
    held = ""
    stack.up()
    assert stack.deployed() == []


def test_what_is_retained_or_gone_loses_nothing(stack: Stack) -> None:
    assert lost_data([], lossy(stack), lossy(stack), None) == []  # pyright: ignore[reportArgumentType] nothing is asked


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('api_token="x" * 40', "none, which is Cloudflare itself"),
        ('base_url="https://api.cloudflare.com/client/v4", api_token="x" * 40', "https://api.cloudflare.com/client/v4"),
        ('base_url=BASE, api_token="x" * 40', "must have the token"),
        ('base_url=BASE, api_key="x" * 37, email="a@example.com"', "apiKey, email"),
    ],
)
def test_a_provider_of_another_api_is_refused(stack: Stack, arguments: str, problem: str) -> None:
    stack.program(f"""
        BASE = pulumi.Config("cloudflare").require("baseUrl")
        provider = cf.Provider("mine", {arguments})
        cf.Queue("queue", account_id=ACCOUNT, queue_name="queue", opts=pulumi.ResourceOptions(provider=provider))
    """)
    outcome = stack.deploy("up")
    assert any(problem in error for error in outcome.errors), outcome.errors
    assert stack.api.calls == []


def test_a_changed_module_is_told_by_its_name(stack: Stack) -> None:
    def deploy(mark: str, extra: str = "") -> None:
        code = f"export default {{ fetch() {{ return new Response('{mark}') }} }}"
        stack.write("index.js", code)
        stack.program(f"""
            import base64
            worker = cf.Worker("worker", account_id=ACCOUNT, name="worker")
            text = base64.b64encode({code!r}.encode()).decode()
            kind = "application/javascript+module"
            cf.WorkerVersion("version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", modules=[
                {{"name": "index.js", "content_base64": text, "content_type": kind}},
                {{"name": "file.js", "content_file": "index.js", "content_type": kind}},
                {extra}
            ])
        """)
        stack.up()

    deploy("one")
    deploy("two", '{"name": "new.js", "content_base64": text, "content_type": kind},')
    assert "~ module index.js: its code changed" in stack.shown
    assert "~ module file.js: its code changed" in stack.shown
    assert "+ module new.js" in stack.shown
    assert "base64" not in stack.shown.lower()
    assert hashlib.sha256(b"").hexdigest()[:8] not in stack.shown


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("config:\n  a:b: 1\n", "sample:c", "text", "config:\n  sample:c: text\n  a:b: 1\n"),
        (
            "# note\nconfig:\n  sample:c: old # why\nother: x\n",
            "c",
            "true",
            "# note\nconfig:\n  sample:c: true\nother: x\n",
        ),
        ("config:\n  sample:c:\n    - a\n    - b\n  a:b: 1\n", "c", "5", "config:\n  sample:c: 5\n  a:b: 1\n"),
        ("", "c", "a: b # c", 'config:\n  sample:c: "a: b # c"\n'),
        ("config: {}\n", "c", "x", "config:\n  sample:c: x\n"),
        ('config:\n  "sample:c": old\n', "c", "null", 'config:\n  sample:c: "null"\n'),
    ],
)
def test_a_value_is_set_and_nothing_else_changes(tmp_path: Path, before: str, key: str, value: str, after: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: sample\nruntime: python\n")
    (tmp_path / "Pulumi.local.yaml").write_text(before)
    set_value(tmp_path, "local", key, value)
    assert (tmp_path / "Pulumi.local.yaml").read_text() == after
    assert load_config(tmp_path, "local").values["sample:c"] == value


def test_a_missing_value_names_the_command_that_sets_it(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: sample\nruntime: python\nconfig:\n  size: {type: integer}\n")
    (tmp_path / "Pulumi.local.yaml").write_text("config: {}\n")
    with pytest.raises(DeployError, match=r"`python -m local config set size VALUE` sets it"):
        load_config(tmp_path, "local")
    run = [sys.executable, "-m", "local", "config", "set", "size", "3"]
    environment: dict[str, Any] = {"PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)}
    subprocess.run(run, cwd=tmp_path, env=environment, check=True)  # noqa: S603 our own command
    assert load_config(tmp_path, "local").values["sample:size"] == "3"

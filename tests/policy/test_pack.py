"""The policy pack passes what the program declares, and finds each thing that is wrong with it."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from tests.unit.recorded_stack import record_task_runner

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "policy" / "venv" / "bin" / "python"
TOKENS = [{"name": "ci", "token": "x" * 32}]
Resources = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The program's folder: modules for the upload are written there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("program"))
        yield


def declared(**settings: Any) -> Resources:
    stack = record_task_runner(api_tokens=TOKENS, **settings)
    return [
        {"kind": each.type, "name": name, "props": plain(each.inputs), "protect": each.protect}
        for name, each in stack.resources.items()
    ]


def plain(value: Any) -> Any:
    """Give what a policy sees: secrets are plain there."""
    known: Any = unwrap_rpc_secret(value) if is_rpc_secret(value) else value
    if isinstance(known, dict):
        return {str(key): plain(each) for key, each in cast("dict[Any, Any]", known).items()}
    return [plain(each) for each in cast("list[Any]", known)] if isinstance(known, list) else known


def violations(resources: Resources, **config: dict[str, Any]) -> list[list[str]]:
    assert PYTHON.exists(), "run `make test-policy`, which makes the pack's environment"
    done = subprocess.run(  # noqa: S603
        [PYTHON, ROOT / "tests" / "policy" / "call_pack.py"],
        input=json.dumps({"resources": resources, "config": config}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert len(answer["policies"]) == 7
    return answer["violations"]


@pytest.mark.parametrize(
    ("store", "engine", "env"),
    [("d1", "queue", "prod"), ("kv", "workflow", "uat"), ("durable-object", "queue", "prod")],
)
def test_what_the_program_declares_passes(store: str, engine: str, env: str) -> None:
    assert violations(declared(state_store=store, engine=engine, env=env)) == []


def the(resources: Resources, name: str) -> dict[str, Any]:
    return next(each for each in resources if each["name"] == f"task-runner-{name}")


def without_dead_letter_queue(resources: Resources) -> None:
    del the(resources, "consumer")["props"]["deadLetterQueue"]


def unprotected(resources: Resources) -> None:
    the(resources, "db")["protect"] = False


def without_tokens(resources: Resources) -> None:
    bindings = the(resources, "version")["props"]["bindings"]
    bindings[:] = [each for each in bindings if each["name"] != "API_TOKENS"]


def plain_tokens(resources: Resources) -> None:
    (tokens,) = (each for each in the(resources, "version")["props"]["bindings"] if each["name"] == "API_TOKENS")
    tokens["type"] = "plain_text"


def short_dead_letters(resources: Resources) -> None:
    the(resources, "dlq")["props"]["settings"]["messageRetentionPeriod"] = 86_400


def strange_name(resources: Resources) -> None:
    the(resources, "queue")["props"]["queueName"] = "task-runner-queue"


def other_environment(resources: Resources) -> None:
    the(resources, "queue")["props"]["queueName"] = "task-runner-queue-dev"


def without_logs(resources: Resources) -> None:
    the(resources, "worker")["props"]["observability"]["logs"]["enabled"] = False


def no_invocation_logged(resources: Resources) -> None:
    the(resources, "worker")["props"]["observability"]["logs"]["headSamplingRate"] = 0


@pytest.mark.parametrize(
    ("spoil", "policy", "words"),
    [
        (without_dead_letter_queue, "dead-letter-queue", "expected a dead-letter queue"),
        (unprotected, "protected-stores", "expected task-runner-db-prod to be protected in prod"),
        (without_tokens, "tokens", "expected api_tokens"),
        (plain_tokens, "tokens", "expected API_TOKENS to be bound as secret_text, got plain_text"),
        (short_dead_letters, "retention", "expected dlq_message_retention_seconds of at least 345600, got 86400"),
        (strange_name, "names", "expected the name task-runner-queue to end in one of dev, stg, uat, prod"),
        (other_environment, "names", "expected one environment in a stack, got dev, prod"),
        (without_logs, "observability", "expected observability with logs"),
        (no_invocation_logged, "observability", "expected log_sampling_rate above 0, got 0"),
    ],
)
def test_each_fault_is_found(spoil: Callable[[Resources], None], policy: str, words: str) -> None:
    resources = copy.deepcopy(declared(env="prod"))
    spoil(resources)
    ((found, problem),) = violations(resources)
    assert (found, problem[: len(words)]) == (policy, words)


def test_objects_of_prod_are_protected_by_their_worker() -> None:
    resources = declared(state_store="durable-object", env="prod")
    the(resources, "worker")["protect"] = False
    assert violations(resources) == [
        ["protected-objects", "expected task-runner-prod to be protected in prod: its Durable Objects hold tasks"]
    ]


def test_what_is_meant_to_be_so_is_said_in_the_pack_s_config() -> None:
    resources = declared(env="prod")
    for spoil in (unprotected, without_tokens, short_dead_letters):
        spoil(resources)
    config: dict[str, dict[str, Any]] = {
        "protected-stores": {"former": ["task-runner-db-prod"]},
        "tokens": {"public": True},
        "retention": {"deadLetterMinimumSeconds": 86_400},
    }
    assert violations(resources, **config) == []

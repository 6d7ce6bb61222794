"""Settings may be outputs: those that are known are checked together, and all of them reach what they are for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from components import TaskRunner, TaskRunnerArgs
from components.task_runner_args import PLAIN, checked
from tests.unit.recorded_stack import ACCOUNT_ID, RecordedStack, record, record_component, task_runner_args

TOKEN = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def declared(settings: Callable[[], dict[str, Any]], **options: Any) -> RecordedStack:
    """Declare a task runner with settings that are made while the program runs."""
    return record_component(
        lambda: TaskRunner("task-runner", task_runner_args(**settings()), pulumi.ResourceOptions(**options))
    )


def out(value: Any) -> pulumi.Output[Any]:
    return pulumi.Output.from_input(value)


def test_outputs_reach_what_they_are_for() -> None:
    stack = declared(
        lambda: {
            "account_id": out(ACCOUNT_ID),
            "max_retries": out(7),
            "max_concurrency": out(0),
            "retry_backoff": out("constant"),
            "delivery_delay_seconds": out(4),
            "cors_origins": [out("https://a.example"), "https://b.example"],
            "domain": out("tasks.example.com"),
            "placement": out("smart"),
            "api_tokens": pulumi.Output.secret([{"name": "ci", "token": TOKEN}]),
            "bindings": out([{"type": "r2_bucket", "name": "IMAGES", "bucket_name": "images"}]),
        }
    )
    assert stack.inputs("task-runner-db")["accountId"] == ACCOUNT_ID
    consumer = stack.inputs("task-runner-consumer")["settings"]
    assert (consumer["maxRetries"], consumer["maxConcurrency"]) == (7, 10), "0 is what the store can bear"
    assert stack.inputs("task-runner-queue")["settings"]["deliveryDelay"] == 4
    assert stack.inputs("task-runner-domain")["hostname"] == "tasks.example.com"
    assert stack.outputs["url"] == "https://tasks.example.com"
    version = stack.inputs("task-runner-version")
    assert version["placement"] == {"mode": "smart"}
    assert is_rpc_secret(version["bindings"])
    bindings = {each["name"]: each for each in unwrap_rpc_secret(version["bindings"])}
    assert json.loads(bindings["MAX_RETRIES"]["json"]) == "7"
    assert json.loads(bindings["CORS_ORIGINS"]["json"]) == "https://a.example https://b.example"
    assert [each["name"] for each in json.loads(bindings["API_TOKENS"]["text"])] == ["ci"]
    assert bindings["IMAGES"]["bucketName"] == "images"


def test_what_is_wrong_with_outputs_is_told_together() -> None:
    with pytest.raises(Exception, match="max_retries: expected a whole number") as raised:
        declared(lambda: {"max_retries": out(101), "retry_backoff": out("linear"), "account_id": out("x")})
    said = str(raised.value)
    assert "account_id: expected a Cloudflare account id (32 hexadecimal digits), got 'x'" in said
    assert "retry_backoff: expected one of exponential, constant, got 'linear'" in said


def test_an_output_that_is_not_known_yet_keeps_no_other_waiting() -> None:
    known: list[Any] = []

    def program() -> None:
        unknown: pulumi.Output[str] = pulumi.Output(set(), _now(None), _now(False), _now(False))  # pyright: ignore[reportArgumentType]
        args = checked(task_runner_args(account_id=unknown, max_retries=out(7)), None)
        out(args.max_retries).apply(known.append)
        out(args.account_id).apply(known.append)

    record(program)
    assert known == [7]


async def _now(value: Any) -> Any:
    return value


@pytest.mark.parametrize("name", PLAIN)
def test_what_decides_which_resources_there_are_is_plain(name: str) -> None:
    def program() -> None:
        settings: dict[str, Any] = {"account_id": ACCOUNT_ID, name: out("d1")}
        TaskRunnerArgs(**settings)

    with pytest.raises(ValueError, match=f"{name}: expected a plain value, got an output"):
        record(program)


@pytest.mark.parametrize(("base_url", "is_open"), [("http://127.0.0.1:8787/client/v4", True), (None, False)])
def test_a_real_account_is_not_open_to_all_whoever_says_which_it_is(base_url: str | None, is_open: bool) -> None:
    def declare() -> TaskRunner:
        provider = cloudflare.Provider("other", api_token="0" * 40, base_url=base_url)
        args = TaskRunnerArgs(account_id=ACCOUNT_ID)
        return TaskRunner("task-runner", args, pulumi.ResourceOptions(providers=[provider]))

    if is_open:
        assert "task-runner-version" in record_component(declare).resources
    else:
        with pytest.raises(Exception, match="api_tokens: expected a token, or public: true"):
            record_component(declare)


@pytest.mark.parametrize(
    "settings",
    [
        {"api_token": "0" * 40},
        {"api_key": "1" * 40, "email": "me@example.com"},
        {"api_user_service_key": "v1.0-2"},
    ],
)
def test_migrations_use_the_credentials_of_the_providers_of_the_component(settings: dict[str, Any]) -> None:
    def declare() -> TaskRunner:
        provider = cloudflare.Provider("other", **settings)
        return TaskRunner("task-runner", task_runner_args(), pulumi.ResourceOptions(provider=provider))

    stack = record_component(declare)
    told = unwrap_rpc_secret(stack.inputs("task-runner-db-migrations")["provider"])
    assert {name: unwrap_rpc_secret(value) for name, value in told.items() if value} == settings
    assert {each.provider for each in stack.resources.values() if each.type.startswith("cloudflare:")} == {"other"}


def test_migrations_of_the_default_provider_find_its_settings_themselves() -> None:
    assert "provider" not in declared(dict).inputs("task-runner-db-migrations")

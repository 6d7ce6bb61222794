"""The setting that lets the Worker read its dead letters: what it declares, and where it is refused."""

import json
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from components.task_runner_args import TaskRunnerArgs
from components.worker_settings import RESERVED_BINDINGS
from tests.unit.recorded_stack import RecordedStack
from tests.unit.test_stack_config import problems, read
from tests.unit.test_task_runner import ACCOUNT_ID, binding, record_task_runner

TOKEN = "a-token-of-cloudflare-which-opens-no-account"  # noqa: S105 it opens nothing
NAMES = {f"DEAD_LETTER_{each}" for each in ("API_TOKEN", "API_URL", "ACCOUNT_ID", "QUEUE_ID")}
LOCAL = {"cloudflare:baseUrl": "http://127.0.0.1:9780/client/v4", "cloudflare:apiToken": TOKEN}


def names(stack: RecordedStack) -> set[str]:
    """Those of the bindings that the setting makes."""
    bindings: list[Any] = unwrap_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    return {each["name"] for each in bindings} & NAMES


@pytest.mark.parametrize("is_output", [False, True])
def test_the_worker_is_given_the_token_as_a_secret_and_its_queue(is_output: bool) -> None:
    token = pulumi.Output.secret(TOKEN) if is_output else TOKEN
    stack = record_task_runner(dead_letter_api_token=token)
    assert is_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    assert binding(stack, "DEAD_LETTER_API_TOKEN") == {
        "type": "secret_text",
        "name": "DEAD_LETTER_API_TOKEN",
        "text": TOKEN,
    }
    assert json.loads(binding(stack, "DEAD_LETTER_ACCOUNT_ID")["json"]) == ACCOUNT_ID
    assert json.loads(binding(stack, "DEAD_LETTER_QUEUE_ID")["json"]) == "task-runner-dlq id"
    assert names(stack) == NAMES - {"DEAD_LETTER_API_URL"}, "Cloudflare's own address need not be said"
    assert TOKEN not in json.dumps(stack.inputs("task-runner"), default=repr), "a preview shows the component's inputs"


def test_without_it_nothing_is_declared() -> None:
    assert names(record_task_runner()) == set()
    assert NAMES < RESERVED_BINDINGS


def test_the_worker_is_told_of_another_address_of_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9780/client/v4"
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", url)
    assert json.loads(binding(record_task_runner(dead_letter_api_token=TOKEN), "DEAD_LETTER_API_URL")["json"]) == url


def test_the_address_is_that_of_the_component_s_provider() -> None:
    def opts() -> pulumi.ResourceOptions:
        provider = cloudflare.Provider("own", base_url="http://127.0.0.1:1/client/v4", api_token="0" * 40)
        return pulumi.ResourceOptions(providers=[provider])

    stack = record_task_runner(opts=opts, dead_letter_api_token=TOKEN)
    assert json.loads(binding(stack, "DEAD_LETTER_API_URL")["json"]) == "http://127.0.0.1:1/client/v4"


def test_a_workflow_has_no_dead_letters_to_read() -> None:
    message = problems(
        {"account_id": ACCOUNT_ID, "engine": "workflow", "dead_letter_api_token": TOKEN, "max_retries": "x"}
    )
    assert "2 problems" in message
    assert (
        "dead_letter_api_token: expected to be unset with engine workflow: "
        "a workflow has no queue, batches or dead letters, got a secret\n"
        "      pulumi config rm dead_letter_api_token --stack test"
    ) in message
    assert TOKEN not in message


@pytest.mark.parametrize("token", ["short", TOKEN + "!", TOKEN * 10, f"{TOKEN} {TOKEN}"])
def test_what_is_no_token_is_refused_and_never_shown(token: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "dead_letter_api_token": token})
    assert "expected an API token of Cloudflare with the permission Queues Edit" in message
    assert "pulumi config set --secret dead_letter_api_token '<API token>' --stack test" in message.replace(
        " <API token> ", " '<API token>' "
    )
    assert token not in message
    with pytest.raises(ValueError, match="got a secret") as raised:
        TaskRunnerArgs(account_id=ACCOUNT_ID, dead_letter_api_token=token)
    assert token not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "provider", "expected"),
    [
        ({}, LOCAL, TOKEN),
        ({"dead_letter_api_token": TOKEN[::-1]}, LOCAL, TOKEN[::-1]),
        ({"engine": "workflow"}, LOCAL, ""),
        ({}, {**LOCAL, "cloudflare:apiToken": "short"}, ""),
        ({}, {"cloudflare:baseUrl": LOCAL["cloudflare:baseUrl"]}, ""),
        ({}, {**LOCAL, "cloudflare:baseUrl": "https://api.cloudflare.com/client/v4"}, ""),
        ({}, {"cloudflare:apiToken": TOKEN}, ""),
    ],
)
def test_on_this_machine_alone_the_deployment_s_token_is_taken(
    config: dict[str, str], provider: dict[str, str], expected: str
) -> None:
    args = read({"account_id": ACCOUNT_ID, "public": "true", **config}, provider=provider)
    assert args.dead_letter_api_token == expected


def test_no_secret_setting_is_among_the_component_s_inputs() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 it is published
    stack = record_task_runner(
        callback_url="https://hook.example/", callback_secrets=[secret], http_allowed_hosts=["*.example"]
    )
    assert secret not in json.dumps(stack.inputs("task-runner"), default=repr)

"""Callbacks: their settings, and what the docs tell a receiver to do."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.rpc import is_rpc_secret

from components.task_runner_args import TaskRunnerArgs
from tests.unit.test_task_runner import binding, record_task_runner

ACCOUNT_ID = "0123456789abcdef0123456789abcdef"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 it is published
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY = b'{"test": 2432232314}'
"""The example that is published with the specification."""


def test_the_worker_is_told_where_to_call_and_its_secrets_stay_secret() -> None:
    stack = record_task_runner(
        callback_url="https://hook.example/ended",
        callback_on=["failed", "cancelled"],
        callback_secrets=[SECRET],
        http_allowed_hosts=["*.example"],
    )
    assert is_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    assert json.loads(binding(stack, "CALLBACK_SECRETS")["text"]) == [SECRET]
    assert json.loads(binding(stack, "CALLBACK_URL")["json"]) == "https://hook.example/ended"
    assert json.loads(binding(stack, "CALLBACK_ON")["json"]) == "failed cancelled"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"callback_url": "https://hook.example/"}, "callback_url: expected a host of http_allowed_hosts"),
        ({"callback_url": "hook.example"}, "callback_url: expected a URL such as"),
        ({"callback_url": "https://a@hook.example/"}, "callback_url: expected a URL such as"),
        ({"callback_on": ["failed"]}, "callback_on: expected to be unset without callback_url"),
        ({"callback_on": ["done"]}, "callback_on: expected a list of at most 3 different ends"),
        ({"callback_secrets": ["secret"]}, "callback_secrets: expected a list of .* got a secret"),
        ({"callback_secrets": ["whsec_c2hvcnQ="]}, "callback_secrets: expected a list of .* got a secret"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TaskRunnerArgs(account_id=ACCOUNT_ID, **settings)


@pytest.mark.parametrize("host", ["hook.example:8443", "*.example:8443"])
def test_the_port_of_a_callback_is_looked_at(host: str) -> None:
    TaskRunnerArgs(account_id=ACCOUNT_ID, callback_url="https://hook.example:8443/x", http_allowed_hosts=[host])
    with pytest.raises(ValueError, match="callback_url: expected a host of http_allowed_hosts"):
        TaskRunnerArgs(account_id=ACCOUNT_ID, callback_url="https://hook.example/x", http_allowed_hosts=[host])


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The function of the docs, at the time of the published example."""
    monkeypatch.setattr(time, "time", lambda: 1614265330 + 10)
    found = re.search(r"^```python\n(.*?)^```", Path("docs/callbacks.md").read_text(), re.MULTILINE | re.DOTALL)
    assert found
    scope: dict[str, Any] = {}
    exec(found[1], scope)  # noqa: S102 it is ours
    return scope["verify"]


def test_a_receiver_in_python_verifies_as_the_docs_say(verify: Callable[..., None]) -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": f"v1,another {SIGNATURE}",
    }
    verify(SECRET, headers, BODY)
    with pytest.raises(ValueError, match="not signed"):
        verify(SECRET, headers, BODY + b" ")
    with pytest.raises(ValueError, match="too old"):
        verify(SECRET, headers | {"webhook-timestamp": "1614264330"}, BODY)

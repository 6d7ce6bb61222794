"""A stack's config is checked as a whole, and each error tells how to mend it."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
import yaml

from components import StackConfigError, TaskRunnerArgs, read_stack_config
from components.rules import WholeNumber
from components.task_runner_args import defaults, rules
from tests.unit.recorded_stack import ACCOUNT_ID, record


def read(
    config: dict[str, str], secret_keys: list[str] | None = None, provider: dict[str, str] | None = None
) -> TaskRunnerArgs:
    """Read a config as the Pulumi CLI hands it over: text by full key."""
    full = {f"ephemera:{key}": value for key, value in config.items()}
    secrets = [f"ephemera:{key}" for key in secret_keys or []]

    def declare() -> TaskRunnerArgs:
        pulumi.runtime.set_all_config({"cloudflare:apiToken": "t", **(provider or {}), **full}, secrets)
        return read_stack_config()

    _, args = record(declare)
    return args


TOKEN = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing


def problems(config: dict[str, str], secret_keys: list[str] | None = None) -> str:
    with pytest.raises(StackConfigError) as raised:
        read(config, secret_keys)
    return str(raised.value)


def texts() -> dict[str, Any]:
    """The defaults as a config file has them."""
    return {
        key: " ".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
        for key, value in defaults().items()
    }


def test_defaults_are_those_of_the_project_file() -> None:
    schema = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    assert {key: each["default"] for key, each in schema.items()} == {"account_id": "", **texts()}


def test_the_project_file_describes_every_setting_with_its_type() -> None:
    schema = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    names: dict[type[Any], str] = {bool: "boolean", int: "integer"}
    types = {"account_id": "string"} | {name: names.get(value.__class__, "string") for name, value in texts().items()}
    assert {key: each["type"] for key, each in schema.items()} == types
    assert all(each["description"] for each in schema.values())


def test_unset_keys_have_their_defaults() -> None:
    assert read({"account_id": ACCOUNT_ID}) == TaskRunnerArgs(account_id=ACCOUNT_ID)


def test_values_are_read_with_their_types() -> None:
    args = read(
        {
            "account_id": ACCOUNT_ID,
            "env": "prod",
            "public": "true",
            "batch_size": "100",
            "cors_origins": "http://a, http://b",
        }
    )
    origins = ("http://a", "http://b")
    assert args == TaskRunnerArgs(account_id=ACCOUNT_ID, env="prod", public=True, batch_size=100, cors_origins=origins)


def test_all_problems_are_told_together() -> None:
    assert problems({"env": "production", "batch_size": "0", "max_retires": "7", "engine": "Queue"}) == (
        "5 problems in the config of stack test:\n"
        "  max_retires: unknown setting, did you mean max_retries?\n"
        "      pulumi config rm max_retires --stack test && pulumi config set max_retries 7 --stack test\n"
        "  account_id: expected a Cloudflare account id (32 hexadecimal digits), got nothing\n"
        "      pulumi config set account_id <account id> --stack test\n"
        "  engine: expected one of queue, workflow, got 'Queue'\n"
        "      pulumi config set engine queue --stack test\n"
        "  env: expected one of dev, stg, uat, prod, got 'production'\n"
        "      pulumi config set env prod --stack test\n"
        "  batch_size: expected a whole number from 1 to 100, got 0\n"
        "      pulumi config set batch_size 10 --stack test"
    )


def test_a_word_like_no_other_is_met_with_the_default() -> None:
    assert "pulumi config set env dev --stack test" in problems({"account_id": ACCOUNT_ID, "env": "qa"})


def test_a_key_like_no_other_lists_those_there_are() -> None:
    message = problems({"account_id": ACCOUNT_ID, "zzz": "1"})
    assert "zzz: unknown setting, expected one of account_id, state_store" in message
    assert "pulumi config rm zzz --stack test" in message


def test_secret_values_are_not_shown() -> None:
    message = problems({"account_id": "hush", "batch_siz": "hush"}, ["account_id", "batch_siz"])
    assert "hush" not in message
    assert "account_id: expected a Cloudflare account id (32 hexadecimal digits), got a secret" in message
    assert "pulumi config set batch_size <value> --stack test" in message


def test_a_misspelt_secret_is_not_shown_either() -> None:
    message = problems({"account_id": ACCOUNT_ID, "api_token": TOKEN})
    assert "api_token: unknown setting, did you mean api_tokens?" in message
    assert "pulumi config set --secret api_tokens <value> --stack test" in message
    assert TOKEN not in message


RANGES = {
    "shards": (1, 16),
    "batch_size": (1, 100),
    "max_wait_time_ms": (0, 60_000),
    "max_retries": (0, 100),
    "retry_delay_seconds": (0, 86_400),
    "retry_max_delay_seconds": (1, 86_400),
    "rate_limit_requests": (0, 1_000_000),
    "max_concurrency": (1, 250),
    "delivery_delay_seconds": (0, 86_400),
    "message_retention_seconds": (60, 1_209_600),
    "dlq_message_retention_seconds": (60, 1_209_600),
    "dlq_batch_size": (1, 100),
    "dlq_max_retries": (0, 100),
    "dlq_retry_delay_seconds": (0, 86_400),
    "dlq_visibility_timeout_ms": (0, 43_200_000),
}


@pytest.mark.parametrize(("key", "limits"), RANGES.items())
def test_numbers_have_cloudflares_ranges(key: str, limits: tuple[int, int]) -> None:
    low, high = limits
    for good in (low, high):
        config = {"account_id": ACCOUNT_ID, "retry_max_delay_seconds": "86400", key: str(good)}
        assert getattr(read(config), key) == good
    for bad in (low - 1, high + 1, "1.5", "ten", "1e1", " 1"):
        expected = f"{key}: expected a whole number from {low} to {high}, got {bad!r}"
        assert expected in problems({"account_id": ACCOUNT_ID, key: str(bad)})


def test_every_number_has_its_range_tested() -> None:
    numbers = {key for key, rule in rules().items() if isinstance(rule, WholeNumber)}
    assert set(RANGES) == numbers


@pytest.mark.parametrize("period", ["10", "60"])
def test_a_rate_limit_has_cloudflares_periods(period: str) -> None:
    assert read({"account_id": ACCOUNT_ID, "rate_limit_period_seconds": period}).rate_limit_period_seconds == int(
        period
    )


@pytest.mark.parametrize("period", ["0", "30", "6O", "-10"])
def test_a_rate_limit_has_no_other_periods(period: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "rate_limit_period_seconds": period})
    assert "rate_limit_period_seconds: expected 10 or 60" in message


def test_the_first_wait_is_not_longer_than_the_longest() -> None:
    message = problems({"account_id": ACCOUNT_ID, "retry_delay_seconds": "7200"})
    assert "retry_delay_seconds: expected at most retry_max_delay_seconds, which is 3600, got 7200" in message
    longest = read({"account_id": ACCOUNT_ID, "retry_delay_seconds": "7200", "retry_max_delay_seconds": "7200"})
    assert longest.retry_delay_seconds == longest.retry_max_delay_seconds == 7200


@pytest.mark.parametrize("env", ["uat", "prod"])
def test_strangers_may_not_call_where_it_matters(env: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "env": env})
    assert (
        f"api_tokens: expected a token in {env}, or public: true to let everybody submit tasks, got nothing" in message
    )
    assert 'pulumi config set --secret api_tokens "$(openssl rand -hex 32)" --stack test' in message
    assert read({"account_id": ACCOUNT_ID, "env": env, "public": "true"}).public is True
    assert read({"account_id": ACCOUNT_ID, "env": env, "api_tokens": TOKEN}, ["api_tokens"]).api_tokens == (TOKEN,)


def test_public_says_nothing_where_there_are_tokens() -> None:
    message = problems({"account_id": ACCOUNT_ID, "public": "true", "api_tokens": TOKEN})
    assert "public: expected to be unset with api_tokens: who calls needs one, got True" in message


@pytest.mark.parametrize(
    "tokens", ["short", f"{TOKEN} {TOKEN}", f"{TOKEN}!", " ".join(f"{n}{TOKEN}" for n in range(11))]
)
def test_bad_tokens_are_refused_and_never_shown(tokens: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "api_tokens": tokens})
    assert "api_tokens: expected at most 10 different tokens of 32 to 128 letters, digits or . _ ~ -" in message
    assert "got a secret" in message
    assert tokens not in message
    with pytest.raises(ValueError, match="got a secret") as raised:
        TaskRunnerArgs(account_id=ACCOUNT_ID, api_tokens=tuple(tokens.split()))
    assert tokens not in str(raised.value)


@pytest.mark.parametrize(
    ("secret_keys", "base_url", "is_told"),
    [([], "", True), (["api_tokens"], "", False), ([], "http://127.0.0.1:8787/client/v4", False)],
)
def test_tokens_that_all_may_read_are_warned_of_where_they_matter(
    secret_keys: list[str], base_url: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    config = {"account_id": ACCOUNT_ID, "api_tokens": TOKEN}
    read(config, secret_keys, {"cloudflare:baseUrl": base_url} if base_url else {})
    expected = "api_tokens is readable in the stack's file; to encrypt it: pulumi config set --secret api_tokens"
    assert [expected in line for line in told] == ([True] if is_told else [])
    assert TOKEN not in "".join(told)


def test_tokens_are_not_in_what_is_printed_of_the_settings() -> None:
    assert TOKEN not in repr(TaskRunnerArgs(account_id=ACCOUNT_ID, api_tokens=(TOKEN,)))


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("cors_origins", "app.example"),
        ("cors_origins", "https://app.example/"),
        ("cors_origins", "https://App.example"),
        ("cors_origins", "https://user@app.example"),
        ("cors_origins", "https://a.example https://a.example"),
        ("cors_origins", "*"),
        ("http_allowed_hosts", "https://api.example"),
        ("http_allowed_hosts", "api.*.example"),
        ("http_allowed_hosts", "API.example"),
        ("http_allowed_hosts", "*"),
        ("http_allowed_hosts", " ".join(f"{n}{'x' * 120}.example" for n in range(50))),
        ("retry_backoff", "linear"),
        ("public", "yes"),
    ],
)
def test_words_have_their_form(key: str, bad: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, key: bad})
    assert f"  {key}: expected" in message
    assert f"got {bad!r}" in message


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("cors_origins", "https://app.example http://localhost:5173 http://[::1]:5173"),
        ("http_allowed_hosts", "api.example api.example:8443 *.example 127.0.0.1:8080"),
        ("api_tokens", f"{TOKEN} {TOKEN[::-1]}"),
    ],
)
def test_words_have_spaces_or_commas_between_them(key: str, text: str) -> None:
    for separator in (" ", ",", ", ", "\n"):
        args = read({"account_id": ACCOUNT_ID, key: text.replace(" ", separator)})
        assert getattr(args, key) == tuple(text.split())


@pytest.mark.parametrize("account_id", ["abc", ACCOUNT_ID.upper(), ACCOUNT_ID + "0", "g" * 32])
def test_account_ids_are_32_hexadecimal_digits(account_id: str) -> None:
    assert f"got {account_id!r}" in problems({"account_id": account_id})


def test_the_component_checks_its_arguments_too() -> None:
    bad: dict[str, Any] = {"account_id": "x", "engine": "fax", "max_retries": 101, "public": 1, "batch_size": True}
    with pytest.raises(ValueError, match="account_id: expected") as raised:
        TaskRunnerArgs(**bad)
    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == list(bad)


def test_every_setting_has_a_rule() -> None:
    assert list(rules()) == [each.name for each in dataclasses.fields(TaskRunnerArgs)]


def test_a_setting_without_a_use_says_why() -> None:
    message = problems({"account_id": ACCOUNT_ID, "engine": "workflow", "dlq_batch_size": "20"})
    assert (
        "dlq_batch_size: expected to be unset with engine workflow: a workflow has no queue, batches or dead letters, "
        "got 20\n      pulumi config rm dlq_batch_size --stack test"
    ) in message


def test_objects_in_use_cannot_be_deleted() -> None:
    message = problems({"account_id": ACCOUNT_ID, "state_store": "durable-object", "durable_object_data": "delete"})
    assert "durable_object_data: expected keep while state_store is durable-object" in message


@pytest.mark.parametrize("store", ["kv", "durable-object"])
def test_shards_need_a_database_or_a_queue(store: str) -> None:
    config = {"account_id": ACCOUNT_ID, "state_store": store, "shards": "2"}
    assert read(config).shards == 2
    message = problems({**config, "engine": "workflow"})
    assert f"shards: expected to be unset with state_store {store} and engine workflow: there is no database" in message
    assert read({"account_id": ACCOUNT_ID, "engine": "workflow", "shards": "2"}).shards == 2

"""A stack's config is checked as a whole, and each error tells how to mend it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from components import ApiToken, StackConfigError, TaskRunnerArgs, read_stack_config
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
        pulumi.runtime.set_all_config({**(provider or {}), **full}, secrets)
        return read_stack_config()

    _, args = record(declare)
    return args


TOKEN = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing


def problems(
    config: dict[str, str], secret_keys: list[str] | None = None, provider: dict[str, str] | None = None
) -> str:
    """What is said of a config, of a stack that is open to all where nothing else is said."""
    if "api_tokens" not in config:
        config = {"public": "true", **config}
    with pytest.raises(StackConfigError) as raised:
        read(config, secret_keys, provider)
    return str(raised.value)


def good(config: dict[str, str]) -> TaskRunnerArgs:
    """Read a good config, of a stack that is open to all."""
    return read({"account_id": ACCOUNT_ID, "public": "true", **config})


def test_defaults_are_those_of_the_project_file() -> None:
    schema = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    texts: dict[str, Any] = {key: [] if value == () else value for key, value in defaults().items()}
    assert {key: each["default"] for key, each in schema.items()} == {"account_id": "", **texts}


def test_the_project_file_describes_every_setting_with_its_type() -> None:
    schema = yaml.safe_load(Path("Pulumi.yaml").read_text())["config"]
    names: dict[type[Any], str] = {bool: "boolean", int: "integer", tuple: "array", str: "string"}
    types = {"account_id": "string"} | {name: names[value.__class__] for name, value in defaults().items()}
    for name in (
        "log_sampling_rate",
        "trace_sampling_rate",
        "schedules",
        "alerts",
    ):  # Pulumi's config has no type for a fraction or a mapping
        del types[name]
    assert {key: each["type"] for key, each in schema.items() if "type" in each} == types
    assert all(each["description"] for each in schema.values())
    items = {key: each["items"]["type"] for key, each in schema.items() if each.get("type") == "array"}
    assert items == {key: "integer" if key == "former_shards" else "string" for key in items}


def test_unset_keys_have_their_defaults() -> None:
    assert good({}) == TaskRunnerArgs(account_id=ACCOUNT_ID, public=True)


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
    assert "pulumi config set --secret --path 'api_tokens[0]' <value> --stack test" in message
    assert TOKEN not in message


RANGES = {
    "shards": (1, 16),
    "rollout_percent": (1, 100),
    "workflow_retention_seconds": (0, 2_592_000),
    "workflow_error_retention_seconds": (0, 2_592_000),
    "workflow_concurrency": (0, 50_000),
    "batch_size": (1, 100),
    "database_limit_mb": (1, 10_000),
    "max_wait_time_ms": (0, 60_000),
    "max_retries": (0, 100),
    "retry_delay_seconds": (0, 86_400),
    "retry_max_delay_seconds": (1, 86_400),
    "rate_limit_requests": (0, 1_000_000),
    "max_concurrency": (1, 250),
    "cpu_ms": (10, 300_000),
    "delivery_delay_seconds": (0, 86_400),
    "message_retention_seconds": (60, 1_209_600),
    "dlq_message_retention_seconds": (60, 1_209_600),
    "dlq_batch_size": (1, 100),
    "dlq_max_retries": (0, 100),
    "dlq_retry_delay_seconds": (0, 86_400),
    "dlq_visibility_timeout_ms": (0, 43_200_000),
    "group_concurrency": (1, 1_000),
    "group_rate_limit": (1, 1_000),
    "group_rate_seconds": (1, 86_400),
}

ZEROES = {
    "max_concurrency": "what the store can bear",
    "cpu_ms": "Cloudflare's own limit",
    "group_concurrency": "any number",
    "group_rate_limit": "any number",
}


@pytest.mark.parametrize(("key", "limits"), RANGES.items())
def test_numbers_have_cloudflares_ranges(key: str, limits: tuple[int, int]) -> None:
    low, high = limits
    engine = "workflow" if key.startswith("workflow") else "queue"
    zero = ZEROES.get(key)
    for number in (low, high, *([0] if zero else [])):
        config = {"engine": engine, "retry_max_delay_seconds": "86400", "group_rate_limit": "1", key: str(number)}
        assert getattr(good(config), key) == number
    meaning = f", or 0 for {zero}" if zero else ""
    for bad in (-1 if zero else low - 1, high + 1, "1.5", "ten", "1e1", " 1"):
        expected = f"{key}: expected a whole number from {low} to {high}{meaning}, got {bad!r}"
        assert expected in problems({"account_id": ACCOUNT_ID, key: str(bad)})


def test_every_number_has_its_range_tested() -> None:
    numbers = {key for key, rule in rules().items() if isinstance(rule, WholeNumber)}
    assert set(RANGES) == numbers


@pytest.mark.parametrize("period", ["10", "60"])
def test_a_rate_limit_has_cloudflares_periods(period: str) -> None:
    assert good({"rate_limit_period_seconds": period}).rate_limit_period_seconds == int(period)


@pytest.mark.parametrize("period", ["0", "30", "6O", "-10"])
def test_a_rate_limit_has_no_other_periods(period: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "rate_limit_period_seconds": period})
    assert "rate_limit_period_seconds: expected 10 or 60" in message


def test_the_first_wait_is_not_longer_than_the_longest() -> None:
    message = problems({"account_id": ACCOUNT_ID, "retry_delay_seconds": "7200"})
    assert "retry_delay_seconds: expected at most retry_max_delay_seconds, which is 3600, got 7200" in message
    longest = good({"retry_delay_seconds": "7200", "retry_max_delay_seconds": "7200"})
    assert longest.retry_delay_seconds == longest.retry_max_delay_seconds == 7200


@pytest.mark.parametrize("env", ["dev", "stg", "uat", "prod"])
def test_strangers_may_not_call_on_a_real_account_unless_it_is_said_that_they_may(env: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "env": env, "public": "false"})
    assert "api_tokens: expected a token, or public: true to let everybody submit tasks, got nothing" in message
    command = (
        """pulumi config set --secret --path 'api_tokens[0]' "operator:operate:$(openssl rand -hex 32)" --stack test"""
    )
    assert command in message
    assert good({"env": env}).public is True
    named = {"name": "token-1", "role": "operate", "token": TOKEN}
    assert read({"account_id": ACCOUNT_ID, "env": env, "api_tokens": TOKEN}, ["api_tokens"]).api_tokens == (named,)
    local = {"cloudflare:baseUrl": "http://127.0.0.1:8787/client/v4"}
    assert read({"account_id": ACCOUNT_ID, "env": env}, provider=local).api_tokens == ()


def test_public_says_nothing_where_there_are_tokens() -> None:
    message = problems({"account_id": ACCOUNT_ID, "public": "true", "api_tokens": TOKEN})
    assert "public: expected to be unset with api_tokens: who calls needs one, got True" in message


@pytest.mark.parametrize(
    "tokens",
    [
        "short",
        f"{TOKEN} {TOKEN}",
        f"{TOKEN}!",
        " ".join(f"{n}{TOKEN}" for n in range(11)),
        f"ci:owner:{TOKEN}",
        f"CI:read:{TOKEN}",
        f"ci:{TOKEN}",
        f"a:b:c:{TOKEN}",
        f"ci:read:{TOKEN} ci:submit:{TOKEN[::-1]}",
        '["broken',
    ],
)
def test_bad_tokens_are_refused_and_never_shown(tokens: str) -> None:
    message = problems({"account_id": ACCOUNT_ID, "api_tokens": tokens})
    assert "api_tokens: expected a list of at most 10 different NAME:ROLE:TOKEN" in message
    assert "got a secret" in message
    assert TOKEN not in message
    with pytest.raises(ValueError, match="got a secret") as raised:
        TaskRunnerArgs(account_id=ACCOUNT_ID, api_tokens=rules()["api_tokens"].parse(tokens))  # pyright: ignore[reportArgumentType]
    assert TOKEN not in str(raised.value)


def test_a_token_has_a_name_and_a_role() -> None:
    config = {"account_id": ACCOUNT_ID, "api_tokens": f'["ci:submit:{TOKEN}", "{TOKEN[::-1]}"]'}
    assert read(config).api_tokens == (
        {"name": "ci", "role": "submit", "token": TOKEN},
        {"name": "token-2", "role": "operate", "token": TOKEN[::-1]},
    )


@pytest.mark.parametrize(
    ("secret_keys", "base_url", "is_told"),
    [([], "", True), (["api_tokens"], "", False), ([], "http://127.0.0.1:9780/client/v4", False)],
)
def test_tokens_that_all_may_read_are_warned_of_where_they_matter(
    secret_keys: list[str], base_url: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    config = {"account_id": ACCOUNT_ID, "api_tokens": TOKEN}
    read(config, secret_keys, {"cloudflare:baseUrl": base_url} if base_url else {})
    expected = (
        "api_tokens is readable in the stack's file; to encrypt it: pulumi config set --secret --path 'api_tokens"
    )
    assert [expected in line for line in told] == ([True] if is_told else [])
    assert TOKEN not in "".join(told)


def test_tokens_are_not_in_what_is_printed_of_the_settings() -> None:
    token: ApiToken = {"name": "ci", "token": TOKEN}
    assert TOKEN not in repr(TaskRunnerArgs(account_id=ACCOUNT_ID, api_tokens=[token]))


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
        ("former_state_stores", "sqlite"),
        ("former_shards", "0"),
        ("domain", "https://tasks.example.com"),
        ("route", "tasks.example.com"),
        ("placement", "Smart"),
        ("jurisdiction", "de"),
        ("log_sampling_rate", "half"),
        ("log_persist", "maybe"),
        ("trace_sampling_rate", "all"),
        ("trace_destinations", "a/b"),
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
        ("compatibility_flags", "nodejs_compat streams_enable_constructors"),
        ("former_state_stores", "kv durable-object"),
    ],
)
def test_a_list_is_one_of_json_or_has_spaces_or_commas(key: str, text: str) -> None:
    for written in (
        text,
        text.replace(" ", ","),
        text.replace(" ", ", "),
        text.replace(" ", "\n"),
        json.dumps(text.split()),
    ):
        assert getattr(good({key: written}), key) == tuple(text.split())
    assert good({"former_shards": "[3, 4]"}).former_shards == (3, 4)


@pytest.mark.parametrize("account_id", ["abc", ACCOUNT_ID.upper(), ACCOUNT_ID + "0", "g" * 32])
def test_account_ids_are_32_hexadecimal_digits(account_id: str) -> None:
    assert f"got {account_id!r}" in problems({"account_id": account_id})


def test_the_component_checks_its_arguments_too() -> None:
    bad: dict[str, Any] = {"account_id": "x", "engine": "fax", "max_retries": 101, "public": 1, "batch_size": True}
    with pytest.raises(ValueError, match="account_id: expected") as raised:
        TaskRunnerArgs(**bad)
    assert [line.split(":")[0] for line in str(raised.value).splitlines()] == list(bad)


def test_every_setting_has_a_rule() -> None:
    names = [each.name for each in dataclasses.fields(TaskRunnerArgs)]
    assert [*rules(), "bindings"] == names


def test_a_setting_without_a_use_says_why() -> None:
    message = problems({"account_id": ACCOUNT_ID, "engine": "workflow", "dlq_batch_size": "20"})
    assert (
        "dlq_batch_size: expected to be unset with engine workflow: a workflow has no queue, batches or dead letters, "
        "got 20\n      pulumi config rm dlq_batch_size --stack test"
    ) in message


def test_objects_in_use_cannot_be_deleted() -> None:
    message = problems({"account_id": ACCOUNT_ID, "state_store": "durable-object", "durable_object_data": "delete"})
    assert "durable_object_data: expected keep while state_store is durable-object" in message


def test_shards_need_a_database_an_object_or_a_queue() -> None:
    config = {"account_id": ACCOUNT_ID, "state_store": "kv", "shards": "2"}
    assert good(config).shards == 2
    message = problems({**config, "engine": "workflow"})
    assert "shards: expected to be unset with state_store kv and engine workflow: there is no database" in message
    assert good({"engine": "workflow", "state_store": "durable-object", "shards": "2"}).shards == 2
    assert good({"engine": "workflow", "shards": "2"}).shards == 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"former_state_stores": "d1"}, "former_state_stores: expected other ones than state_store, which is d1"),
        ({"former_engines": "queue"}, "former_engines: expected other ones than engine, which is queue"),
        (
            {"former_state_stores": "durable-object", "durable_object_data": "delete"},
            "durable_object_data: expected keep while former_state_stores has durable-object",
        ),
        ({"route": "example.com/*"}, "zone_id: expected the id of the route's zone"),
        ({"zone_id": "f" * 32}, "zone_id: expected to be unset without route and domain"),
        ({"workers_dev": "false"}, "workers_dev: expected true without domain and route"),
        ({"workflow_concurrency": "5"}, "workflow_concurrency: expected to be unset with engine queue"),
    ],
)
def test_settings_that_do_not_go_together_are_told(config: dict[str, str], said: str) -> None:
    assert said in problems({"account_id": ACCOUNT_ID, **config})


def test_settings_of_a_former_engine_have_a_use() -> None:
    assert good({"engine": "workflow", "former_engines": "queue", "batch_size": "5"}).batch_size == 5


def test_a_local_stack_is_mended_without_the_pulumi_cli() -> None:
    local = {"cloudflare:baseUrl": "http://127.0.0.1:8787/client/v4"}
    message = problems(
        {"account_id": ACCOUNT_ID, "state_store": "sqlite", "cors_origins": "x", "bat": "1"}, None, local
    )
    assert "in Pulumi.test.yaml: ephemera:state_store: d1" in message
    assert "in Pulumi.test.yaml: ephemera:cors_origins: [<origin>]" in message
    assert "in Pulumi.test.yaml: remove the line ephemera:bat" in message
    assert "pulumi config" not in message

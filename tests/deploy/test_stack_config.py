"""A stack's configuration, as the real CLI would compute it."""

import re

import pytest

from local.pulumi.errors import DeployError
from local.pulumi.outputs import read_outputs
from local.pulumi.stack_config import load_config
from local.pulumi.state import State
from local.pulumi.state_file import StateFile
from tests.deploy.conftest import Stack

PROJECT = """
    name: sample
    runtime: python
    config:
      size:
        type: integer
        default: 3
      name:
        type: string
      verbose:
        type: boolean
        default: false
      cloudflare:email: me@example.com
"""


def test_defaults_and_the_stacks_own_values_reach_the_program(stack: Stack) -> None:
    stack.write("Pulumi.yaml", PROJECT)
    stack.configure("sample:name: '007'\nsample:verbose: true\nother:list: [1, two]")
    stack.program("""
        config = pulumi.Config()
        pulumi.export("size", config.require_int("size"))
        pulumi.export("name", config.require("name"))
        pulumi.export("verbose", config.get_bool("verbose"))
        pulumi.export("list", pulumi.Config("other").require_object("list"))
        pulumi.export("email", pulumi.Config("cloudflare").require("email"))
        pulumi.export("api", pulumi.Config("cloudflare").require("baseUrl"))
        pulumi.export("stack", pulumi.get_stack())
        pulumi.export("project", pulumi.get_project())
    """)
    stack.up()
    assert stack.outputs == {
        "size": 3,
        "name": "007",
        "verbose": True,
        "list": [1, "two"],
        "email": "me@example.com",
        "api": stack.api.base_url,
        "stack": "local",
        "project": "sample",
    }


def test_every_problem_is_listed(stack: Stack) -> None:
    stack.write("Pulumi.yaml", PROJECT)
    stack.configure("sample:size: [many]\nbare: 1\n2: 1\nsample:token: {secure: v1:abc}")
    with pytest.raises(DeployError) as caught:
        load_config(stack.folder, "local")
    assert str(caught.value).splitlines() == [
        "Pulumi.local.yaml: sample:name is missing (string, no default): "
        "`python -m local config set name VALUE` sets it",
        "Pulumi.local.yaml: sample:size must be of type integer, got a list",
        "Pulumi.local.yaml: key bare needs a namespace: write sample:bare",
        "Pulumi.local.yaml: key 2 needs a namespace: write sample:2",
        "Pulumi.local.yaml: sample:token is encrypted, and only the Pulumi CLI can decrypt it: "
        "for a local stack write the value in plain, or take `pulumi up`",
    ]


def test_scalars_of_another_type_are_the_programs_to_judge(stack: Stack) -> None:
    stack.write("Pulumi.yaml", PROJECT)
    stack.configure("sample:size: ten\nsample:verbose: ''\nsample:name: 2026-01-02\nsample:limit: 1.5")
    stack.program("""
        config = pulumi.Config()
        raise Exception("; ".join(f"{key}={config.get(key)!r}" for key in ("size", "verbose", "name", "limit")))
    """)
    [error] = stack.deploy("up").errors
    assert "size='ten'; verbose=''; name='2026-01-02'; limit='1.5'" in error


@pytest.mark.parametrize(("config", "shown"), [("- one", '["one"]'), ("text", '"text"'), ("false", "false")])
def test_a_config_that_is_no_mapping_is_one_line(stack: Stack, config: str, shown: str) -> None:
    stack.write("Pulumi.local.yaml", f"config:\n  {config}\n")
    with pytest.raises(DeployError) as caught:
        load_config(stack.folder, "local")
    assert str(caught.value) == f"Pulumi.local.yaml: `config:` must be a mapping of keys to values, got {shown}"


def test_a_key_that_is_there_twice_is_refused(stack: Stack) -> None:
    stack.write("Pulumi.local.yaml", "config:\n  sample:size: 1\nconfig:\n  sample:name: two\n")
    with pytest.raises(DeployError, match=r"cannot read Pulumi.local.yaml: key config is there twice\n.*line 3"):
        load_config(stack.folder, "local")


def test_an_encrypted_api_token_does_not_matter(stack: Stack) -> None:
    stack.configure("cloudflare:apiToken: {secure: v1:abc}")
    stack.program("pulumi.export('token', pulumi.Config('cloudflare').require('apiToken'))")
    stack.up()
    assert stack.outputs["token"] == "stand-in-token"  # noqa: S105


def test_an_unknown_stack_names_the_known_ones(stack: Stack) -> None:
    stack.write("Pulumi.dev.yaml", "config: {}")
    with pytest.raises(DeployError, match=r"no Pulumi\.prod\.yaml in .* \(known stacks: dev, local\)"):
        load_config(stack.folder, "prod")


@pytest.mark.parametrize("name", ["", "..", "../local", "a/b", "*", "a b", "a\n", "é", "a" * 101])
def test_a_stack_is_named_as_the_pulumi_cli_has_it(stack: Stack, name: str) -> None:
    """By `tokens.ParseStackName` in github.com/pulumi/pulumi, sdk/go/common/tokens/stack.go."""
    expected = re.escape(
        f"{name!r} cannot be the name of a stack: expected 1 to 100 letters, digits, hyphens, underscores or periods"
    )
    with pytest.raises(DeployError, match=expected):
        load_config(stack.folder, name)
    with pytest.raises(DeployError, match=expected):
        StateFile(stack.state_dir, "sample", name)
    with pytest.raises(DeployError, match=expected):
        read_outputs(stack.state_dir, name)


def test_names_that_the_pulumi_cli_takes(stack: Stack) -> None:
    for name in ("local", "a.b-c_D9", "...x", "-", "a" * 100):
        StateFile(stack.state_dir, "sample", name).save(State())
        assert StateFile(stack.state_dir, "sample", name).load() == State()


def test_a_project_is_named_so_too(stack: Stack) -> None:
    stack.write("Pulumi.yaml", "name: ../sample\nruntime: python\n")
    with pytest.raises(DeployError, match=r"'\.\./sample' cannot be the name of a project"):
        load_config(stack.folder, "local")


@pytest.mark.parametrize("url", ["https://api.cloudflare.com/client/v4", "http://10.0.0.1/client/v4", None])
def test_a_stack_that_is_not_for_this_machine_is_refused(stack: Stack, url: str | None) -> None:
    stack.write("Pulumi.local.yaml", f"config:\n  cloudflare:baseUrl: {url}\n" if url else "config: {}\n")
    stack.program("pass")
    with pytest.raises(DeployError, match="pulumi up --stack local"):
        stack.deploy("up")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_addresses(stack: Stack, host: str) -> None:
    stack.write("Pulumi.local.yaml", f"config:\n  cloudflare:baseUrl: http://{host}:1/client/v4\n")
    load_config(stack.folder, "local").require_loopback()

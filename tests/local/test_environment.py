"""The variables that `python -m local env` prints, as clients read them."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from local.cli.instance import Instance

HERE = Path(__file__).resolve().parent.parent.parent


def outside(folder: Path) -> dict[str, str]:
    """Make the environment of somebody in a folder of their own, who has no variables of Cloudflare yet."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE_")}
    return {**clean, "PYTHONPATH": str(HERE), "HOME": str(folder)}


def env(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "env", *arguments]
    return subprocess.run(  # noqa: S603
        command, cwd=folder, env=outside(folder), capture_output=True, text=True, timeout=60, check=False
    )


def expected(cloud: Instance) -> dict[str, str]:
    return {
        "CLOUDFLARE_API_BASE_URL": cloud.base_url,
        "CLOUDFLARE_BASE_URL": cloud.base_url,
        "CLOUDFLARE_API_TOKEN": cloud.api_token,
        "CLOUDFLARE_ACCOUNT_ID": cloud.account_id,
    }


@pytest.fixture(autouse=True)
def _no_account_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLOUDFLARE_ACCOUNT_ID", raising=False)


def test_a_shell_evaluates_it_from_any_folder(cloud: Instance, tmp_path: Path) -> None:
    ours = f"{shlex.quote(sys.executable)} -m local env --state {shlex.quote(str(cloud.state_dir))}"
    dump = f"{shlex.quote(sys.executable)} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    script = f'eval "$({ours})" && {dump}'
    shown = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", script], cwd=tmp_path, env=outside(tmp_path), capture_output=True, text=True, check=True
    )
    assert {name: value for name, value in json.loads(shown.stdout).items() if name in expected(cloud)} == expected(
        cloud
    )


def test_as_json(cloud: Instance, tmp_path: Path) -> None:
    shown = env(tmp_path, "--state", str(cloud.state_dir), "--format", "json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert json.loads(shown.stdout) == expected(cloud)


def test_as_dotenv(cloud: Instance, tmp_path: Path) -> None:
    shown = env(tmp_path, "--state", str(cloud.state_dir), "--format", "dotenv")
    assert shown.stdout.splitlines() == [f'{name}="{value}"' for name, value in expected(cloud).items()]


def test_the_official_sdk_needs_nothing_else(cloud: Instance, tmp_path: Path) -> None:
    program = "from cloudflare import Cloudflare; print([account.id for account in Cloudflare().accounts.list()])"
    shown = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", program],
        env=outside(tmp_path) | expected(cloud),
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == str([cloud.account_id])


def test_it_says_so_when_nothing_runs(tmp_path: Path) -> None:
    shown = env(tmp_path, "--state", "my state")
    assert (shown.returncode, shown.stdout) == (1, "")
    start = "python -m local start --state 'my state'"
    assert shown.stderr == f"error: not running (state in my state): start it with `{start}`\n"

"""Tests on a real account, opt-in: everything under a random name, removed at the end, with a cap on its cost.

Deploys each combination of store and engine with `ops deploy`, which runs the acceptance suite, and tears it down with
`ops teardown`, which verifies that nothing is left. Then asks the account and a local Cloudflare the same things and
prints where their answers differ.
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from components.cloudflare_api import CLOUDFLARE_API_URL, is_loopback
from local import DEFAULT_STATE_DIR
from ops.cost import cost, read_prices, read_units
from tests.account.differential import differences, table

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("components", "worker", "tests", "local", "ops", "pyproject.toml")
COMBINATIONS: list[tuple[str, str]] = list(itertools.product(("d1", "kv", "durable-object"), ("queue", "workflow")))
STACK = "nightly"

TASKS_A_COMBINATION = 20
"""More than the acceptance suite submits."""
DEFAULT_CAP_USD = 0.05

PROGRAM = """\
import pulumi
from components import TaskRunner, read_stack_config

SETTINGS = ("account_id", "env", "state_store", "engine", "former_state_stores", "former_engines", "former_shards")
args = read_stack_config()
runner = TaskRunner("{name}", args)
for name in SETTINGS:
    pulumi.export(name, getattr(args, name))
for name, value in runner.outputs.items():
    pulumi.export(name, value)
"""


@dataclass(frozen=True)
class Target:
    """Where to deploy."""

    account_id: str
    base_url: str
    state_dir: Path
    """The local Cloudflare's, where one stands in."""


class RefusedError(Exception):
    """The suite must not begin; the message says why, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; return its exit code: 0 when every combination passed and went."""
    parser = argparse.ArgumentParser(prog="python -m tests.account", description=__doc__)
    parser.add_argument("--only", metavar="STORE,ENGINE", help="one combination, such as d1,queue")
    parser.add_argument("--cap", type=float, default=DEFAULT_CAP_USD, metavar="USD", help="default: %(default)s US$")
    parser.add_argument("--state", type=Path, default=DEFAULT_STATE_DIR, help="of a local Cloudflare that stands in")
    options = parser.parse_args(arguments)
    try:
        combinations = _chosen(options.only)
        account_id, base_url = _account()
        _require_cap(combinations, options.cap)
    except RefusedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    target = Target(account_id, base_url, options.state.resolve())
    failed = [f"{store}, {engine}" for store, engine in combinations if not _passes(store, engine, target)]
    print(table(differences(base_url, os.environ["CLOUDFLARE_API_TOKEN"], account_id)))
    print(f"{len(combinations) - len(failed)} of {len(combinations)} combinations passed")
    print("".join(f"failed: {each}\n" for each in failed), end="")
    return 1 if failed else 0


def _account() -> tuple[str, str]:
    missing = [name for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID") if not os.environ.get(name)]
    if missing:
        raise RefusedError(
            f"set {' and '.join(missing)}: this deploys to a real account, and deletes there what it has made"
        )
    return os.environ["CLOUDFLARE_ACCOUNT_ID"], os.environ.get("CLOUDFLARE_BASE_URL") or CLOUDFLARE_API_URL


def _chosen(only: str | None) -> list[tuple[str, str]]:
    if only is None:
        return COMBINATIONS
    found = [each for each in COMBINATIONS if ",".join(each) == only]
    if not found:
        known = " or ".join(",".join(each) for each in COMBINATIONS)
        raise RefusedError(f"expected --only to be {known}, got {only}")
    return found


def _require_cap(combinations: Sequence[tuple[str, str]], cap_usd: float) -> None:
    """Refuse what would cost more than the cap, by the measured units of lone tasks and the published prices."""
    prices, measured = read_prices().cloudflare, read_units().lone_tasks
    units = [measured[f"{store}, {engine}"] for store, engine in combinations]
    estimate = sum(cost(each, prices, TASKS_A_COMBINATION).usd for each in units)
    if estimate > cap_usd:
        raise RefusedError(f"expected a cost of at most {cap_usd:g} US$, got an estimate of {estimate:.4f} US$")
    print(f"estimated cost: {estimate:.4f} US$, without storage and CPU time")


def _passes(store: str, engine: str, target: Target) -> bool:
    """Deploy one combination, and take it away in any case."""
    print(f"--- {store}, {engine}", flush=True)
    with _project(store, engine, target) as (folder, environment):

        def does(command: str) -> bool:
            words = ["ops", command, "--stack", STACK, "--yes", "--state", str(target.state_dir)]
            done = subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=False)  # noqa: S603
            return done.returncode == 0

        try:
            has_passed = does("deploy")
        finally:
            is_gone = does("teardown")
    return has_passed and is_gone


@contextmanager
def _project(store: str, engine: str, target: Target) -> Generator[tuple[Path, dict[str, str]]]:
    """Lay out a program of a random name, whose stack is kept in the folder itself."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in LINKED:
            (folder / each).symlink_to(ROOT / each)
        token = secrets.token_urlsafe(32)
        config = {
            "ephemera:account_id": target.account_id,
            "ephemera:env": "dev",
            "ephemera:state_store": store,
            "ephemera:engine": engine,
            "ephemera:max_retries": 1,
            "ephemera:api_tokens": [f"nightly:operate:{token}"],
            **({"cloudflare:baseUrl": target.base_url} if is_loopback(target.base_url) else {}),
        }
        project = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))
        # The program runs with the Python that runs this.
        project["runtime"] = {"name": "python", "options": {"virtualenv": str(Path(sys.prefix).resolve())}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
        (folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
        (folder / "__main__.py").write_text(PROGRAM.format(name=f"n{secrets.token_hex(4)}"), encoding="utf-8")
        (folder / "backend").mkdir()
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
        }
        if not is_loopback(target.base_url):
            command = ["pulumi", "stack", "init", STACK, "--non-interactive"]
            subprocess.run(command, cwd=folder, env=environment, check=True)  # noqa: S603
        yield folder, environment


if __name__ == "__main__":
    sys.exit(main())

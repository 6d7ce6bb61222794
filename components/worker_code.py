"""The Worker's code: the ES modules of ``worker/``, as they lie there."""

from __future__ import annotations

import base64
from pathlib import Path

import pulumi_cloudflare as cloudflare

WORKER_FOLDER = Path(__file__).parent.parent / "worker"
MIGRATIONS_FOLDER = WORKER_FOLDER / "migrations"

MAIN_MODULE = "index.js"

COMPATIBILITY_DATE = "2026-10-01"
"""The version of the Workers runtime's behaviour that the code was tested with
(https://developers.cloudflare.com/workers/configuration/compatibility-dates/)."""

JAVASCRIPT_MODULE = "application/javascript+module"


def read_modules() -> list[cloudflare.WorkerVersionModuleArgs]:
    """Read the Worker's modules, each named by its path below ``worker/``, sorted by name."""
    files = {file.relative_to(WORKER_FOLDER).as_posix(): file for file in WORKER_FOLDER.rglob("*.js")}
    return [
        cloudflare.WorkerVersionModuleArgs(
            name=name,
            content_type=JAVASCRIPT_MODULE,
            content_base64=base64.b64encode(files[name].read_bytes()).decode(),
        )
        for name in sorted(files)
    ]

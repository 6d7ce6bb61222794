"""The Worker's code: one module built from the parts that a deployment uses, its handlers and their npm packages."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_cloudflare as cloudflare

from .part import Part
from .toolchain import BUNDLE_FOLDER, WORKER_FOLDER, find_toolchain, install_packages, run_node

MIGRATIONS_FOLDER = WORKER_FOLDER / "migrations"
HANDLERS_FOLDER = WORKER_FOLDER / "handlers"

MAIN_MODULE = "index.js"

COMPATIBILITY_DATE = "2026-10-01"
"""The compatibility date with which the code was tested
(https://developers.cloudflare.com/workers/configuration/compatibility-dates/)."""

NODEJS_FLAG = "nodejs_compat"

SWEPT_STORES: frozenset[str] = frozenset({"d1", "kv"})
"""Stores that need the sweeper. A Durable Object sweeps itself."""

# The limit for a Worker after compression (https://developers.cloudflare.com/workers/platform/limits/#worker-size).
FREE_PLAN_BYTES = 3 * 1024 * 1024
PAID_PLAN_BYTES = 10 * 1024 * 1024

BUILD_FOLDER = ".ephemera"
"""The folder, below the program's folder, with the modules that the provider uploads."""


class HandlersError(pulumi.RunError):
    """The Worker cannot be built with these handlers; the message gives the reasons, with files and lines."""


@dataclass(frozen=True)
class Module:
    """A module to upload."""

    name: str
    content_type: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The hash of its content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class WorkerCode:
    """A Worker that was built."""

    modules: tuple[Module, ...]
    handlers: tuple[str, ...]
    """The names of its handlers."""
    sources: dict[str, str]
    """The input files: for each its hash and how many bytes of it are in the Worker, in words."""
    compressed_bytes: int
    """The size of all modules after compression, in bytes, as Cloudflare counts it."""
    remarks: tuple[str, ...]
    """Remarks to show to the user who deploys it."""

    def upload_files(self) -> list[cloudflare.WorkerVersionModuleArgs]:
        """Write the modules for the upload below the current folder, which is the program's and the provider's.

        A file's name is its content's hash, so that previews, plans and states show a short path instead of the
        content.
        """
        folder = Path(BUILD_FOLDER)
        folder.mkdir(exist_ok=True)
        return [
            cloudflare.WorkerVersionModuleArgs(
                name=each.name, content_type=each.content_type, content_file=_written(each, folder)
            )
            for each in self.modules
        ]

    def upload_inline(self) -> list[cloudflare.WorkerVersionModuleArgs]:
        """Return the modules with their content, for a provider that runs in another process."""
        return [
            cloudflare.WorkerVersionModuleArgs(
                name=each.name, content_type=each.content_type, content_base64=base64.b64encode(each.content).decode()
            )
            for each in self.modules
        ]


def build_worker(
    stores: Sequence[Part],
    engines: Sequence[Part],
    handlers: Path | None = None,
    *,
    nodejs: bool = False,
    worker_folder: Path = WORKER_FOLDER,
) -> WorkerCode:
    """Build the Worker.

    Args:
        stores: the store of new tasks, then former ones.
        engines: the engine of new tasks, then former ones.
        handlers: a folder of handlers that are added to the built-in ones, or replace those of the same name; its npm
            packages are installed if they are missing.
        nodejs: whether handlers may import modules of Node.js.
        worker_folder: the folder of the task runner's own modules.

    Raises:
        HandlersError: the code is wrong, or too large for every plan of Cloudflare's.
        ToolchainError: the build could not run.
    """
    folders = [worker_folder / HANDLERS_FOLDER.name]
    if handlers is not None:
        if not handlers.is_dir():
            raise HandlersError(f"handlers: expected a folder, found none at {handlers.absolute()}")
        install_packages(handlers)
        folders.append(handlers.resolve())
    answer = run_node(
        BUNDLE_FOLDER / "cli.js",
        {
            "workerFolder": str(worker_folder.resolve()),
            "toolchain": str(find_toolchain()),
            "stores": [{"name": each.name, "shardCounts": each.shard_counts} for each in stores],
            "engines": [each.name for each in engines],
            "handlerFolders": [str(folder.resolve()) for folder in folders],
            "nodejs": nodejs,
        },
    )
    if "error" in answer:
        raise HandlersError(answer["error"])
    modules = tuple(
        Module(each["name"], each["contentType"], base64.b64decode(each["content"])) for each in answer["modules"]
    )
    sources = {name: f"{each['sha256'][:12]}, {each['bytes']:,} bytes" for name, each in answer["sources"].items()}
    size: int = answer["compressedBytes"]
    return WorkerCode(modules, tuple(answer["handlers"]), sources, size, (*answer["remarks"], *_size_remarks(size)))


def _size_remarks(compressed_bytes: int) -> list[str]:
    size = f"the Worker has {compressed_bytes / 1024:,.0f} KiB compressed"
    if compressed_bytes > PAID_PLAN_BYTES:
        raise HandlersError(f"{size}: expected at most 10 MiB, which is Cloudflare's limit on the Paid plan")
    return [f"{size}, more than the 3 MiB of the Free plan"] if compressed_bytes > FREE_PLAN_BYTES else []


def _written(module: Module, folder: Path) -> str:
    stem, suffix = os.path.splitext(module.name)  # noqa: PTH122 `index.js.map` is `index.js` and `.map`
    file = folder / f"{stem}-{module.sha256[:16]}{suffix}"
    if not file.exists() or file.read_bytes() != module.content:
        making = file.with_name(f"{file.name}.{os.getpid()}")
        making.write_bytes(module.content)
        making.replace(file)
    return file.as_posix()

"""Asset files on disk: each content once, named by its SHA-256, and a folder for each set of files that versions serve.

    <state>/assets/files/<sha256>            a content
    <state>/assets/sites/<name>/<path>       hard links to contents, laid out as they are served

Names from clients are not used in `files`. They are used in `sites`, so each path must pass `is_safe`.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import uuid4

_LONGEST_NAME_BYTES = 255  # of a file, on Linux and macOS
_LONGEST_PATH_BYTES = 2048  # leaves room for the state folder's path in Linux's limit of 4,096


class AssetFiles:
    """The files of one instance. The folders can be created again at any time: the state has all names."""

    def __init__(self, folder: Path) -> None:
        self._files = folder / "files"
        self._sites = folder / "sites"
        for path in (self._files, self._sites):
            path.mkdir(parents=True, exist_ok=True)

    def store(self, contents: Iterable[bytes]) -> list[str]:
        """Write contents, sync them to the disk, and return the SHA-256 of each."""
        digests = [self._store(content) for content in contents]
        _sync(self._files)
        return digests

    def is_laid_out(self, site: str) -> bool:
        """Tell whether a site's folder exists; if so, it is complete."""
        return (self._sites / site).is_dir()

    def lay_out(self, site: str, files: Mapping[str, str], texts: Mapping[str, str]) -> None:
        """Create a site's folder from {path: SHA-256} and {name: text}."""
        draft = self._sites / f"draft-{uuid4().hex}"
        draft.mkdir()
        for path, digest in files.items():
            target = draft / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(self._files / digest, target)
        for name, text in texts.items():
            _write(draft / name, text.encode())
        for folder, _, _ in os.walk(draft):
            _sync(Path(folder))
        draft.rename(self._sites / site)
        _sync(self._sites)

    def keep_only(self, digests: set[str], sites: set[str]) -> None:
        """Delete everything else."""
        for path in self._sites.iterdir():
            if path.name not in sites:
                shutil.rmtree(path)
        for path in self._files.iterdir():
            if path.name not in digests:
                path.unlink()

    def _store(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        path = self._files / digest
        if not path.exists():
            draft = self._files / f"draft-{uuid4().hex}"
            _write(draft, content)
            draft.rename(path)
        return digest


def site_name(files: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """Return a site's name, which is computed from its contents: the same files and texts have the same folder."""
    whole = hashlib.sha256()
    for part in (files, texts):
        for name, value in sorted(part.items()):
            whole.update(f"{len(name)} {name} {len(value)} {value}\n".encode())
    return whole.hexdigest()


def is_safe(path: str) -> bool:
    """Tell whether a path, which begins with a slash, stays within its folder and can be a file name there."""
    names = path.encode().split(b"/")
    return (
        names[0] == b""
        and len(names) > 1
        and len(path.encode()) <= _LONGEST_PATH_BYTES
        and all(name.strip(b".") and len(name) <= _LONGEST_NAME_BYTES and b"\0" not in name for name in names[1:])
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _link(content: Path, target: Path) -> None:
    try:
        target.hardlink_to(content)
    except FileExistsError:
        raise
    except OSError:  # the file system has no hard links, or too many to this content
        shutil.copy2(content, target)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

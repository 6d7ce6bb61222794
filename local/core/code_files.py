"""Code on disk: each module's content once, in a file named by its SHA-256. The data plane only receives the names."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

Module = dict[str, str]  # name, content_type, sha256

_YOUNG_SECONDS = 3600  # an upload takes no longer; until its end no version names its files


@dataclass(frozen=True)
class NewModule:
    """A module of an upload."""

    name: str
    content_type: str
    content: bytes


class CodeFiles:
    """The code of one instance."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, modules: list[NewModule]) -> list[Module]:
        """Write modules and sync them to the disk."""
        kept = [
            {"name": module.name, "content_type": module.content_type, "sha256": self.store(module.content)}
            for module in modules
        ]
        _sync(self._folder)
        return kept

    def store(self, content: bytes) -> str:
        """Write one content, and return its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / digest
        try:
            os.utime(path)
        except FileNotFoundError:
            draft = self._folder / f"draft-{uuid4().hex}"
            with draft.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        return digest

    def read(self, digest: str) -> bytes:
        """Read a content."""
        return (self._folder / digest).read_bytes()

    def size(self, digest: str) -> int:
        """Return the size of a content in bytes."""
        return (self._folder / digest).stat().st_size

    def keep_only(self, digests: set[str]) -> None:
        """Delete what no version needs, except files that an upload in progress may need."""
        oldest = time.time() - _YOUNG_SECONDS
        for path in self._folder.iterdir():
            if path.name not in digests and path.stat().st_mtime < oldest:
                path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

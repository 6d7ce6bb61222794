"""Uploads and downloads at a secret address that needs no token: the counterpart of R2's presigned URLs."""

import secrets
import time
from dataclasses import dataclass, field

_LIFETIME_SECONDS = 3600  # documented for exports ("Available for one hour")


@dataclass
class PresignedFile:
    """One file. Whoever has its key may upload or download it until it expires."""

    key: str
    owner: str  # the id of the database
    expires: float
    content: bytes | None = None  # None until it was uploaded


@dataclass
class PresignedFiles:
    """The current files. They are only in memory: a client that loses one by a restart begins again."""

    _by_key: dict[str, PresignedFile] = field(default_factory=dict[str, PresignedFile])

    def __len__(self) -> int:
        return len(self._by_key)

    def open(self, owner: str, content: bytes | None = None) -> PresignedFile:
        """Create an address for an upload or a download."""
        moment = time.monotonic()
        file = PresignedFile(secrets.token_urlsafe(32), owner, moment + _LIFETIME_SECONDS, content)
        self._by_key[file.key] = file
        return file

    def forget_expired(self) -> None:
        """Delete expired files."""
        moment = time.monotonic()
        self._by_key = {key: one for key, one in self._by_key.items() if one.expires > moment}

    def find(self, key: str) -> PresignedFile | None:
        """Find a file by its key."""
        file = self._by_key.get(key)
        return file if file is not None and file.expires > time.monotonic() else None

    def close(self, key: str) -> None:
        """Delete a file."""
        self._by_key.pop(key, None)

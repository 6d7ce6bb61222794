"""Files on their way in or out, by an address of their own that needs no token: what R2's presigned URLs are there."""

import secrets
import time
from dataclasses import dataclass, field

_LIFETIME_SECONDS = 3600  # documented of exports ("Available for one hour")


@dataclass
class PresignedFile:
    """One file. Who knows its key may send or fetch it, until it expires."""

    key: str
    owner: str  # the id of what it belongs to
    expires: float
    content: bytes | None = None  # None until it was sent


@dataclass
class PresignedFiles:
    """The files under way. They are in memory only: who loses one with a restart begins again."""

    _by_key: dict[str, PresignedFile] = field(default_factory=dict[str, PresignedFile])

    def __len__(self) -> int:
        return len(self._by_key)

    def open(self, owner: str, content: bytes | None = None) -> PresignedFile:
        """Make an address for a file that is to come, or to go."""
        moment = time.monotonic()
        file = PresignedFile(secrets.token_urlsafe(32), owner, moment + _LIFETIME_SECONDS, content)
        self._by_key[file.key] = file
        return file

    def forget_expired(self) -> None:
        """Let go of files that nobody may fetch any more."""
        moment = time.monotonic()
        self._by_key = {key: one for key, one in self._by_key.items() if one.expires > moment}

    def find(self, key: str) -> PresignedFile | None:
        """Find a file by its key."""
        file = self._by_key.get(key)
        return file if file is not None and file.expires > time.monotonic() else None

    def close(self, key: str) -> None:
        """Forget a file."""
        self._by_key.pop(key, None)

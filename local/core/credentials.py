"""Authentication in the local Cloudflare: its token and its account, and those in the environment."""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOCAL_ACCOUNT_ID = "0" * 32

TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105
ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"


_TOKEN_FILE = "api_token"  # noqa: S105 a name
_TOKEN_BYTES = 32  # 43 characters: the provider requires ^[0-9A-Za-z\-_]{40,80}$ for a token


def mint_token(state_dir: Path) -> None:
    """Create the token of a state folder, readable by its owner only, if it has none."""
    path = state_dir / _TOKEN_FILE
    if path.exists():
        return
    descriptor, name = tempfile.mkstemp(dir=state_dir)  # 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(_TOKEN_BYTES))
    try:
        with suppress(FileExistsError):  # of two concurrent starts the first token counts, and nobody reads half of one
            os.link(name, path)
    finally:
        Path(name).unlink()


def read_token(state_dir: Path) -> str:
    """Read the token of a state folder. Raises FileNotFoundError if the folder never had an instance."""
    return (state_dir / _TOKEN_FILE).read_text()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Credentials:
    """The tokens (as SHA-256 digests) and the account ids that this instance accepts."""

    token_digests: frozenset[str]
    account_ids: frozenset[str]

    @classmethod
    def of(cls, token: str, environment: Mapping[str, str] = os.environ) -> "Credentials":
        """Accept the folder's token, and the user's own token and account id if the environment has them."""
        tokens = {token, environment.get(TOKEN_VARIABLE, "")} - {""}
        accounts = {LOCAL_ACCOUNT_ID, environment.get(ACCOUNT_VARIABLE, "")} - {""}
        return cls(frozenset(map(_digest, tokens)), frozenset(accounts))

    def knows_token(self, token: str) -> bool:
        """Whether this bearer token is accepted."""
        digest = _digest(token)
        # All are compared, each in constant time, so that the duration reveals nothing about them.
        return sum(hmac.compare_digest(digest, known) for known in self.token_digests) > 0

    def knows_account(self, account_id: str) -> bool:
        """Whether this account exists here."""
        return account_id in self.account_ids

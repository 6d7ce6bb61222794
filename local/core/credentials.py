"""Who may call the local Cloudflare: its token, its account, and what the environment adds to them."""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

# The provider wants ^[0-9A-Za-z\-_]{40,80}$ of a token. It guards nothing but a loopback port, so it may be public.
LOCAL_API_TOKEN = "ephemera-local-api-token-0000000000000000"  # noqa: S105
LOCAL_ACCOUNT_ID = "0" * 32

TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105
ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Credentials:
    """The tokens (as SHA-256 digests) and the account ids that this instance answers to."""

    token_digests: frozenset[str]
    account_ids: frozenset[str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Credentials":
        """Read the local constants, and the user's own token and account id when the environment names them."""
        tokens = {LOCAL_API_TOKEN, environment.get(TOKEN_VARIABLE, "")} - {""}
        accounts = {LOCAL_ACCOUNT_ID, environment.get(ACCOUNT_VARIABLE, "")} - {""}
        return cls(frozenset(map(_digest, tokens)), frozenset(accounts))

    def knows_token(self, token: str) -> bool:
        """Whether a request with this bearer token is let in."""
        digest = _digest(token)
        # All are compared, each in constant time: how long it takes tells nothing about any of them.
        return sum(hmac.compare_digest(digest, known) for known in self.token_digests) > 0

    def knows_account(self, account_id: str) -> bool:
        """Whether this account exists here."""
        return account_id in self.account_ids

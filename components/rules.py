"""Rules for settings: each rule checks a value, reads a value from text, and says what it expects."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

MAX_TEXT_LENGTH = 5_000
"""The longest text that a binding can hold
(https://developers.cloudflare.com/workers/platform/limits/#environment-variables).
"""

URL = r"https?://[^\s@/?#]+([/?#]\S*)?"
"""A pattern of HTTP URLs without credentials."""


class Rule(Protocol):
    """A check of one setting."""

    @property
    def expected(self) -> str:
        """What a good value is, as error messages put it: ``expected …, got …``."""
        ...

    def parse(self, text: str) -> object:
        """Read a value from the config's text. A text that cannot be read is returned unchanged."""
        ...

    def accepts(self, value: object) -> bool:
        """Tell whether a value is good."""
        ...


@dataclass(frozen=True)
class OneOf:
    """An enum: one of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The words, in their order."""
        return f"one of {', '.join(self.words)}"

    def parse(self, text: str) -> object:
        """Return the text: words need no parsing."""
        return text

    def accepts(self, value: object) -> bool:
        """Tell whether it is one of the words."""
        return value in self.words


@dataclass(frozen=True)
class WholeNumber:
    """A whole number in a closed range; the setting's name contains its unit."""

    minimum: int
    maximum: int
    zero: str = ""
    """A word that the number 0 stands for, if 0 is outside the range."""

    @property
    def expected(self) -> str:
        """The range."""
        zero = f", or 0 for {self.zero}" if self.zero else ""
        return f"a whole number from {self.minimum} to {self.maximum}{zero}"

    def parse(self, text: str) -> object:
        """Read decimal digits with an optional sign."""
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text

    def accepts(self, value: object) -> bool:
        """Tell whether it is a number in the range, or the 0 that has a meaning of its own."""
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.minimum <= value <= self.maximum or (value == 0 and self.zero != "")


@dataclass(frozen=True)
class Choice:
    """One of a few whole numbers."""

    numbers: tuple[int, ...]

    @property
    def expected(self) -> str:
        """The numbers, in their order."""
        return " or ".join(map(str, self.numbers))

    def parse(self, text: str) -> object:
        """Read decimal digits."""
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else text

    def accepts(self, value: object) -> bool:
        """Tell whether it is one of the numbers."""
        return not isinstance(value, bool) and value in self.numbers


@dataclass(frozen=True)
class Fraction:
    """A number between 0 and 1."""

    expected: str = "a number from 0 to 1"

    def parse(self, text: str) -> object:
        """Read a decimal fraction."""
        return float(text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", text) else text

    def accepts(self, value: object) -> bool:
        """Tell whether it is in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


@dataclass(frozen=True)
class Pattern:
    """A text that matches a pattern; an optional one may be empty."""

    pattern: str
    expected: str
    optional: bool = False

    def parse(self, text: str) -> object:
        """Return the text: it needs no parsing."""
        return text

    def accepts(self, value: object) -> bool:
        """Tell whether the whole text matches."""
        if value == "" and self.optional:
            return True
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Truth:
    """A boolean."""

    expected: str = "true or false"

    def parse(self, text: str) -> object:
        """Read ``true`` or ``false``."""
        return {"true": True, "false": False}.get(text, text)

    def accepts(self, value: object) -> bool:
        """Tell whether the value is a boolean."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class ListOf:
    """Several different values of one kind. Config has a JSON list, or a text with spaces or commas between them."""

    item: Rule
    what: str
    maximum: int

    @property
    def expected(self) -> str:
        """The form and how many there may be."""
        return f"a list of at most {self.maximum} different {self.what}, {MAX_TEXT_LENGTH:,} characters in all"

    def parse(self, text: str) -> object:
        """Read a JSON array, in which form Pulumi passes lists, or words."""
        texts = read_list(text)
        return text if texts is None else tuple(self.item.parse(each) for each in texts)

    def accepts(self, value: object) -> bool:
        """Tell whether all values are good."""
        if not isinstance(value, list | tuple):
            return False
        items = cast("Sequence[object]", value)
        if len(items) > self.maximum or not all(map(self.item.accepts, items)):
            return False
        return len(set(items)) == len(items) and len(" ".join(map(str, items))) <= MAX_TEXT_LENGTH


def read_list(text: str) -> list[str] | None:
    """Return the texts of a JSON array, or words separated by spaces or commas; None if the array is broken."""
    if not text.lstrip().startswith("["):
        return re.findall(r"[^\s,]+", text)
    try:
        items: list[Any] = json.loads(text)
    except ValueError:
        return None
    return [item if isinstance(item, str) else json.dumps(item) for item in items]


def read_json(text: str) -> Any:
    """Read JSON, in which form Pulumi passes lists and mappings. A text that is not JSON is returned unchanged."""
    try:
        return json.loads(text)
    except ValueError:
        return text


TOKEN_ROLES = ("submit", "read", "operate")

MAX_TOKENS = 10
"""We chose this limit; a larger number is most likely a typing error."""


@dataclass(frozen=True)
class ApiTokens:
    """Tokens of the API, each with a name and a role; a secret. In config each is ``NAME:ROLE:TOKEN``, or bare."""

    maximum: int
    is_secret: bool = field(default=True, init=False)

    @property
    def expected(self) -> str:
        """The form and how many there may be."""
        roles = ", ".join(TOKEN_ROLES)
        token = "TOKEN of 32 to 128 letters, digits or . _ ~ -"  # noqa: S105 it says what a token is
        return (
            f"a list of at most {self.maximum} different NAME:ROLE:TOKEN (ROLE one of {roles}; {token}) or bare TOKEN"
        )

    def parse(self, text: str) -> object:
        """Read tokens. A token without a name is named after its position, and has the role ``operate``."""
        return text if read_list(text) is None else read_api_tokens(text)

    def accepts(self, value: object) -> bool:
        """Tell whether all tokens are good and their names differ."""
        if not isinstance(value, list | tuple) or len(cast("Sequence[Any]", value)) > self.maximum:
            return False
        tokens = cast("Sequence[Any]", value)
        if not all(map(_is_api_token, tokens)):
            return False
        return all(len({each[key] for each in tokens}) == len(tokens) for key in ("name", "token"))


def read_api_tokens(text: str) -> tuple[dict[str, str], ...]:
    """Return the names, roles and tokens in a text; empty if it cannot be read."""
    return tuple(_api_token(each, number) for number, each in enumerate(read_list(text) or [], 1))


def _api_token(text: str, number: int) -> dict[str, str]:
    parts = text.split(":")
    if len(parts) == 1:
        return {"name": f"token-{number}", "role": "operate", "token": text}
    name, role, token = (*parts, "", "")[:3] if len(parts) <= 3 else ("", "", "")
    return {"name": name, "role": role, "token": token}


def _is_api_token(token: Any) -> bool:
    if not isinstance(token, dict):
        return False
    forms = {"name": r"[a-z][a-z0-9-]{0,31}", "role": "|".join(TOKEN_ROLES), "token": r"[A-Za-z0-9._~-]{32,128}"}
    fields = {"role": "operate", **cast("dict[str, Any]", token)}
    return fields.keys() == forms.keys() and all(
        isinstance(fields[key], str) and re.fullmatch(form, fields[key]) for key, form in forms.items()
    )


@dataclass(frozen=True)
class WebhookSecrets:
    """Secrets that sign callbacks, in the form of Standard Webhooks: a prefix, then the base64 of 24 to 64 bytes."""

    maximum: int
    is_secret: bool = field(default=True, init=False)

    @property
    def expected(self) -> str:
        """The form and how many there may be."""
        return f"a list of at most {self.maximum} different secrets, whsec_ and the base64 of 24 to 64 bytes"

    def parse(self, text: str) -> object:
        """Read secrets. A text that cannot be read is returned unchanged."""
        texts = read_list(text)
        return text if texts is None else tuple(texts)

    def accepts(self, value: object) -> bool:
        """Tell whether all secrets are good."""
        if not isinstance(value, list | tuple):
            return False
        secrets = cast("Sequence[object]", value)
        return len(set(secrets)) == len(secrets) <= self.maximum and all(map(_is_webhook_secret, secrets))


def _is_webhook_secret(secret: object) -> bool:
    if not isinstance(secret, str) or not secret.startswith("whsec_"):
        return False
    try:
        return 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    except ValueError:
        return False


@dataclass(frozen=True)
class CloudflareToken:
    """An API token of Cloudflare, which is a secret; empty for none."""

    permission: str
    """The permissions that the token needs, in Cloudflare's words."""
    is_secret: bool = field(default=True, init=False)

    @property
    def expected(self) -> str:
        """The form: that of the provider's own token, but longer ones are accepted."""
        return f"an API token of Cloudflare with the permission {self.permission} (40 to 255 letters, digits, - or _)"

    def parse(self, text: str) -> object:
        """Texts need no reading."""
        return text

    def accepts(self, value: object) -> bool:
        """Tell whether it can be a token."""
        return isinstance(value, str) and re.fullmatch(r"([A-Za-z0-9_-]{40,255})?", value) is not None


def is_secret(rule: Rule) -> bool:
    """Tell whether values of a rule must not be shown."""
    return bool(getattr(rule, "is_secret", False))


@dataclass(frozen=True)
class Anything:
    """Any value: the code that receives it checks it."""

    expected: str

    def parse(self, text: str) -> object:
        """Return the text."""
        return text

    def accepts(self, value: object) -> bool:  # noqa: ARG002 the protocol's
        """Accept every value; the code that receives it checks it."""
        return True


@dataclass(frozen=True)
class OnlyWith:
    """A setting that only has an effect while another setting has a certain value."""

    setting: str
    word: str
    reason: str
    """Why it has no effect otherwise."""

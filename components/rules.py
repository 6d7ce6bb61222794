"""What a setting's value may be: each rule checks a value, reads one from text and says what it expects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol, cast

MAX_TEXT_LENGTH = 5_000
"""Of a text that the Worker is told (https://developers.cloudflare.com/workers/platform/limits/#environment-variables)."""


class Rule(Protocol):
    """A check of one setting."""

    @property
    def expected(self) -> str:
        """What a good value is, as it stands in ``expected …, got …``."""
        ...

    def parse(self, text: str) -> object:
        """Read the value of a stack's config, which is always text; what cannot be read is returned as it came."""
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
        """Words need no reading."""
        return text

    def accepts(self, value: object) -> bool:
        """Tell whether it is one of the words."""
        return value in self.words


@dataclass(frozen=True)
class WholeNumber:
    """A whole number in a closed range; its unit stands in the setting's name."""

    minimum: int
    maximum: int

    @property
    def expected(self) -> str:
        """The range."""
        return f"a whole number from {self.minimum} to {self.maximum}"

    def parse(self, text: str) -> object:
        """Read decimal digits with an optional sign."""
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text

    def accepts(self, value: object) -> bool:
        """Tell whether it is a number in the range."""
        return isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value <= self.maximum


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
class Pattern:
    """A text of a given form."""

    pattern: str
    expected: str

    def parse(self, text: str) -> object:
        """Texts need no reading."""
        return text

    def accepts(self, value: object) -> bool:
        """Tell whether the whole text matches."""
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class Truth:
    """Yes or no."""

    expected: str = "true or false"

    def parse(self, text: str) -> object:
        """Read the two words."""
        return {"true": True, "false": False}.get(text, text)

    def accepts(self, value: object) -> bool:
        """Tell whether it is one or the other."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class Words:
    """Some words of a given form, each once; in a stack's config spaces or commas are between them."""

    pattern: str
    what: str
    maximum: int
    is_secret: bool = False
    """Whether nobody may read them."""

    @property
    def expected(self) -> str:
        """The form and how many there may be."""
        length = f"{MAX_TEXT_LENGTH:,} characters in all"
        return f"at most {self.maximum} different {self.what}, with spaces between them, {length}"

    def parse(self, text: str) -> object:
        """Read the words."""
        return tuple(re.findall(r"[^\s,]+", text))

    def accepts(self, value: object) -> bool:
        """Tell whether all of them have the form."""
        if not isinstance(value, tuple):
            return False
        words = cast("tuple[object, ...]", value)
        are_good = all(isinstance(word, str) and re.fullmatch(self.pattern, word) for word in words)
        if not are_good or len(set(words)) != len(words):
            return False
        return len(words) <= self.maximum and len(" ".join(map(str, words))) <= MAX_TEXT_LENGTH


@dataclass(frozen=True)
class OnlyWith:
    """A setting has a use only while another one has a certain value."""

    setting: str
    word: str
    reason: str
    """Why it has none otherwise."""

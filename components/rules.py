"""What a setting's value may be: each rule checks a value, reads one from text and says what it expects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol


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
class OnlyWith:
    """A setting has a use only while another one has a certain value."""

    setting: str
    word: str
    reason: str
    """Why it has none otherwise."""

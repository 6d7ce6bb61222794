"""What was acknowledged under the faults, and what of it is there afterwards."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.faults.events import Events


@dataclass
class Ledger:
    """Clients enter what was acknowledged to them, from several threads; `sent` may or may not have taken effect."""

    events: Events
    sent: Counter[str] = field(default_factory=Counter[str])
    acknowledged: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    pulled: Counter[str] = field(default_factory=Counter[str])
    settled: set[str] = field(default_factory=set[str])
    after_settled: int = 0
    unexpected: list[str] = field(default_factory=list[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, kind: str) -> None:
        """Enter a request that is on its way."""
        with self.lock:
            self.sent[kind] += 1

    def acknowledge(self, kind: str, name: str) -> None:
        """Enter what was acknowledged."""
        with self.lock:
            self.acknowledged.setdefault(kind, []).append(name)

    def names(self, kind: str) -> list[str]:
        """Name what was acknowledged."""
        return self.acknowledged.get(kind, [])

    def pull(self, name: str) -> None:
        """Enter a delivery."""
        with self.lock:
            self.pulled[name] += 1
            self.after_settled += name in self.settled

    def settle(self, names: list[str]) -> None:
        """Enter messages whose acknowledgement was acknowledged."""
        with self.lock:
            self.settled.update(names)

    def complain(self, text: str) -> None:
        """Enter an answer that no fault excuses."""
        with self.lock:
            self.unexpected.append(text)
        self.events.note(text)

    @property
    def redelivered(self) -> int:
        """How many deliveries were not a message's first."""
        return sum(self.pulled.values()) - len(self.pulled)

    def used_twice(self) -> list[str]:
        """Name what was given to two writes."""
        return [
            f"{kind} {name}" for kind, names in self.acknowledged.items() for name, n in Counter(names).items() if n > 1
        ]

"""The current rules of injected faults: they are only in memory, so a restart ends them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from local.products.faults.kinds import PRODUCTS, Kind
from local.runtime.data_plane_client import DataPlaneClient

LARGEST_COUNT = 100  # each call is checked against each rule
_ALL = "all"  # the id of the only list


@dataclass
class FaultRule:
    """A rule: which calls of a product fail, and how many have failed.

    Exactly one of `rate` (0 to 1), `nth` (a call's number from 1) and `per_second` is set. Times are epoch seconds.
    """

    id: str
    product: str
    error: str
    resource: tuple[str, str] | None  # id and name; None: all of the product
    calls: tuple[str, ...] | None  # None: all calls that the kind affects
    rate: float | None
    nth: int | None
    per_second: int | None
    latency_ms: tuple[float, float] | None
    seed: int
    created_at: float
    until: float | None  # None: until it is cleared
    seen: int = 0
    injected: int = 0

    @property
    def kind(self) -> Kind:
        """Its kind of fault."""
        return PRODUCTS[self.product].kinds[self.error]

    @property
    def is_over(self) -> bool:
        """Tell whether it has expired."""
        return self.until is not None and self.until <= datetime.now(UTC).timestamp()

    def runnable(self) -> dict[str, Any]:
        """Return it in the data plane's form: `FaultRule` in runtime/rules.js."""
        kind = self.kind
        return {
            "id": self.id,
            "product": self.product,
            "resource": self.resource and self.resource[0],
            "calls": self.calls or kind.calls,
            "effect": kind.effect,
            "message": kind.message,
            "status": kind.status,
            "properties": kind.properties,
            "rate": self.rate or 0,
            "nth": self.nth,
            "per_second": self.per_second or 0,
            "per_key": kind.per_key,
            "latency_ms": self.latency_ms,
            "seed": self.seed,
            "until_ms": None if self.until is None else self.until * 1000,
            "seen": self.seen,
            "injected": self.injected,
        }


class FaultRules:
    """All rules of an instance, in the control plane and in the data plane."""

    def __init__(self, data_plane: DataPlaneClient) -> None:
        self._data_plane = data_plane
        self._rules: list[FaultRule] = []
        self._lock = asyncio.Lock()

    async def read(self) -> list[FaultRule]:
        """Return all rules with their counts, in the order in which they were set."""
        async with self._lock:
            if self._rules:
                self._count(await self._data_plane.call("faults", _ALL, "counts"))
            return self._rules

    async def add(self, rule: FaultRule) -> None:
        """Add a rule, which applies to every later call. Raises OverflowError if there are too many."""
        async with self._lock:
            if len(self._rules) >= LARGEST_COUNT:
                raise OverflowError
            await self._put([*self._rules, rule])

    async def clear(self, rule_id: str | None = None) -> list[FaultRule]:
        """End one rule, or all; return the ended rules with their last counts."""
        async with self._lock:
            ended = [rule for rule in self._rules if rule_id in (None, rule.id)]
            if ended:
                await self._put([rule for rule in self._rules if rule not in ended])
            return ended

    async def _put(self, rules: list[FaultRule]) -> None:
        body = {"rules": [rule.runnable() for rule in rules]}
        self._count(await self._data_plane.call("faults", _ALL, "set", body))
        self._rules = rules

    def _count(self, counts: dict[str, dict[str, int]]) -> None:
        for rule in self._rules:
            if rule.id in counts:
                rule.seen, rule.injected = counts[rule.id]["seen"], counts[rule.id]["injected"]

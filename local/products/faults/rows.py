"""Faults as rows of cells, for the command line."""

from typing import Any


def row(fault: dict[str, Any]) -> tuple[str, ...]:
    """Return a fault as a row of cells."""
    resource = "" if fault["resource"] is None else f" of {fault['resource']['name']}"
    calls = "" if fault["on"] is None else f" on {', '.join(fault['on'])}"
    until = "over" if fault["status"] == "over" else f"until {fault['expires_on'] or 'cleared'}"
    counts = f"{fault['faults']} of {fault['calls']} calls"
    return (fault["id"], f"{fault['product']} {fault['error']}{resource}{calls}", _which(fault), until, counts)


def _which(fault: dict[str, Any]) -> str:
    parts: list[str] = []
    if fault["per_second"] is not None:
        parts.append(f"above {fault['per_second']} a second")
    elif fault["nth"] is not None:
        parts.append(f"call {fault['nth']}")
    else:
        parts.append(f"rate {fault['rate']:g}, seed {fault['seed']}")
    if fault["latency_ms"] is not None:
        shortest, longest = fault["latency_ms"]
        parts.append(f"after {shortest:g} ms" if shortest == longest else f"after {shortest:g}-{longest:g} ms")
    return ", ".join(parts)

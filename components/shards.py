"""The shards of a deployment, and how their databases and queues are called: the first as if there were no others."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shards:
    """How many there are of a store's or an engine's resources."""

    count: int = 1
    protected: int = 0
    """How many of them, the first ones, must not be lost."""


def shard_resource(name: str, number: int) -> str:
    """Return the Pulumi name of a shard's resource: ``task-runner-db``, ``task-runner-db-1``."""
    return name if number == 0 else f"{name}-{number}"


def shard_name(name: str, number: int, env: str) -> str:
    """Return Cloudflare's name of it, which ends in the environment: ``task-runner-db-1-dev``."""
    return f"{shard_resource(name, number)}-{env}"


def shard_binding(binding: str, number: int) -> str:
    """Return the binding of it, or the output (``worker/shards.js`` says the same): ``DB``, ``DB_1``."""
    return binding if number == 0 else f"{binding}_{number}"

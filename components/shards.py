"""Names of a deployment's shards: those of the first shard have no number, as if there were no others."""


def shard_resource(name: str, number: int) -> str:
    """Return the Pulumi name of a shard's resource: ``task-runner-db``, ``task-runner-db-1``."""
    return name if number == 0 else f"{name}-{number}"


def shard_binding(binding: str, number: int) -> str:
    """Return the binding of a shard (the same as in ``worker/shards.js``): ``DB``, ``DB_1``."""
    return binding if number == 0 else f"{binding}_{number}"

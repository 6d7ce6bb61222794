"""Which resource to delete first, and which not at all."""

from collections.abc import Collection

from local.pulumi.errors import StepError
from local.pulumi.state import Resource
from local.pulumi.urn import label


def deletion_order(resources: Collection[Resource]) -> list[Resource]:
    """Sort for deletion: the reverse of the order they were made in, but none before a resource that needs it."""
    waiting = list(resources)
    ordered: list[Resource] = []
    while waiting:
        needed = {urn for resource in waiting for urn in resource.needs() if urn != resource.urn}
        free = [resource for resource in waiting if resource.urn not in needed]
        following = (free or waiting)[-1]
        waiting.remove(following)
        ordered.append(following)
    return ordered


def refuse_protected(resources: Collection[Resource]) -> None:
    """Raise StepError when one of these is protected."""
    for resource in resources:
        if resource.protect and not resource.replaced:
            raise protected_error(resource, "deleted")


def protected_error(resource: Resource, fate: str) -> StepError:
    """Say that a protected resource would be deleted or replaced, and what to do."""
    return StepError(
        resource.urn,
        f"{label(resource.urn)} would be {fate}, but it is protected: nothing was touched. If you mean it, set "
        "protect=False in the program, run `up`, and then repeat this; "
        "`python -m local reset` deletes everything",
    )

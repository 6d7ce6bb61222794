"""The order of deletions, and the protection of resources."""

from collections.abc import Collection

from local.pulumi.errors import StepError
from local.pulumi.state import Resource
from local.pulumi.urn import label


def deletion_order(resources: Collection[Resource]) -> list[Resource]:
    """Sort for deletion: the reverse of the order of creation, but no resource before those that need it."""
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
    """Raise StepError if one of these is protected."""
    for resource in resources:
        if resource.protect and not resource.replaced:
            raise protected_error(resource, "deleted")


def protected_error(resource: Resource, fate: str) -> StepError:
    """Return the error that a protected resource would be deleted or replaced, with what the user can do."""
    return StepError(
        resource.urn,
        f"{label(resource.urn)} would be {fate}, but it is protected: nothing was touched. If you mean it, set "
        "protect=False in the program, run `up`, and then repeat this; "
        "`python -m local reset` deletes everything",
    )

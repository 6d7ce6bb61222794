"""Names of projects and stacks, which become file names and parts of URNs."""

import re

from local.pulumi.errors import DeployError

# The Pulumi CLI's limit. Names that consist of periods are refused too, because they are not file names.
_LONGEST = 100
_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)


def check_name(kind: str, name: str) -> None:
    """Refuse the name of a project or stack that the Pulumi CLI would not accept. Raises DeployError."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise DeployError(
            f"{name!r} cannot be the name of a {kind}: expected 1 to {_LONGEST} letters, digits, hyphens, underscores "
            "or periods, and not periods alone"
        )

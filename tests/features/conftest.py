"""The stack under test, as the acceptance suite has it, and what its http handler delivers to."""

import pytest

from tests.acceptance.conftest import client, stack

__all__ = ["client", "receiver", "stack"]


@pytest.fixture(scope="session")
def receiver(request: pytest.FixtureRequest) -> str:
    """The address of a server that answers with what it got."""
    return str(request.config.getoption("--receiver"))

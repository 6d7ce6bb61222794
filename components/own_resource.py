"""Base of the task runner's own Pulumi resources, for which the Cloudflare provider has no type."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pulumi
from pulumi.dynamic import Resource, ResourceProvider

PACKAGE = "ephemera"
"""The name of the component's Pulumi package. Its types are ``ephemera:index:TaskRunner`` and so on."""


_hosting: list[bool] = []


def is_hosted() -> bool:
    """Tell whether this process is a Pulumi plugin that serves the component to programs in other languages."""
    return bool(_hosting)


def begin_hosting() -> None:
    """Record that this process is the component's plugin."""
    _hosting.append(True)


class OwnResource(Resource):
    """A resource whose provider is part of this package.

    In a Python program it is a dynamic resource: Pulumi stores a reference to its provider in the stack's state. A
    program in another language cannot run Python, so the component's plugin provides the resource there (``host.py``).
    """

    def __init__(self, name: str, properties: dict[str, Any], opts: pulumi.ResourceOptions | None) -> None:
        if is_hosted():
            pulumi.CustomResource.__init__(self, type_token(type(self)), name, properties, opts)
        else:
            with _unchanged_pickler():
                super().__init__(self.make_provider(), name, properties, opts)

    @classmethod
    @abstractmethod
    def make_provider(cls) -> ResourceProvider:
        """Return the resource's provider."""


def type_token(kind: type[OwnResource]) -> str:
    """Return the type token of a resource that the plugin provides."""
    return f"{PACKAGE}:index:{kind.__name__}"


@contextmanager
def _unchanged_pickler() -> Generator[None]:
    """Undo the patch that Pulumi's SDK applies to pickle when it serialises a provider.

    The SDK wraps this function each time and never unwraps it. After some hundreds of dynamic resources in one process,
    the next one would end in a RecursionError.
    """
    pickler, name = pickle._Pickler, "_batch_setitems"  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    before = getattr(pickler, name)
    try:
        yield
    finally:
        setattr(pickler, name, before)

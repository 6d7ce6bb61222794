"""Resources that the task runner brings itself, because the Cloudflare provider has none for what they do."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pulumi
from pulumi.dynamic import Resource, ResourceProvider

PACKAGE = "ephemera"
"""The name of the component's package in Pulumi: its types are ``ephemera:index:TaskRunner`` and so on."""


_hosting: list[bool] = []


def is_hosted() -> bool:
    """Tell whether this process gives the component to programs of other languages, as a plugin of Pulumi."""
    return bool(_hosting)


def begin_hosting() -> None:
    """Say that this process is the component's plugin."""
    _hosting.append(True)


class OwnResource(Resource):
    """A resource whose provider is written here.

    In a Python program it is a dynamic one: Pulumi keeps its provider by reference in the stack's state. A program of
    another language has no Python to run that with, so there the component's own plugin provides it (``host.py``).
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
        """Return what does the work."""


def type_token(kind: type[OwnResource]) -> str:
    """Return the type of a resource that the plugin provides."""
    return f"{PACKAGE}:index:{kind.__name__}"


@contextmanager
def _unchanged_pickler() -> Generator[None]:
    """Take back what Pulumi's SDK does to pickle as it writes a provider.

    It wraps this function each time, and never unwraps it: after some hundreds of dynamic resources in one process, the
    next one ends in a RecursionError.
    """
    pickler, name = pickle._Pickler, "_batch_setitems"  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    before = getattr(pickler, name)
    try:
        yield
    finally:
        setattr(pickler, name, before)

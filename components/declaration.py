"""What the code that declares the task runner's resources shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_cloudflare as cloudflare

from .names import Names
from .task_runner_args import TaskRunnerArgs

Bindings = dict[str, cloudflare.WorkerVersionBindingArgs]
"""The Worker's bindings, by name."""

PROTECTED_ENVIRONMENTS = frozenset({"uat", "prod"})
"""Environments whose stores are protected: a store in use cannot be deleted or replaced before it is unprotected."""


@dataclass(frozen=True)
class Declaration:
    """A component while its resources are being declared."""

    name: str
    """The component's name; its children's names begin with it."""
    args: TaskRunnerArgs
    names: Names
    base_options: pulumi.ResourceOptions
    """The options of every child."""
    provider_settings: Mapping[str, pulumi.Input[str | None]] | None
    """The settings of the Cloudflare provider that the component was given; None means the default provider."""

    def options(
        self,
        *,
        protect: bool | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
        ignore_changes: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        """Return the options of a child. If ``protect`` is None, the component's own option applies."""
        more = pulumi.ResourceOptions(
            protect=protect, depends_on=list(depends_on), ignore_changes=list(ignore_changes) or None
        )
        return pulumi.ResourceOptions.merge(self.base_options, more)

    def protects(self, in_use: bool) -> bool | None:
        """Return whether to protect a store. None means that the component's own ``protect`` applies."""
        return True if in_use and self.args.env in PROTECTED_ENVIRONMENTS else None


def text_of(value: Any) -> pulumi.Input[str]:
    """Return a setting as a string; the items of a list are joined by spaces."""
    return applied(value, _as_text)


def applied(value: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to a setting. If the setting is an output, the result is an output too."""
    if isinstance(value, pulumi.Output):
        return cast("pulumi.Output[Any]", value).apply(function)
    return function(value)


def readable(name: str, text: pulumi.Input[str]) -> cloudflare.WorkerVersionBindingArgs:
    """Return the binding of a text that everybody who can see the Worker may read.

    It is a JSON binding whose value is the text. The provider treats the `text` of a plain text binding as a secret,
    and a preview would not show how it changes.
    """
    written = pulumi.Output.json_dumps(text) if isinstance(text, pulumi.Output) else json.dumps(text)
    return cloudflare.WorkerVersionBindingArgs(type="json", name=name, json=written)


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, cast("Sequence[object]", value)))
    return str(value)

"""What the declarations of a task runner's resources share."""

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
"""What a Worker reaches its resources by, by name."""

PROTECTED_ENVIRONMENTS = frozenset({"uat", "prod"})
"""Where a store that is in use cannot be deleted or replaced before it is unprotected."""


@dataclass(frozen=True)
class Declaration:
    """A component in the making."""

    name: str
    """The component's: its children's names begin with it."""
    args: TaskRunnerArgs
    names: Names
    base_options: pulumi.ResourceOptions
    """Of every child."""
    provider_settings: Mapping[str, pulumi.Input[str | None]] | None
    """Of the Cloudflare provider that the component was given; None when that is the default one."""

    def options(
        self,
        *,
        protect: bool | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
        ignore_changes: Sequence[str] = (),
    ) -> pulumi.ResourceOptions:
        """Return the options of a child; where ``protect`` is None it is the component's own."""
        more = pulumi.ResourceOptions(
            protect=protect, depends_on=list(depends_on), ignore_changes=list(ignore_changes) or None
        )
        return pulumi.ResourceOptions.merge(self.base_options, more)

    def protects(self, in_use: bool) -> bool | None:
        """Return whether a store must not be lost; None where the component's own ``protect`` decides."""
        return True if in_use and self.args.env in PROTECTED_ENVIRONMENTS else None


def text_of(value: Any) -> pulumi.Input[str]:
    """Return a setting as a text: lists with spaces between their words."""
    return applied(value, _as_text)


def applied(value: Any, function: Callable[[Any], Any]) -> Any:
    """Return what a function makes of a setting, as an output where the setting is one."""
    if isinstance(value, pulumi.Output):
        return cast("pulumi.Output[Any]", value).apply(function)
    return function(value)


def readable(name: str, text: pulumi.Input[str]) -> cloudflare.WorkerVersionBindingArgs:
    """Return the binding of a text that everybody may read who can see the Worker.

    As JSON, whose value is the text: the provider takes the `text` of a plain text for a secret, as it does that of a
    secret one, and a preview would not show how it changes.
    """
    written = pulumi.Output.json_dumps(text) if isinstance(text, pulumi.Output) else json.dumps(text)
    return cloudflare.WorkerVersionBindingArgs(type="json", name=name, json=written)


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, cast("Sequence[object]", value)))
    return str(value)

"""Records in the stack's state which parts hold tasks, and refuses a change that would lose tasks silently.

Pulumi asks a resource's provider to check its new inputs against the old ones. It does so in a preview too, and before
anything that depends on the resource is created or deleted. So the check needs neither Cloudflare nor a clock, and
works offline. (A hook before the deletion would run only after the rest of the change is done, and `destroy` would need
the program for it.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ResourceProvider, UpdateResult
from pulumi.runtime import rpc

from .own_resource import OwnResource


class RecordedPart(TypedDict):
    """A part that holds tasks, or messages of tasks."""

    what: str
    """A description with Cloudflare's name of the part. Two parts with the same description are the same part."""
    keep: str
    """The setting and the value that keep the part: ``former_state_stores: d1``."""
    in_use: bool
    """Whether new tasks go there. A part that holds only former tasks may be removed."""


class PartsRecord(OwnResource, module="task-runner", name="Parts"):
    """The parts in which a task runner's stack keeps its tasks.

    A part that is in use cannot be removed at once: it has to become a former part first. Destroying the record deletes
    no tasks.
    """

    def __init__(
        self,
        resource_name: str,
        *,
        account_id: pulumi.Input[str],
        parts: Sequence[RecordedPart],
        deletes_objects: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the parts that hold tasks.

        Args:
            resource_name: the resource's name.
            account_id: the Cloudflare account that has the parts.
            parts: the parts in use, then the former ones.
            deletes_objects: whether to delete Durable Objects that are no longer used, together with their class.
            opts: the resource's options.
        """
        properties = {"account_id": account_id, "parts": list(parts), "deletes_objects": deletes_objects}
        super().__init__(resource_name, properties, opts)

    @classmethod
    def make_provider(cls) -> ResourceProvider:
        """Return the resource's provider."""
        return _PartsRecordProvider()


class _PartsRecordProvider(ResourceProvider):
    serialize_as_secret_always = False  # it holds no secrets

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse to remove a part in use, or a Durable Object class whose deletion the settings do not allow."""
        old: Sequence[RecordedPart] = _olds.get("parts") or []
        reasons = [_moved(_olds["account_id"])] if old and _has_moved(_olds, news) else _lost(old, news)
        return CheckResult(news, [CheckFailure("parts", reason) for reason in reasons])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the recorded parts with the wanted ones; the record can always be updated in place."""
        keys = ("account_id", "parts", "deletes_objects")
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in keys))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Record the parts."""
        return CreateResult("parts", props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Record the parts."""
        return UpdateResult(_news)


def _has_moved(olds: dict[str, Any], news: dict[str, Any]) -> bool:
    account_id = news.get("account_id")
    return isinstance(account_id, str) and account_id not in (olds["account_id"], rpc.UNKNOWN)


def _moved(account_id: str) -> str:
    return (
        f"this stack's tasks are in account {account_id}, and would be lost with a move to another one: "
        "make a stack of its own for the other account"
    )


def _lost(old: Sequence[RecordedPart], news: dict[str, Any]) -> list[str]:
    kept = {each["what"] for each in news["parts"]}
    gone = [each for each in old if each["what"] not in kept]
    reasons = [_lost_in_use(each) for each in gone if each["in_use"]]
    if any(_is_class(each) and not each["in_use"] for each in gone) and not news["deletes_objects"]:
        reasons.append(
            "Cloudflare keeps a class of Durable Objects until it is told to delete it with its data: take "
            "durable-object out of former_state_stores together with durable_object_data: delete"
        )
    return reasons


def _lost_in_use(part: RecordedPart) -> str:
    return (
        f"{part['what']} is in use, and this change would delete it with the tasks or messages in it. To change over, "
        f"keep it until they are over: set {part['keep']}. `python -m ops former` tells when; then take it out of the "
        "list. (For another env or jurisdiction, make a stack of its own.)"
    )


OBJECT_CLASS = "Durable Object class"
"""How the description of a Durable Object class begins."""


def _is_class(part: RecordedPart) -> bool:
    return part["what"].startswith(OBJECT_CLASS)

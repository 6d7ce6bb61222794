"""A record, in the stack's state, of what holds tasks: it refuses a change that would lose them without saying so.

Pulumi asks the provider of a resource to check its new inputs beside the old ones, in a preview too, and before
anything that depends on the resource is made or deleted. So the check needs neither Cloudflare nor a clock, and works
offline. (A hook before the deletion would run only once the rest of the change is done, and a `destroy` would need the
program for it.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ResourceProvider, UpdateResult
from pulumi.runtime import rpc

from .own_resource import OwnResource


class RecordedPart(TypedDict):
    """What holds tasks, or messages of tasks."""

    what: str
    """In words, with Cloudflare's name of it: two parts with the same words are the same part."""
    keep: str
    """The setting that keeps it, and the value: ``former_state_stores: d1``."""
    in_use: bool
    """Whether new tasks go there; those that only former tasks are in may be taken away."""


class PartsRecord(OwnResource, module="task-runner", name="Parts"):
    """What a task runner's stack keeps its tasks in.

    A part that is in use cannot go at once: it has to be a former one first. Destroying the record does nothing.
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
        """Declare what holds tasks.

        Args:
            resource_name: the resource's name.
            account_id: the Cloudflare account that has the parts.
            parts: those in use, then the former ones.
            deletes_objects: whether Durable Objects that are in no use any more are to be deleted with their class.
            opts: the resource's options.
        """
        properties = {"account_id": account_id, "parts": list(parts), "deletes_objects": deletes_objects}
        super().__init__(resource_name, properties, opts)

    @classmethod
    def make_provider(cls) -> ResourceProvider:
        """Return what does the check."""
        return _PartsRecordProvider()


class _PartsRecordProvider(ResourceProvider):
    serialize_as_secret_always = False  # it holds nothing

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse to lose a part that is in use, and a class of Durable Objects before it is said what becomes of it."""
        old: Sequence[RecordedPart] = _olds.get("parts") or []
        reasons = [_moved(_olds["account_id"])] if old and _has_moved(_olds, news) else _lost(old, news)
        return CheckResult(news, [CheckFailure("parts", reason) for reason in reasons])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare what is recorded with what is to be; it can always change in place."""
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
"""How the words for a class of Durable Objects begin."""


def _is_class(part: RecordedPart) -> bool:
    return part["what"].startswith(OBJECT_CLASS)

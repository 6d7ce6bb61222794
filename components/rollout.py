"""Decides which versions of the Worker get which share of the traffic: the newest, a part of it, or an earlier one.

Cloudflare keeps every version, and a deployment names one or two of them with their shares. This resource stores in the
stack's state which version had the traffic before, and which schema, bindings and classes each version needs. So the
program makes no requests, and the preview refuses a rollout or a rollback that cannot work, offline too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import CheckFailure, CheckResult, CreateResult, DiffResult, ResourceProvider, UpdateResult
from pulumi.runtime import rpc

from .own_resource import OwnResource

HISTORY = 20
"""How many versions are remembered. Cloudflare deploys any of the 100 most recent ones
(https://developers.cloudflare.com/changelog/2025-09-11-increased-version-rollback-limit/)."""

ALL = 100

BREAKING = "-- breaks earlier code"
"""The comment that marks a migration whose schema earlier code cannot use."""


class Needs(TypedDict):
    """What a version needs. It can only run beside, or instead of, a version with the same needs."""

    parts: Sequence[str]
    """Stores and engines with their numbers of shards, in words."""
    classes: Sequence[str]
    """The Durable Object classes."""
    bindings: Sequence[str]
    """The bindings of the program's own handlers: each one's name and type."""
    migrations: Sequence[str]
    """The names of the schema's migrations."""
    tokens: str
    """A fingerprint of the list of API tokens; empty if there are none."""


class RolloutRefusedError(Exception):
    """The version cannot run with what the stack has now."""


class Rollout(OwnResource, module="task-runner", name="Rollout"):
    """The split of the traffic, and the history of the versions that had traffic."""

    split: pulumi.Output[list[dict[str, Any]]]
    """The versions to deploy, each with ``version_id`` and ``percentage``, the newest first: in this order a Durable
    Object that has the newer version keeps it while that version's share grows
    (https://developers.cloudflare.com/workers/versions-and-deployments/gradual-deployments/with-durable-objects/)."""

    def __init__(
        self,
        resource_name: str,
        *,
        version_id: pulumi.Input[str],
        rollout_percent: int,
        rollback_to: str,
        needs: pulumi.Input[Mapping[str, Any]],
        breaking: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare how to split the traffic.

        Args:
            resource_name: the resource's name.
            version_id: the id of the newest version.
            rollout_percent: the newest version's share of the traffic; the version that had all traffic keeps the rest.
            rollback_to: the id of an earlier version that is to get all traffic; empty for no rollback.
            needs: what the newest version needs, see ``Needs``.
            breaking: the names of the migrations after which earlier code cannot run.
            opts: the resource's options.
        """
        properties: dict[str, Any] = {
            "version_id": version_id,
            "rollout_percent": rollout_percent,
            "rollback_to": rollback_to,
            "needs": needs,
            "breaking": list(breaking),
            "split": None,
        }
        super().__init__(resource_name, properties, opts)

    @classmethod
    def make_provider(cls) -> ResourceProvider:
        """Return the resource's provider."""
        return _RolloutProvider()


INPUTS = ("version_id", "rollout_percent", "rollback_to", "needs", "breaking")


class _RolloutProvider(ResourceProvider):
    serialize_as_secret_always = False  # it holds no secrets

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse settings that a first deployment cannot have."""
        failures: list[CheckFailure] = []
        if not _olds:
            if news["rollback_to"]:
                reason = "there is no earlier version: this is the first deployment of the stack"
                failures.append(CheckFailure("rollback_to", reason))
            elif news["rollout_percent"] < ALL and any(news["needs"]["classes"]):
                reason = "expected 100 for the first deployment: a class of Durable Objects comes with all traffic"
                failures.append(CheckFailure("rollout_percent", reason))
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the inputs with the old state, and refuse versions that do not fit it.

        Raises:
            RolloutRefusedError: the versions do not fit; the message gives the reasons.
        """
        refuse_misfits(_olds, _news)
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in INPUTS))

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Give the first version all traffic."""
        return CreateResult("rollout", _decided({}, props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Compute the split again. Raises RolloutRefusedError."""
        refuse_misfits(_olds, _news)
        return UpdateResult(_decided(_olds, _news))


def _decided(olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    newest: str = news["version_id"]
    former: Sequence[Mapping[str, Any]] = olds.get("history") or []
    history: list[Mapping[str, Any]] = [each for each in former if each["version_id"] != newest]
    history = [*history, {"version_id": newest, **news["needs"]}][-HISTORY:]
    stable: str = olds.get("stable") or newest
    if news["rollback_to"]:
        stable = news["rollback_to"]
        split = [_share(stable, ALL)]
    elif news["rollout_percent"] < ALL and stable != newest:
        split = [_share(newest, news["rollout_percent"]), _share(stable, ALL - news["rollout_percent"])]
    else:
        stable = newest
        split = [_share(newest, ALL)]
    return {**news, "split": split, "stable": stable, "history": history}


def _share(version_id: str, percentage: float) -> dict[str, Any]:
    return {"version_id": version_id, "percentage": percentage}


def refuse_misfits(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """Refuse to roll back to a version, or to share traffic with one, that cannot run with what the stack has now.

    Args:
        olds: the old state.
        news: the new inputs.

    Raises:
        RolloutRefusedError: the version does not fit; the message gives all reasons.
    """
    history: Sequence[Mapping[str, Any]] = olds.get("history") or []
    known = {each["version_id"]: each for each in history}
    if news["rollback_to"]:
        setting, version_id = "rollback_to", news["rollback_to"]
        if version_id not in known:
            ids = ", ".join(reversed(known)) or "none"
            raise RolloutRefusedError(f"rollback_to: expected one of this stack's versions ({ids}), got {version_id}")
    elif news["rollout_percent"] < ALL:
        setting, version_id = "rollout_percent", olds.get("stable")
        if version_id is None or version_id == news["version_id"] or version_id not in known:
            return
    else:
        return
    reasons = misfits(known[version_id], news["needs"], news["breaking"])
    if reasons:
        raise RolloutRefusedError(
            f"{setting}: version {version_id} does not fit what the stack has now: {'; '.join(reasons)}"
        )


def misfits(former: Mapping[str, Any], needs: Mapping[str, Any], breaking: Sequence[str]) -> list[str]:
    """Return the reasons why a former version cannot run with the needs of the newest one; empty if it can."""
    reasons: list[str] = []
    for key, what in (("parts", "stores and engines"), ("classes", "Durable Object classes")):
        if sorted(former[key]) != sorted(needs[key]):
            reasons.append(f"it was made for other {what} ({_words(former[key])}, now {_words(needs[key])})")
    gone = [each for each in former["bindings"] if each not in needs["bindings"]]
    if gone:
        reasons.append(f"it needs bindings that are gone: {_words(gone)}")
    since = [name for name in breaking if name not in former["migrations"]]
    if since:
        reasons.append(f"its code cannot use the schema since {_words(since)}")
    if rpc.UNKNOWN not in (former["tokens"], needs["tokens"]) and former["tokens"] != needs["tokens"]:
        reasons.append("api_tokens are others since, and it would let the former ones in")
    return reasons


def _words(texts: Sequence[str]) -> str:
    return ", ".join(texts) or "none"

"""Which version gets which share: what is decided from the state, and what is refused because it does not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from components.rollout import HISTORY, Needs, Rollout, RolloutRefusedError
from components.worker_code import MIGRATIONS_FOLDER
from tests.unit.recorded_stack import RecordedStack, record_task_runner

NEEDS: Needs = {
    "parts": ["d1 of 1", "queue of 1"],
    "classes": [],
    "bindings": ["BUCKET r2_bucket"],
    "migrations": ["0001_tasks.sql"],
    "tokens": "abcd",
}


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The program's folder: modules for the upload are written there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("program"))
        yield


def asked(
    version: str, *, percent: int = 100, back: str = "", breaking: tuple[str, ...] = (), **needs: Any
) -> dict[str, Any]:
    return {
        "version_id": version,
        "rollout_percent": percent,
        "rollback_to": back,
        "needs": {**NEEDS, **needs},
        "breaking": list(breaking),
    }


class Stack:
    """A stack's state, which each `up` changes as Pulumi would."""

    def __init__(self) -> None:
        self.provider = Rollout.make_provider()
        self.state: dict[str, Any] = {}

    def up(self, news: Mapping[str, Any]) -> list[tuple[str, float]]:
        """Give what is deployed then."""
        checked = self.provider.check({} if not self.state else dict(self.state), dict(news))
        assert checked.failures == []
        if not self.state:
            self.state = self.provider.create(dict(news)).outs or {}
        elif self.provider.diff("rollout", self.state, dict(news)).changes:
            self.state = self.provider.update("rollout", self.state, dict(news)).outs or {}
        return [(each["version_id"], each["percentage"]) for each in self.state["split"]]


def test_a_new_version_has_all_the_traffic() -> None:
    stack = Stack()
    assert stack.up(asked("a")) == [("a", 100)]
    assert stack.up(asked("b")) == [("b", 100)]


def test_a_part_goes_to_the_new_version_and_grows() -> None:
    stack = Stack()
    stack.up(asked("a"))
    assert stack.up(asked("b", percent=10)) == [("b", 10), ("a", 90)]
    assert stack.up(asked("b", percent=50)) == [("b", 50), ("a", 50)]
    assert stack.up(asked("c", percent=50)) == [("c", 50), ("a", 50)]
    assert stack.up(asked("c")) == [("c", 100)]
    assert stack.up(asked("d", percent=1)) == [("d", 1), ("c", 99)]


def test_a_first_deployment_has_nothing_to_share_with() -> None:
    assert Stack().up(asked("a", percent=10)) == [("a", 100)]


def test_a_rollback_brings_an_earlier_version_back_and_what_follows_is_rolled_out_beside_it() -> None:
    stack = Stack()
    for version in ("a", "b"):
        stack.up(asked(version))
    assert stack.up(asked("b", back="a")) == [("a", 100)]
    assert stack.up(asked("c", percent=20)) == [("c", 20), ("a", 80)]
    assert stack.up(asked("c", back="b")) == [("b", 100)]


def test_nothing_asked_for_is_nothing_to_change() -> None:
    stack = Stack()
    stack.up(asked("a"))
    assert stack.provider.diff("rollout", stack.state, asked("a")).changes is False


def test_an_unknown_version_is_refused_with_those_that_there_are() -> None:
    stack = Stack()
    for version in ("a", "b"):
        stack.up(asked(version))
    with pytest.raises(RolloutRefusedError, match=r"expected one of this stack's versions \(b, a\), got x"):
        stack.up(asked("b", back="x"))
    for number in range(HISTORY):
        stack.up(asked(f"v{number}"))
    with pytest.raises(RolloutRefusedError, match="got a"):
        stack.up(asked("v9", back="a"))


MISFITS: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"parts": ["kv of 1", "former d1 of 1", "queue of 1"]}, (), "other stores and engines"),
    ({"parts": ["d1 of 4", "queue of 4"]}, (), "other stores and engines"),
    ({"classes": ["TaskObject"]}, (), r"other Durable Object classes \(none, now TaskObject\)"),
    ({"bindings": []}, (), "needs bindings that are gone: BUCKET r2_bucket"),
    ({"bindings": ["BUCKET kv_namespace"]}, (), "needs bindings that are gone: BUCKET r2_bucket"),
    ({"migrations": ["0001_tasks.sql", "0002_b.sql"]}, ("0002_b.sql",), "cannot use the schema since 0002_b.sql"),
    ({"tokens": "other"}, (), "api_tokens are others since, and it would let the former ones in"),
]


@pytest.mark.parametrize(("needs", "breaking", "reason"), MISFITS)
def test_what_does_not_fit_is_refused_both_ways(needs: dict[str, Any], breaking: tuple[str, ...], reason: str) -> None:
    stack = Stack()
    stack.up(asked("a"))
    with pytest.raises(RolloutRefusedError, match=f"rollout_percent: version a does not fit .*{reason}"):
        stack.up(asked("b", percent=10, breaking=breaking, **needs))
    with pytest.raises(RolloutRefusedError, match=f"rollback_to: version a does not fit .*{reason}"):
        stack.up(asked("b", back="a", breaking=breaking, **needs))
    assert stack.up(asked("b", breaking=breaking, **needs)) == [("b", 100)]


FITS: list[dict[str, Any]] = [
    {"bindings": ["BUCKET r2_bucket", "MORE d1"]},
    {"migrations": ["0001_tasks.sql", "0002_b.sql"]},
    {"tokens": rpc.UNKNOWN},
]


@pytest.mark.parametrize("needs", FITS)
def test_what_is_only_more_fits(needs: dict[str, Any]) -> None:
    stack = Stack()
    stack.up(asked("a"))
    assert stack.up(asked("b", percent=10, **needs)) == [("b", 10), ("a", 90)]


def test_a_preview_decides_though_the_new_version_has_no_id_yet() -> None:
    stack = Stack()
    stack.up(asked("a"))
    assert stack.provider.diff("rollout", stack.state, asked(rpc.UNKNOWN, percent=10)).changes is True
    with pytest.raises(RolloutRefusedError):
        stack.provider.diff("rollout", stack.state, asked(rpc.UNKNOWN, percent=10, classes=["TaskObject"]))


@pytest.mark.parametrize(
    ("news", "property_"),
    [(asked("a", back="b"), "rollback_to"), (asked("a", percent=10, classes=["TaskObject"]), "rollout_percent")],
)
def test_a_first_deployment_refuses_what_it_cannot_do(news: dict[str, Any], property_: str) -> None:
    (failure,) = Rollout.make_provider().check({}, news).failures
    assert failure.property == property_


# --- what the component asks for


def needs_of(stack: RecordedStack) -> dict[str, Any]:
    return stack.inputs("task-runner-rollout")["needs"]


def test_the_component_says_what_its_version_was_made_for() -> None:
    needs = needs_of(record_task_runner(api_tokens=[{"name": "ci", "token": "x" * 32}]))
    migrations = sorted(file.name for file in Path(MIGRATIONS_FOLDER).glob("*.sql"))
    tokens = needs.pop("tokens")
    assert len(tokens) == 16
    assert needs == {"parts": ["d1 of 1", "queue of 1"], "classes": [], "bindings": [], "migrations": migrations}
    others = needs_of(record_task_runner(api_tokens=[{"name": "ci", "token": "y" * 32}]))
    assert others["tokens"] not in ("", tokens)


def test_objects_are_named_and_deployed_at_once_only_to_all_traffic() -> None:
    stack = record_task_runner(state_store="durable-object", engine="workflow")
    assert needs_of(stack)["classes"] == ["TaskObject"]
    assert stack.inputs("task-runner-version")["deploy"] is True
    part = record_task_runner(state_store="durable-object", rollout_percent=10)
    back = record_task_runner(state_store="durable-object", rollback_to="0" * 8 + "-0000" * 3 + "-" + "0" * 12)
    assert all("deploy" not in each.inputs("task-runner-version") for each in (part, back))


def test_the_deployment_is_what_the_rollout_decides() -> None:
    stack = record_task_runner(rollout_percent=10)
    assert stack.inputs("task-runner-deployment")["versions"] == [{"versionId": "v2", "percentage": 100}]
    assert stack.inputs("task-runner-rollout")["rollout_percent"] == 10
    assert stack.precedes("task-runner-version", "task-runner-rollout")
    assert stack.precedes("task-runner-db-migrations", "task-runner-version")


def test_a_share_beside_a_rollback_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match="rollout_percent: expected to be unset with rollback_to"):
        record_task_runner(rollout_percent=10, rollback_to="0" * 8 + "-0000" * 3 + "-" + "0" * 12)

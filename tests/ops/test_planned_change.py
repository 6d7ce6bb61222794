"""What a plan says of each thing that a deployment may do."""

import pytest

from ops.planned_change import Effect, PlannedChange, Step, counted, lines, plan

PREFIX = "urn:pulumi:dev::ephemera::ephemera:index:TaskRunner$"


def urn(kind: str, name: str = "it") -> str:
    return f"{PREFIX}{kind}::{name}"


def of(kind: str) -> str:
    return f"cloudflare:index/{kind[0].lower()}{kind[1:]}:{kind}"


@pytest.mark.parametrize(
    ("operation", "kind", "effects"),
    [
        ("create", "Queue", [(Effect.CREATE, False)]),
        ("update", "QueueConsumer", [(Effect.CHANGE, False)]),
        ("replace", "QueueConsumer", [(Effect.CHANGE, False)]),
        ("replace", "WorkerVersion", [(Effect.CREATE, False)]),
        ("create", "WorkersDeployment", [(Effect.PUBLISH, False)]),
        ("replace", "WorkersDeployment", [(Effect.PUBLISH, False)]),
        ("create", "WorkersCustomDomain", [(Effect.PUBLISH, False)]),
        ("delete", "WorkersRoute", [(Effect.DESTROY, False)]),
        ("delete", "WorkerVersion", []),
        ("delete", "Queue", [(Effect.DESTROY, True)]),
        ("replace", "D1Database", [(Effect.CREATE, False), (Effect.DESTROY, True)]),
        ("delete", "Worker", [(Effect.DESTROY, False)]),
        ("same", "Queue", []),
        ("read", "Queue", []),
    ],
)
def test_what_becomes_of_a_resource(operation: str, kind: str, effects: list[tuple[Effect, bool]]) -> None:
    changes = plan([Step(operation, urn(of(kind)))])
    assert [(change.effect, change.loses_data) for change in changes] == effects


def test_a_worker_with_objects_takes_their_data_along() -> None:
    (change,) = plan([Step("delete", urn(of("Worker")))], has_objects=True)
    assert change.loses_data


@pytest.mark.parametrize("kind", ["pulumi:pulumi:Stack", "pulumi:providers:cloudflare", "ephemera:index:TaskRunner"])
def test_the_stack_its_providers_and_components_are_nothing_on_cloudflare(kind: str) -> None:
    assert plan([Step("create", urn(kind))]) == []


@pytest.mark.parametrize("kind", ["pulumi-python:dynamic/d1:Migrations", "ephemera:index:D1Migrations"])
def test_a_schema_is_shown_when_it_comes_and_goes_with_its_database(kind: str) -> None:
    assert [change.effect for change in plan([Step("create", urn(kind))])] == [Effect.CREATE]
    assert plan([Step("delete", urn(kind))]) == []


@pytest.mark.parametrize("kind", ["pulumi-python:dynamic/task-runner:Parts", "ephemera:index:Rollout"])
def test_what_is_in_the_state_alone_is_not_shown_but_is_to_be_done(kind: str) -> None:
    step = Step("update", urn(kind))
    assert (plan([step]), step.is_change) == ([], True)
    assert not Step("same", urn(kind)).is_change


def test_the_three_steps_of_a_replacement_are_one_change() -> None:
    steps = [
        Step(operation, urn(of("WorkersDeployment")), ("versions",))
        for operation in ("create-replacement", "replace", "delete-replaced")
    ]
    assert plan(steps) == [PlannedChange(Effect.PUBLISH, "WorkersDeployment", "it", ("versions",))]


def test_the_most_far_reaching_comes_last_and_all_are_counted() -> None:
    steps = [
        Step("delete", urn(of("Queue"), "old")),
        Step("create", urn(of("WorkersDeployment"), "code")),
        Step("update", urn(of("QueueConsumer"), "consumer"), ("a", "b", "c", "d", "e", "f")),
        Step("create", urn(of("Queue"), "new")),
    ]
    changes = plan(steps)
    assert [change.name for change in changes] == ["new", "consumer", "code", "old"]
    assert counted(changes) == "1 created, 1 changed, 1 published, 1 destroyed"
    assert counted([]) == "nothing to do"
    shown = lines(changes)
    assert [line.split()[0] for line in shown] == ["🟢", "🟡", "🔴", "💥"]
    assert "a, b, c, d and 2 more" in shown[1]
    assert shown[3].endswith("with its data")

"""Workflows: named by their path, created and updated by the same request."""

import pytest

from tests.deploy.conftest import Stack

WORKFLOW = """
    flow = cf.Workflow(
        "flow", account_id=ACCOUNT, workflow_name="{name}", class_name="{class_name}", script_name="runner"{more},
    )
    pulumi.export("id", flow.id)
"""


def program(stack: Stack, name: str = "one", class_name: str = "Flow", more: str = "") -> None:
    stack.program(WORKFLOW.format(name=name, class_name=class_name, more=more))


def test_a_workflow_is_put_where_its_name_says(stack: Stack) -> None:
    program(stack, more=', limits={"steps": 5}, schedules=[{"cron": "0 0 1 1 *"}]')
    stack.up()
    assert stack.outputs["id"] == "one"
    sent = {"class_name": "Flow", "script_name": "runner", "limits": {"steps": 5}, "schedules": [{"cron": "0 0 1 1 *"}]}
    assert stack.api.bodies("workflows/one") == [sent]
    assert stack.api.changes() == ["PUT workflows/one"]
    stack.up()
    assert stack.api.changes() == []
    stack.deploy("destroy")
    assert stack.api.changes() == ["DELETE workflows/one"]


def test_what_only_the_api_tells_is_no_change(stack: Stack) -> None:
    program(stack, more=', limits={"steps": 5}')
    stack.up()
    del stack.api.find("workflows/one")["limits"]  # it is never answered
    stack.api.find("workflows/one")["instances"] = {"running": 3}
    stack.deploy("refresh")
    stack.up()
    assert stack.api.changes() == ["PUT workflows/one"]


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        ({"class_name": "Other"}, ["PUT workflows/one"]),
        ({"name": "two"}, ["PUT workflows/two", "DELETE workflows/one"]),
    ],
)
def test_another_class_is_an_update_and_another_name_a_replacement(
    stack: Stack, change: dict[str, str], calls: list[str]
) -> None:
    program(stack)
    stack.up()
    stack.api.calls.clear()
    program(stack, **change)
    stack.up()
    assert stack.api.changes() == calls


def test_one_that_was_deleted_elsewhere_is_created_again(stack: Stack) -> None:
    program(stack)
    stack.up()
    stack.api.objects.pop(next(path for path in stack.api.objects if path.endswith("workflows/one")))
    stack.deploy("refresh")
    stack.api.calls.clear()
    stack.up()
    assert stack.api.changes() == ["PUT workflows/one"]

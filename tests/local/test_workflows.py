"""Workflows, their versions and their instances."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli import instance
from local.cli.instance import Instance
from tests.local.rest import ECHO, Rest, eventually, unique, version

FLOW = """
import { WorkflowEntrypoint } from "cloudflare:workers"

export class Flow extends WorkflowEntrypoint {
  async run(event, step) {
    const { nap, wait, poison } = event.payload
    const retries = { limit: 2, delay: 1, backoff: "constant" }
    const made = await step.do("make", { retries }, async () => {
      if (poison) throw new TypeError(poison)
      return { made: event.payload, VERSION: 1 }
    })
    if (nap) await step.sleep("nap", nap)
    if (wait) return (await step.waitForEvent("wait", { type: wait, timeout: "1 hour" })).payload
    return made
  }
}
export class Plain {}
export default {
  async fetch(request, env) {
    const id = new URL(request.url).searchParams.get("id")
    try {
      return Response.json(await (await env.FLOW.create({ id, params: { from: "the Worker" } })).status())
    } catch (error) {
      return new Response(error.message, { status: 500 })
    }
  },
}
"""
NOT_FOUND = (404, 10200, "workflows.api.error.workflow.not_found")
PUT_ANSWER = {  # recorded of the provider's reads
    "id",
    "name",
    "class_name",
    "script_name",
    "created_on",
    "modified_on",
    "is_deleted",
    "terminator_running",
    "triggered_on",
    "version_id",
}
NO_INSTANCE = (404, 10400, "workflows.api.error.instance.not_found")
UNKNOWN = "00000000-0000-0000-0000-000000000000"


def binding(name: str) -> dict[str, str]:
    return {"name": "FLOW", "type": "workflow", "workflow_name": name, "class_name": "Flow"}


def created(rest: Rest, **settings: Any) -> dict[str, Any]:
    """Make a workflow as a program does: the Worker first, bound to what comes after it."""
    name = unique("flow")
    worker = rest.deployed_worker(FLOW, bindings=[binding(name)])
    body = {"class_name": "Flow", "script_name": worker["name"], **settings}
    return rest.result("PUT", f"/workflows/{name}", body) | {"worker": worker}


def started(rest: Rest, workflow: dict[str, Any], instance_id: str | None = None, **params: Any) -> str:
    """Create an instance, and give its path."""
    body = {"params": params} | ({} if instance_id is None else {"instance_id": instance_id})
    made = rest.result("POST", f"/workflows/{workflow['name']}/instances", body)
    return f"/workflows/{workflow['name']}/instances/{made['id']}"


def reached(rest: Rest, path: str, status: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        told = rest.result("GET", path)
        return told if told["status"] == status else None

    return eventually(look)


def test_a_step_tells_all_that_it_gave_out(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    workflow = created(rest)
    long = {"text": "x" * 2000}
    path = started(rest, workflow, **long, wait="go")
    reached(rest, path, "waiting")
    assert rest.result("GET", path)["steps"][0]["output"].endswith("[truncated output]")
    step = sdk.workflows.instances.step(
        path.rsplit("/", 1)[-1],
        account_id=cloud.account_id,
        workflow_name=workflow["name"],
        name="make-1",
        type="step",
    )
    assert (step.status, step.error) == ("complete", None)
    assert step.output == {"made": long | {"wait": "go"}, "VERSION": 1}
    assert rest.result("GET", f"{path}/step?name=make-1&type=step&attempt=1")["status"] == "complete"
    waiting = {"status": "waiting", "output": None, "error": None, "event_type": "go"}
    assert rest.result("GET", f"{path}/step?name=wait-1&type=waitForEvent") == waiting
    rest.result("POST", f"{path}/events/go", {"some": "payload"})
    reached(rest, path, "complete")
    assert rest.result("GET", f"{path}/step?name=wait-1&type=waitForEvent")["status"] == "complete"
    for query in ("name=nowhere&type=step", "name=make-1&type=waitForEvent", "name=make-1&type=step&attempt=2"):
        assert rest.refusal("GET", f"{path}/step?{query}")[0] == 404
    for query in ("name=make-1", "type=step", "name=make-1&type=sleep", "name=make-1&type=step&attempt=0"):
        assert rest.refusal("GET", f"{path}/step?{query}")[:2] == (400, 10002)


def test_a_step_tells_of_each_attempt(rest: Rest) -> None:
    path = started(rest, created(rest), poison="rotten")
    reached(rest, path, "errored")
    failed = {"status": "errored", "output": None, "error": {"name": "TypeError", "message": "rotten"}}
    for attempt in ("", "&attempt=1", "&attempt=3"):
        assert rest.result("GET", f"{path}/step?name=make-1&type=step{attempt}") == failed
    assert rest.refusal("GET", f"{path}/step?name=make-1&type=step&attempt=4")[0] == 404


def test_instances_are_deleted_each_by_itself(rest: Rest) -> None:
    """What wrangler's deletion of instances sends, and reads of the answer (workers-sdk, src/workflows)."""
    workflow = created(rest)
    done, sleeping = started(rest, workflow, "done"), started(rest, workflow, "sleeping", nap="1 hour")
    reached(rest, done, "complete")
    reached(rest, sleeping, "waiting")
    path = f"/workflows/{workflow['name']}/instances/batch/delete"
    answer = rest.result("POST", path, {"instances": ["done", "nobody", "sleeping"]})
    assert answer == {
        "deleted": [{"id": "done"}, {"id": "sleeping"}],
        "errors": [{"id": "nobody", "code": 10400, "message": "workflows.api.error.instance.not_found"}],
    }
    assert rest.result("GET", f"/workflows/{workflow['name']}/instances") == []
    assert rest.refusal("GET", sleeping) == NO_INSTANCE
    assert rest.refusal("POST", path, {"instances": []})[:2] == (400, 10002)


def test_all_instances_can_be_terminated_at_once(rest: Rest) -> None:
    """What wrangler's terminate-all sends, and reads of the answer (workers-sdk, src/workflows)."""
    workflow = created(rest)
    sleeping = [started(rest, workflow, nap="1 hour") for _ in range(3)]
    waiting = started(rest, workflow, wait="go")
    done = started(rest, workflow)
    reached(rest, done, "complete")
    for path in (*sleeping, waiting):
        reached(rest, path, "waiting")
    paused = sleeping.pop()
    rest.result("PATCH", f"{paused}/status", {"status": "pause"})
    reached(rest, paused, "paused")
    path = f"/workflows/{workflow['name']}/instances/terminate"
    assert rest.result("PUT", f"{path}?status=waiting") == {"status": "ok"}
    for ended in (*sleeping, waiting):
        reached(rest, ended, "terminated")
    assert rest.result("GET", paused)["status"] == "paused"
    assert rest.result("PUT", path) == {"status": "ok"}
    reached(rest, paused, "terminated")
    assert rest.result("GET", done)["status"] == "complete"
    assert rest.refusal("PUT", f"{path}?status=complete")[:2] == (400, 10002)


def test_live_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    account, name = cloud.account_id, unique("flow")
    worker = rest.deployed_worker(FLOW)
    made = sdk.workflows.update(
        name, account_id=account, class_name="Flow", script_name=worker["name"], limits={"steps": 10}
    )
    assert (made.name, made.class_name, made.script_name) == (name, "Flow", worker["name"])
    assert (made.is_deleted, made.terminator_running, made.triggered_on) == (0, 0, None)
    got = sdk.workflows.get(name, account_id=account)
    assert (got.id, got.created_on, got.instances["running"]) == (made.id, made.created_on, 0)
    assert [one.name for one in sdk.workflows.list(account_id=account, search=name)] == [name]
    [only] = sdk.workflows.versions.list(name, account_id=account)
    assert (only.id, only.workflow_id, only.limits) == (made.version_id, made.id, only.limits)
    assert only.limits is not None
    assert only.limits.steps == 10
    assert sdk.workflows.versions.get(only.id, account_id=account, workflow_name=name).class_name == "Flow"

    run = sdk.workflows.instances.create(name, account_id=account, instance_id="one", params='{"wait": "go"}')
    assert (run.id, run.status, run.version_id, run.workflow_id) == ("one", "queued", made.version_id, made.id)
    eventually(lambda: rest.result("GET", f"/workflows/{name}/instances?status=waiting") or None)
    sdk.workflows.instances.events.create(
        "go", account_id=account, workflow_name=name, instance_id="one", body={"answer": 42}
    )
    reached(rest, f"/workflows/{name}/instances/one", "complete")
    told = sdk.workflows.instances.get("one", account_id=account, workflow_name=name)
    assert (told.output, told.success, told.trigger.source, told.step_count) == ('{"answer":42}', True, "api", 2)
    assert [step.type for step in told.steps] == ["step", "waitForEvent"]
    [listed] = sdk.workflows.instances.list(name, account_id=account)
    assert (listed.id, listed.status, listed.workflow_id) == ("one", "complete", made.id)
    assert sdk.workflows.get(name, account_id=account).instances["complete"] == 1
    deleted = sdk.workflows.delete(name, account_id=account)
    assert (deleted.status, deleted.success) == ("ok", True)
    with pytest.raises(Exception, match="10200"):
        sdk.workflows.get(name, account_id=account)


def test_a_poison_instance_ends_errored_after_its_retries(rest: Rest) -> None:
    workflow = created(rest)
    told = reached(rest, started(rest, workflow, poison="bad"), "errored")
    assert told["error"] == {"name": "TypeError", "message": "bad"}
    [step] = told["steps"]
    assert (step["name"], step["success"], step["output"]) == ("make-1", False, None)
    assert step["config"] == {"retries": {"limit": 2, "delay": 1, "backoff": "constant"}, "timeout": "10 minutes"}
    assert [(one["success"], one["error"]) for one in step["attempts"]] == [(False, told["error"])] * 3


def test_a_worker_s_binding_and_the_api_share_instances(rest: Rest) -> None:
    workflow = created(rest)
    answer = rest.visit(f"{workflow['worker']['subdomain']['url']}/?id=mine")
    assert answer.status_code == 200
    told = reached(rest, f"/workflows/{workflow['name']}/instances/mine", "complete")
    assert told["trigger"] == {"source": "binding"}
    assert told["params"] == {"from": "the Worker"}
    assert told["versionId"] == workflow["version_id"]
    again = rest.visit(f"{workflow['worker']['subdomain']['url']}/?id=mine")
    assert again.text == "(instance.already_exists) Instance already exists"


def test_a_version_may_bind_what_does_not_exist(rest: Rest) -> None:
    name = unique("flow")
    worker = rest.deployed_worker(FLOW, bindings=[binding(name)])
    assert "workflow.not_found" in rest.visit(worker["subdomain"]["url"]).text
    [shown] = rest.result("GET", f"/workers/workers/{worker['id']}/versions/latest")["bindings"]
    assert shown == binding(name)
    nameless = {"name": "FLOW", "type": "workflow"}
    path = f"/workers/workers/{worker['id']}/versions"
    message = "binding FLOW of type workflow must have a valid `workflow_name` specified"
    assert rest.refusal("POST", path, version(FLOW, bindings=[nameless])) == (400, 10021, message)


def test_put_makes_a_version_and_keeps_the_instances(rest: Rest) -> None:
    workflow = created(rest)
    before = started(rest, workflow)
    body = {"class_name": "Flow", "script_name": workflow["script_name"], "limits": {"steps": 5}}
    put = rest.result("PUT", f"/workflows/{workflow['name']}", body)
    assert set(put) == PUT_ANSWER
    assert (put["id"], put["created_on"]) == (workflow["id"], workflow["created_on"])
    assert put["version_id"] != workflow["version_id"]
    assert put["triggered_on"] is not None
    after = started(rest, workflow)
    assert reached(rest, before, "complete")["versionId"] == workflow["version_id"]
    assert reached(rest, after, "complete")["versionId"] == put["version_id"]
    versions = rest.result("GET", f"/workflows/{workflow['name']}/versions")
    assert [one["id"] for one in versions] == [put["version_id"], workflow["version_id"]]
    assert rest.refusal("GET", f"/workflows/{workflow['name']}/versions/{UNKNOWN}")[:2] == (404, 10300)


def test_new_code_goes_on_with_old_instances(rest: Rest) -> None:
    workflow = created(rest)
    path = started(rest, workflow, nap=10_000)
    reached(rest, path, "waiting")
    newer = version(FLOW.replace("return made", 'return "new code"'), bindings=[binding(workflow["name"])])
    rest.result("POST", f"/workers/workers/{workflow['worker']['id']}/versions?deploy=true", newer)
    assert reached(rest, path, "complete")["output"] == "new code"


def test_the_script_must_be_deployed_and_export_the_class(rest: Rest) -> None:
    path, worker = f"/workflows/{unique('flow')}", rest.deployed_worker(FLOW)
    refused = "workflows.api.error.internal_server: "
    absent = rest.refusal("PUT", path, {"class_name": "Flow", "script_name": "absent"})
    assert absent == (500, 10001, f"{refused}there is no Worker 'absent'")
    idle = rest.idle_worker()["name"]
    undeployed = rest.refusal("PUT", path, {"class_name": "Flow", "script_name": idle})
    assert undeployed == (500, 10001, f"{refused}Worker '{idle}' has no deployment")
    for class_name in ("Absent", "Plain", "default"):
        status, code, message = rest.refusal("PUT", path, {"class_name": class_name, "script_name": worker["name"]})
        assert (status, code) == (500, 10001)
        assert message.endswith(f"does not export a workflow class '{class_name}'")
    assert rest.refusal("GET", path) == NOT_FOUND


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "body: Expected object, received null"),
        ({"script_name": "s"}, "class_name: Required"),
        ({"class_name": "C"}, "script_name: Required"),
        ({"class_name": 1, "script_name": "s"}, "class_name: Expected string, received number"),
        (
            {"class_name": "C", "script_name": "s", "limits": {"steps": 0}},
            "limits.steps: Number must be greater than or equal to 1",
        ),
        ({"class_name": "C", "script_name": "s", "limits": 5}, "limits: Expected object, received number"),
    ],
)
def test_a_bad_body_is_refused(rest: Rest, body: Any, problem: str) -> None:
    path = f"/workflows/{unique('flow')}"
    assert rest.refusal("PUT", path, body) == (400, 10002, f"workflows.api.error.body: {problem}")


@pytest.mark.parametrize("name", ["-a", "a.b", "a%20b", "a" * 65])
def test_a_name_must_fit(rest: Rest, name: str) -> None:
    assert rest.refusal("PUT", f"/workflows/{name}", {"class_name": "C", "script_name": "s"})[:2] == (400, 10002)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "body: Expected object, received null"),
        ({"instance_id": 1}, "instance_id: Expected string, received number"),
        ({"params": "not JSON"}, "params: Expected JSON-encoded text: Expecting value: line 1 column 1 (char 0)"),
        ({"params": "x" * 1_048_576}, "params: Must be at most 1048576 bytes"),
    ],
)
def test_a_bad_instance_is_refused(rest: Rest, body: Any, problem: str) -> None:
    path = f"/workflows/{created(rest)['name']}/instances"
    assert rest.refusal("POST", path, body) == (400, 10002, f"workflows.api.error.body: {problem}")


def test_an_instance_s_id_has_a_form_and_is_taken_once(rest: Rest) -> None:
    workflow = created(rest)
    path = f"/workflows/{workflow['name']}/instances"
    for bad in ("", "-a", "a b", "ä", "a" * 101, "cf_" + "0" * 64):
        assert rest.refusal("POST", path, {"instance_id": bad})[:2] == (400, 10002)
    for good in ("a", "_", "A-1_" + "x" * 96):
        assert rest.result("POST", path, {"instance_id": good})["id"] == good
    taken = (409, 10405, "workflows.api.error.instance.already_exists")
    assert rest.refusal("POST", path, {"instance_id": "a"}) == taken


def test_a_batch_leaves_out_what_exists(rest: Rest) -> None:
    workflow = created(rest)
    path = f"/workflows/{workflow['name']}/instances"
    started(rest, workflow, "a")
    batch = [{"instance_id": "a"}, {"instance_id": "b", "params": {"n": 1}}, {}]
    made = rest.result("POST", f"{path}/batch", batch)
    assert [one["id"] for one in made] == ["b", made[1]["id"]]
    assert {one["status"] for one in made} == {"queued"}
    assert reached(rest, f"{path}/b", "complete")["output"] == '{"made":{"n":1},"VERSION":1}'
    assert rest.refusal("POST", f"{path}/batch", [])[:2] == (400, 10002)
    assert rest.refusal("POST", f"{path}/batch", [{}] * 101)[:2] == (400, 10002)
    assert rest.refusal("POST", f"{path}/batch", {})[:2] == (400, 10002)


def test_instances_are_paused_resumed_terminated_and_restarted(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    workflow = created(rest)
    path = started(rest, workflow, "a", nap=400)

    def edit(status: Any) -> str:
        edited = sdk.workflows.instances.status.edit(
            "a", account_id=cloud.account_id, workflow_name=workflow["name"], status=status
        )
        return edited.status

    reached(rest, path, "waiting")
    assert edit("pause") in {"waitingForPause", "paused"}
    reached(rest, path, "paused")
    edit("resume")
    reached(rest, path, "complete")
    refused = rest.refusal("PATCH", f"{path}/status", {"status": "terminate"})
    assert refused == (400, 10401, "workflows.api.error.instance.cannot_terminate")
    edit("restart")
    reached(rest, path, "waiting")
    assert edit("terminate") == "terminated"
    told = reached(rest, path, "terminated")
    assert (told["success"], told["steps"][-1]["type"]) == (False, "termination")
    assert rest.refusal("PATCH", f"{path}/status", {"status": "stop"})[:2] == (400, 10002)


def test_lists_have_pages_cursors_and_filters(rest: Rest) -> None:
    workflow = created(rest)
    path = f"/workflows/{workflow['name']}/instances"
    for name in "abc":
        reached(rest, started(rest, workflow, name), "complete")
    reached(rest, started(rest, workflow, "d", nap="1 hour"), "waiting")
    first = rest.send("GET", f"{path}?per_page=3").json()
    assert [one["id"] for one in first["result"]] == ["d", "c", "b"]
    info = first["result_info"]
    assert (info["count"], info["total_count"], info["page"]) == (3, 4, 1)
    last = rest.send("GET", f"{path}?per_page=3&cursor={info['cursor']}").json()
    assert [one["id"] for one in last["result"]] == ["a"]
    assert "cursor" not in last["result_info"]
    assert [one["id"] for one in rest.result("GET", f"{path}?per_page=3&page=2")] == ["a"]
    assert rest.result("GET", f"{path}?page=9") == []
    assert [one["id"] for one in rest.result("GET", f"{path}?direction=asc&status=complete")] == ["a", "b", "c"]
    assert rest.result("GET", f"{path}?date_start=2100-01-01T00:00:00Z") == []
    cursors = ("cursor=!", "cursor=LTU=", "cursor=MQ==&page=1")  # the second one says -5
    for bad in ("status=odd", *cursors, "date_end=soon", "direction=up", "page=0"):
        assert rest.refusal("GET", f"{path}?{bad}")[:2] == (400, 10002)
    for name in ("one", "two"):
        rest.result(
            "PUT",
            f"/workflows/{workflow['name']}-{name}",
            {"class_name": "Flow", "script_name": workflow["script_name"]},
        )
    found = rest.send("GET", f"/workflows?search={workflow['name']}&per_page=2&page=2").json()
    assert [one["name"] for one in found["result"]] == [workflow["name"]]
    assert found["result_info"] == {"page": 2, "per_page": 2, "count": 1, "total_count": 3, "total_pages": 2}


def test_steps_are_turned_round_or_left_out(rest: Rest) -> None:
    path = started(rest, created(rest), nap=10)
    names = [step["name"] for step in reached(rest, path, "complete")["steps"]]
    assert names == ["make-1", "nap-1"]
    assert [step["name"] for step in rest.result("GET", f"{path}?order=desc")["steps"]] == names[::-1]
    simple = rest.result("GET", f"{path}?simple=true")
    assert simple["step_count"] == 2
    assert "steps" not in simple


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/versions", None),
        ("GET", "/instances", None),
        ("POST", "/instances", {"params": 1}),
        ("POST", "/instances/batch", None),
        ("GET", "/instances/a", None),
        ("PATCH", "/instances/a/status", {"status": "pause"}),
        ("POST", "/instances/a/events/go", None),
    ],
)
def test_an_unknown_workflow_is_not_found(rest: Rest, method: str, path: str, body: Any) -> None:
    assert rest.refusal(method, f"/workflows/unknown{path}", body) == NOT_FOUND


def test_an_unknown_instance_is_not_found(rest: Rest) -> None:
    path = f"/workflows/{created(rest)['name']}/instances/unknown"
    assert rest.refusal("GET", path) == NO_INSTANCE
    assert rest.refusal("PATCH", f"{path}/status", {"status": "pause"}) == NO_INSTANCE
    assert rest.refusal("POST", f"{path}/events/go", {}) == (404, 10201, NO_INSTANCE[2])


def test_instances_go_with_their_workflow(rest: Rest) -> None:
    workflow = created(rest)
    path = started(rest, workflow, "a", nap="1 hour")
    assert rest.result("DELETE", f"/workflows/{workflow['name']}") == {"status": "ok", "success": True}
    body = {"class_name": "Flow", "script_name": workflow["script_name"]}
    again = rest.result("PUT", f"/workflows/{workflow['name']}", body)
    assert again["id"] != workflow["id"]
    assert rest.refusal("GET", path) == NO_INSTANCE


def test_outlive_their_worker_without_running(rest: Rest) -> None:
    workflow = created(rest)
    path = started(rest, workflow, "a", nap=100)
    rest.result("DELETE", f"/workers/workers/{workflow['worker']['id']}")
    assert rest.result("GET", f"/workflows/{workflow['name']}")["script_deleted"] is True
    assert rest.result("GET", path)["params"] == {"nap": 100}
    assert rest.result("DELETE", f"/workflows/{workflow['name']}")["success"] is True


def test_code_without_the_class_stops_nothing_for_good(rest: Rest) -> None:
    workflow = created(rest)
    path = started(rest, workflow, nap=8_000)
    versions = f"/workers/workers/{workflow['worker']['id']}/versions?deploy=true"
    rest.result("POST", versions, version(ECHO))
    time.sleep(8)
    assert rest.result("GET", path)["status"] == "waiting"
    rest.result("POST", versions, version(FLOW, bindings=[binding(workflow["name"])]))
    reached(rest, path, "complete")


@pytest.fixture
def state_dir(tmp_path: Path) -> Generator[Path]:
    state_dir = tmp_path / "state"
    yield state_dir
    instance.stop(state_dir)


def test_instances_go_on_after_a_restart_of_everything(state_dir: Path) -> None:
    cloud, _ = instance.start(state_dir, port=0)
    with Rest(cloud) as rest:
        workflow = created(rest)
        sleeping = started(rest, workflow, "sleeping", nap=1500)
        waiting = started(rest, workflow, "waiting", wait="go")
        done = started(rest, workflow, "done")
        for path, status in ((sleeping, "waiting"), (waiting, "waiting"), (done, "complete")):
            reached(rest, path, status)
    instance.stop(state_dir)
    cloud, _ = instance.start(state_dir)
    with Rest(cloud) as rest:
        told = reached(rest, sleeping, "complete")
        assert [len(step["attempts"]) for step in told["steps"] if step["type"] == "step"] == [1]
        assert rest.result("GET", done)["status"] == "complete"
        rest.result("POST", f"{waiting}/events/go", "went")
        assert reached(rest, waiting, "complete")["output"] == "went"

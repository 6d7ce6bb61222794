"""Workers as services, and who refers to them: what wrangler reads before it deploys or deletes."""

import pytest

from tests.local.rest import ECHO, Rest, unique

OBJECTS = """
import { DurableObject } from "cloudflare:workers"
export class Counter extends DurableObject {}
export default { fetch() { return new Response("ok") } }
"""
NO_SERVICE = (404, 10090, "This Worker does not exist on this account.")  # quoted in public code


def test_a_service_is_a_worker_with_one_environment(rest: Rest) -> None:
    worker = rest.deployed_worker()
    service = rest.result("GET", f"/workers/services/{worker['name']}")
    assert service["id"] == worker["name"]
    assert [one["environment"] for one in service["environments"]] == ["production"]
    script = service["default_environment"]["script"]
    assert (script["id"], script["tag"]) == (worker["name"], worker["id"])
    assert script["tags"] == []
    assert script["handlers"] == ["fetch", "scheduled", "queue"]
    assert rest.result("GET", f"/workers/services/{rest.idle_worker()['name']}")["id"]
    assert rest.refusal("GET", "/workers/services/nobody") == NO_SERVICE
    assert rest.refusal("DELETE", "/workers/services/nobody") == NO_SERVICE


def test_a_worker_that_others_bind_stays_unless_forced(rest: Rest) -> None:
    """10142 and its text are quoted in public code."""
    used, user = unique("used"), unique("user")
    migrations = {"new_tag": "v1", "new_sqlite_classes": ["Counter"]}
    rest.upload(used, OBJECTS, migrations=migrations)
    assert rest.result("GET", f"/workers/scripts/{used}/references") == {}
    bindings = [
        {"name": "SERVICE", "type": "service", "service": used},
        {"name": "COUNTER", "type": "durable_object_namespace", "class_name": "Counter", "script_name": used},
    ]
    rest.upload(user, ECHO, bindings=bindings)
    references = rest.result("GET", f"/workers/scripts/{used}/references")
    reference = {"name": user, "service": user, "environment": "production"}
    assert references["services"] == {"incoming": [reference], "outgoing": [], "pages_function": False}
    assert [one["durable_object_namespace_name"] for one in references["durable_objects"]] == ["Counter"]
    outgoing = rest.result("GET", f"/workers/scripts/{user}/references")["services"]["outgoing"]
    assert [one["service"] for one in outgoing] == [used]
    message = (
        f"Cannot delete service '{used}' because it is still referenced by service bindings in Workers '{user}'."
        " Please remove bindings pointing to it and try again."
    )
    for path in (f"/workers/services/{used}?force=false", f"/workers/scripts/{used}", f"/workers/workers/{used}"):
        assert rest.refusal("DELETE", path) == (400, 10142, message)
    assert rest.result("DELETE", f"/workers/services/{used}?force=true") is None
    assert rest.refusal("GET", f"/workers/scripts/{used}/references")[:2] == (404, 10007)


def test_a_worker_knows_whose_tail_it_gets(rest: Rest) -> None:
    producer, consumer = unique("producer"), unique("consumer")
    rest.upload(consumer)
    rest.upload(producer, tail_consumers=[{"service": consumer}])
    [tail] = rest.result("GET", f"/workers/tails/by-consumer/{consumer}")
    assert (tail["producer"], tail["consumer"]) == ({"script": producer}, {"script": consumer})
    assert rest.result("GET", f"/workers/tails/by-consumer/{producer}") == []


@pytest.mark.parametrize("kind", ["scripts", "services", "workers"])
def test_a_queue_consumer_stays(rest: Rest, kind: str) -> None:
    worker, queue = rest.deployed_worker(), rest.queue()
    body = {"type": "worker", "script_name": worker["name"]}
    rest.result("POST", f"/queues/{queue['queue_id']}/consumers", body)
    assert rest.refusal("DELETE", f"/workers/{kind}/{worker['name']}?force=true")[:2] == (403, 10064)


def test_there_are_no_containers(rest: Rest) -> None:
    assert rest.result("GET", "/containers/applications") == []

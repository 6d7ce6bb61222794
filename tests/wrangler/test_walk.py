"""What else wrangler has for Workers, D1, KV, Queues and Workflows: each command, with what came of it."""

import json
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually
from tests.wrangler.wrangler_cli import Wrangler

WALKER = Path(__file__).parent / "walker/index.js"
NAME, QUEUE, DLQ, DATABASE, FLOW = "walker", "walker-queue", "walker-dlq", "walker-db", "walker-saga"


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder = tmp_path_factory.mktemp("walker")
    shutil.copy(WALKER, folder)
    return Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))


def write_config(wrangler: Wrangler, **more: Any) -> None:
    config = {
        "name": NAME,
        "main": "index.js",
        "compatibility_date": "2026-03-01",
        "vars": {"GREETING": "hello"},
        "version_metadata": {"binding": "VERSION"},
        "d1_databases": [{"binding": "DB", "database_name": DATABASE}],
        "kv_namespaces": [{"binding": "CACHE"}],
        "queues": {
            "producers": [{"binding": "TASKS", "queue": QUEUE}],
            "consumers": [{"queue": QUEUE, "dead_letter_queue": DLQ, "max_concurrency": 2}],
        },
        "durable_objects": {"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
        "migrations": [{"tag": "v1", "new_sqlite_classes": ["Counter"]}],
        "workflows": [{"binding": "SAGA", "name": FLOW, "class_name": "Saga"}],
        "triggers": {"crons": ["0 3 * * *"]},
        "observability": {"enabled": True},
    }
    (wrangler.folder / "wrangler.json").write_text(json.dumps(config | more))


def address(rest: Rest) -> str:
    return rest.result("GET", f"/workers/workers/{NAME}")["subdomain"]["url"]


def asked(rest: Rest) -> dict[str, Any]:
    return rest.visit(address(rest)).json()


def version_ids(wrangler: Wrangler) -> list[str]:
    """List the versions, oldest first."""
    return [version["id"] for version in wrangler.json("versions", "list", "--json")]


def test_whoami(wrangler: Wrangler, cloud: Instance) -> None:
    assert cloud.account_id in wrangler("whoami")


def test_a_first_deployment_provisions_what_has_no_id(wrangler: Wrangler, rest: Rest) -> None:
    write_config(wrangler)
    wrangler.together(f"queues create {QUEUE}", f"queues create {DLQ}")
    said = wrangler("deploy")
    for part in ("Provisioning DB", "Provisioning CACHE", "schedule: 0 3 * * *", f"workflow: {FLOW}"):
        assert part in said
    assert [one["name"] for one in rest.result("GET", "/d1/database")] == [DATABASE]
    assert rest.visit(f"{address(rest)}/count").json() == 1


def test_another_goes_by_versions_and_keeps_what_it_had(wrangler: Wrangler, rest: Rest) -> None:
    write_config(wrangler, vars={"GREETING": "hello again"}, triggers={"crons": []})
    said = wrangler("deploy")
    assert "env.DB (inherited)" in said
    assert asked(rest)["GREETING"] == "hello again"
    assert rest.visit(f"{address(rest)}/count").json() == 2
    assert rest.result("GET", f"/workers/scripts/{NAME}/schedules") == {"schedules": []}
    newest, first = rest.result("GET", f"/workers/scripts/{NAME}/versions")["items"]
    triggers = [one["annotations"]["workers/triggered_by"] for one in (first, newest)]
    assert triggers == ["upload", "version_upload"]
    assert newest["metadata"]["source"] == "wrangler"


def test_triggers_are_deployed_by_themselves(wrangler: Wrangler, rest: Rest) -> None:
    write_config(wrangler, triggers={"crons": ["0 4 * * *"]})
    assert "schedule: 0 4 * * *" in wrangler("triggers", "deploy")
    [schedule] = rest.result("GET", f"/workers/scripts/{NAME}/schedules")["schedules"]
    assert schedule["cron"] == "0 4 * * *"


def test_secrets(wrangler: Wrangler, rest: Rest) -> None:
    assert "Uploaded secret SECRET" in wrangler("secret", "put", "SECRET", stdin="s3cret\n")
    assert "s3cret" in asked(rest).values()
    secrets = wrangler.folder / "secrets.json"
    secrets.write_text(json.dumps({"OTHER": "o", "SECRET": "n3w"}))
    assert "2 secrets successfully created" in wrangler("secret", "bulk", "secrets.json")
    assert {one["name"] for one in wrangler.json("secret", "list")} == {"OTHER", "SECRET"}
    assert "Deleted secret OTHER" in wrangler("secret", "delete", "OTHER")
    assert "n3w" in asked(rest).values()
    assert "OTHER" not in asked(rest)


def test_versions_and_deployments(wrangler: Wrangler, rest: Rest) -> None:
    old = version_ids(wrangler)[-1]
    write_config(wrangler, vars={"GREETING": "new"})
    wrangler("versions", "upload", "--message", "a message", "--tag", "a-tag")
    new = version_ids(wrangler)[-1]
    shown = wrangler.json("versions", "view", new, "--json")
    assert shown["annotations"]["workers/tag"] == "a-tag"
    assert "isn't currently deployed" in wrangler.fails("secret", "put", "LATE")
    assert asked(rest)["version"] == old
    wrangler("versions", "deploy", f"{new}@40%", f"{old}@60%", "--yes", "--message", "a split")
    status, listed = wrangler.together("deployments status --json", "deployments list --json")
    assert json.loads(listed)[-1] == json.loads(status)
    assert [(one["version_id"], one["percentage"]) for one in json.loads(status)["versions"]] == [(new, 40), (old, 60)]
    assert {asked(rest)["version"] for _ in range(40)} == {old, new}
    wrangler("versions", "deploy", f"{new}@100%", "--yes")
    assert asked(rest)["GREETING"] == "new"
    wrangler("rollback", old, "--yes", "--message", "back")
    assert asked(rest)["version"] == old


def test_secrets_of_versions(wrangler: Wrangler, rest: Rest) -> None:
    said = wrangler("versions", "secret", "put", "OTHER", stdin="later\n")
    assert "with secret OTHER" in said
    assert "OTHER" not in asked(rest)
    wrangler("versions", "secret", "bulk", "secrets.json")
    assert "with deleted secret OTHER" in wrangler("versions", "secret", "delete", "OTHER")
    newest = version_ids(wrangler)[-1]
    wrangler("versions", "deploy", f"{newest}@100%", "--yes")
    assert (asked(rest)["SECRET"], asked(rest)["version"]) == ("n3w", newest)
    assert "Secret Name: SECRET" in wrangler("versions", "secret", "list")


def test_a_rollback_to_other_secrets_asks_first(wrangler: Wrangler, rest: Rest) -> None:
    first = version_ids(wrangler)[0]
    said = wrangler("rollback", first, "--yes", "--message", "far back")
    assert "The following secrets have changed" in said
    assert "SECRET" not in asked(rest)


def test_keys_and_values(wrangler: Wrangler, rest: Rest) -> None:
    namespace = rest.result("GET", "/storage/kv/namespaces")[0]["id"]
    at = f"--remote --namespace-id {namespace}"
    (wrangler.folder / "pairs.json").write_text(json.dumps([{"key": "b", "value": "2"}, {"key": "c", "value": "3"}]))
    (wrangler.folder / "keys.json").write_text(json.dumps(["b", "c"]))
    wrangler.together(
        f"""kv key put a/1 one --metadata '{{"kind":"test"}}' --ttl 100 {at}""", f"kv bulk put pairs.json {at}"
    )
    value, listed, got = wrangler.together(
        f"kv key get a/1 --text {at}", f"kv key list --prefix a/ {at}", f"kv bulk get keys.json {at}"
    )
    assert value.strip() == "one"
    [key] = json.loads(listed)
    assert (key["name"], key["metadata"]) == ("a/1", {"kind": "test"})
    assert json.loads(got[got.index("{") :]) == {"b": "2", "c": "3"}
    wrangler.together(f"kv key delete a/1 {at}", f"kv bulk delete keys.json --force {at}")
    assert rest.result("GET", f"/storage/kv/namespaces/{namespace}/keys") == []
    assert "renamed" in wrangler("kv", "namespace", "rename", "--namespace-id", namespace, "--new-name", "renamed")


def test_queues(wrangler: Wrangler, rest: Rest) -> None:
    name = "walker-more"
    wrangler("queues", "create", name, "--delivery-delay-secs", "3", "--message-retention-period-secs", "3600")
    wrangler("queues", "pause-delivery", name)
    [queue] = rest.result("GET", f"/queues?name={name}")
    paused = {"delivery_delay": 3, "delivery_paused": True, "message_retention_period": 3600}
    assert queue["settings"] == paused
    wrangler("queues", "resume-delivery", name)
    wrangler("queues", "update", name, "--delivery-delay-secs", "1")
    [queue] = rest.result("GET", f"/queues?name={name}")
    assert queue["settings"] == paused | {"delivery_delay": 1, "delivery_paused": False}
    pull = "--batch-size 3 --message-retries 4 --visibility-timeout-secs 20"
    wrangler(*f"queues consumer http add {name} {pull} --dead-letter-queue {DLQ}".split())
    info, listed = wrangler.together(f"queues info {name}", f"queues consumer list {name}")
    assert "HTTP Pull Consumer" in info
    assert "http_pull" in listed.lower().replace(" ", "_")
    wrangler("queues", "consumer", "http", "remove", name)
    wrangler(*f"queues consumer add {name} {NAME} --batch-size 5 --batch-timeout 1 --max-concurrency 2".split())
    [queue] = rest.result("GET", f"/queues?name={name}")
    assert queue["consumers"][0]["settings"]["batch_size"] == 5
    wrangler("queues", "consumer", "remove", name, NAME)
    rest.result("POST", f"/queues/{queue['queue_id']}/messages", {"body": {"un": "read"}})
    assert "Purged Queue" in wrangler("queues", "purge", name, "--force")
    assert rest.result("GET", f"/queues/{queue['queue_id']}/metrics")["backlog_count"] == 0
    wrangler("queues", "delete", name)


def test_workflows(wrangler: Wrangler, rest: Rest) -> None:
    def reaches(instance: str, status: str) -> None:
        path = f"/workflows/{FLOW}/instances/{instance}"
        eventually(lambda: rest.result("GET", path)["status"] == status or None)

    instances = ("one", "two", "three")
    for said in wrangler.together(*(f"""workflows trigger {FLOW} '{{"step": 1}}' --id {name}""" for name in instances)):
        assert "has been queued" in said
    for instance in instances:
        reaches(instance, "waiting")
    listed, described, steps, table = wrangler.together(
        "workflows list",
        f"workflows describe {FLOW}",
        f"workflows instances describe {FLOW} one",
        f"workflows instances list {FLOW}",
    )
    assert FLOW in listed
    assert "Saga" in described
    assert "make-1" in steps
    assert all(instance in table for instance in instances)
    at = "workflows instances"
    wrangler.together(f"{at} pause {FLOW} one", f"{at} terminate {FLOW} two", f"{at} restart {FLOW} three")
    for instance, status in zip(instances, ("paused", "terminated", "waiting"), strict=True):
        reaches(instance, status)
    wrangler.together(f"{at} resume {FLOW} one", f"{at} send-event {FLOW} three --type go --payload '{{}}'")
    reaches("one", "waiting")
    wrangler("workflows", "instances", "terminate-all", FLOW)
    for instance in instances:
        reaches(instance, "terminated")
    assert 'Deleted workflow instances from "walker-saga": "two"' in wrangler(
        "workflows", "instances", "delete", FLOW, "two"
    )


def test_databases(wrangler: Wrangler) -> None:
    sql = "CREATE TABLE steps (n); INSERT INTO steps VALUES (1), (2)"
    wrangler.together(f"d1 execute {DATABASE} --remote --command '{sql}'", "d1 create walker-copy")
    wrangler("d1", "export", DATABASE, "--remote", "--output", "dump.sql")
    wrangler("d1", "execute", "walker-copy", "--remote", "--file", "dump.sql")
    query = "d1 execute walker-copy --remote --json --command 'SELECT sum(n) AS sum FROM steps'"
    found, info, listed = wrangler.together(query, "d1 info walker-copy --json", "d1 list --json")
    assert json.loads(found)[0]["results"] == [{"sum": 3}]
    assert json.loads(info)["num_tables"] == 1
    assert {one["name"] for one in json.loads(listed)} == {DATABASE, "walker-copy"}
    (wrangler.folder / "broken.sql").write_text("CREATE TABLE half (n); INSERT INTO nowhere VALUES (1);")
    assert "no such table: nowhere" in wrangler.fails("d1", "execute", "walker-copy", "--remote", "--file=broken.sql")
    wrangler("d1", "delete", "walker-copy", "-y")


def test_tail(wrangler: Wrangler, rest: Rest) -> None:
    url = address(rest)
    with wrangler.start("tail", NAME, "--format", "pretty") as tail:
        try:
            assert tail.stdout is not None
            heard = iter(tail.stdout.readline, "")
            assert any("Connected to walker, waiting for logs" in line for line in heard)
            rest.visit(f"{url}/far")
            assert any(f"GET {url}/far - Ok" in line for line in heard)
            assert "(log) walked to /far" in next(heard)
            rest.visit(f"{url}/fall")
            assert any(f"GET {url}/fall - Exception Thrown" in line for line in heard)
            tail.send_signal(signal.SIGINT)
            tail.wait(timeout=20)
        except (AssertionError, httpx.HTTPError, subprocess.TimeoutExpired):
            tail.kill()
            raise
    eventually(lambda: rest.result("GET", f"/workers/scripts/{NAME}/tails") == [] or None)


def neighbour(wrangler: Wrangler, name: str, code: str, **config: Any) -> str:
    """Write another project beside the walker's, and give the argument that names it."""
    folder = wrangler.folder / name
    folder.mkdir()
    (folder / "index.js").write_text(code)
    known = {"name": name, "main": "index.js", "compatibility_date": "2026-03-01"}
    (folder / "wrangler.json").write_text(json.dumps(known | config))
    return f"--config={name}/wrangler.json"


def test_classes_by_exports(wrangler: Wrangler, rest: Rest) -> None:
    config = neighbour(
        wrangler,
        "walker-exports",
        WALKER.read_text(),
        version_metadata={"binding": "VERSION"},
        durable_objects={"bindings": [{"name": "COUNTER", "class_name": "Counter"}]},
        exports={"Counter": {"type": "durable-object", "storage": "sqlite"}},
    )
    assert "Created: Counter" in wrangler("deploy", config)
    wrangler("deploy", config)
    url = rest.result("GET", "/workers/workers/walker-exports")["subdomain"]["url"]
    assert rest.visit(f"{url}/count").json() == 1
    wrangler("delete", config)


def test_a_check_of_the_start(wrangler: Wrangler) -> None:
    assert "Startup phase analysed" in wrangler("check", "startup")


@pytest.mark.parametrize(
    ("command", "route"),
    [
        ("d1 time-travel info {database}", "GET /accounts/{account}/d1/database/{id}/time_travel/bookmark"),
        ("d1 insights {database}", "POST /graphql"),
        ("queues subscription list {queue}", "GET /accounts/{account}/event_subscriptions/subscriptions"),
    ],
)
def test_what_is_not_here_is_named(wrangler: Wrangler, rest: Rest, cloud: Instance, command: str, route: str) -> None:
    [database] = rest.result("GET", f"/d1/database?name={DATABASE}")
    names = {"database": DATABASE, "id": database["uuid"], "account": cloud.account_id, "queue": QUEUE}
    said = wrangler.fails(*command.format(**names).split())
    assert f"The local Cloudflare does not have {route.format(**names)}" in said


def test_what_is_refused_is_said_in_cloudflares_words(wrangler: Wrangler) -> None:
    assert "[code: 11009]" in wrangler.fails("queues", "create", QUEUE)
    assert "A database with that name already exists" in wrangler.fails("d1", "create", DATABASE)
    config = neighbour(wrangler, "walker-throws", "throw new Error('not today'); export default { fetch() {} }")
    said = wrangler.fails("deploy", config)
    assert "Uncaught Error: not today" in said
    assert "[code: 10021]" in said
    assert "[code: 10090]" in wrangler.fails("delete", config, "--force")


def test_the_end(wrangler: Wrangler, rest: Rest) -> None:
    wrangler.together(f"workflows delete {FLOW}", f"queues consumer remove {QUEUE} {NAME}")
    assert "containers" not in wrangler("delete", "--name", NAME).lower()
    wrangler.together(f"queues delete {QUEUE}", f"queues delete {DLQ}", f"d1 delete {DATABASE} -y")
    for path in ("/workers/scripts", "/queues", "/d1/database", "/workflows"):
        assert rest.result("GET", path) == []

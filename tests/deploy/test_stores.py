"""What holds state beside D1: KV namespaces, and Durable Object classes that a version declares."""

from tests.deploy.conftest import Stack

NAMESPACE = 'kv = cf.WorkersKvNamespace("kv", account_id=ACCOUNT, title="{title}"{more})'

CLASSES = """
    worker = cf.Worker("worker", account_id=ACCOUNT, name="runner")
    version = cf.WorkerVersion(
        "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", compatibility_date="2025-04-01",
        modules=[{{"name": "index.js", "content_type": "application/javascript+module", "content_base64": "Zm9v"}}],
        exports={exports}, deploy={deploy},
    )
"""


def test_a_namespace_is_renamed_in_place(stack: Stack) -> None:
    stack.program(NAMESPACE.format(title="one", more="") + '\npulumi.export("id", kv.id)')
    stack.up()
    namespace_id = stack.outputs["id"]
    assert stack.api.bodies("storage/kv/namespaces") == [{"title": "one"}]
    stack.api.calls.clear()
    stack.up()
    assert stack.api.changes() == []
    stack.program(NAMESPACE.format(title="two", more="") + '\npulumi.export("id", kv.id)')
    stack.up()
    assert stack.outputs["id"] == namespace_id
    assert stack.api.changes() == [f"PUT storage/kv/namespaces/{namespace_id}"]
    stack.deploy("destroy")
    assert stack.api.changes() == [f"DELETE storage/kv/namespaces/{namespace_id}"]


def test_a_namespace_moves_by_replacement(stack: Stack) -> None:
    stack.program(NAMESPACE.format(title="one", more=""))
    stack.up()
    stack.program(NAMESPACE.format(title="two", more=', jurisdiction="eu"'))
    stack.up()
    assert stack.lines("+-") == ["kv"]


def test_classes_are_declared_in_the_users_own_words(stack: Stack) -> None:
    live = '{"TaskObject": {"type": "durable-object", "storage": "sqlite"}}'
    stack.program(CLASSES.format(exports=live, deploy=True))
    stack.up()
    [sent] = [call for call in stack.api.calls if call.method == "POST" and call.path.endswith("/versions")]
    assert sent.query == {"deploy": "true"}
    assert sent.body["exports"] == {"TaskObject": {"type": "durable-object", "storage": "sqlite"}}
    assert "deploy" not in sent.body
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+-") == []
    stack.program(CLASSES.format(exports=None, deploy=None))
    stack.up()
    assert stack.lines("+-") == ["version"]


def test_a_tombstone_that_the_api_never_shows_is_no_change(stack: Stack) -> None:
    deleted = '{"TaskObject": {"type": "durable-object", "state": "deleted"}}'
    stack.program(CLASSES.format(exports=deleted, deploy=True))
    stack.up()
    stack.api.find("versions")["exports"] = {}
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+-") == []

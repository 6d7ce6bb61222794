"""What a changed program does to a deployed stack."""

import json

import pytest

from tests.deploy.conftest import Stack, is_real

QUEUE = """
    queue = cf.Queue("queue", account_id=ACCOUNT, queue_name={name!r}, settings={{"delivery_delay": {delay}}})
    pulumi.export("queue_id", queue.queue_id)
"""

CONSUMER = """
    a = cf.Queue("a", account_id=ACCOUNT, queue_name="a")
    b = cf.Queue("b", account_id=ACCOUNT, queue_name="b")
    cf.QueueConsumer("consumer", account_id=ACCOUNT, queue_id={queue}.queue_id, {rest})
"""

DATABASE = """
    import os
    db = cf.D1Database("db", account_id=ACCOUNT, name={name!r}, opts=pulumi.ResourceOptions({options}))
    pulumi.export("database_id", db.uuid)
"""

VERSION = """
    worker = cf.Worker("worker", account_id=ACCOUNT, name="runner")
    version = cf.WorkerVersion(
        "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js",
        modules=[{{"name": "index.js", "content_type": "application/javascript+module", {content}}}],
        bindings=[{bindings}],
    )
    cf.WorkersDeployment(
        "deployment", account_id=ACCOUNT, script_name=worker.name, strategy="percentage",
        versions=[{{"percentage": 100, "version_id": version.id}}],
    )
    pulumi.export("version_id", version.id)
"""


def test_update_in_place_sends_the_whole_object_and_shows_what_differs(stack: Stack) -> None:
    stack.program(QUEUE.format(name="one", delay=0))
    stack.up()
    queue_id = stack.outputs["queue_id"]
    stack.api.calls.clear()
    stack.program(QUEUE.format(name="two", delay=5))
    stack.up()
    assert stack.api.bodies("queues") == [{"queue_name": "two", "settings": {"delivery_delay": 5}}]
    assert stack.api.changes() == [f"PUT queues/{queue_id}"]
    assert stack.outputs["queue_id"] == queue_id
    assert stack.lines("~") == ["queue"]
    assert '~ queueName: "one" → "two"' in stack.shown
    assert "~ settings.deliveryDelay: 0 → 5" in stack.shown


def test_preview_of_an_update_touches_nothing(stack: Stack) -> None:
    stack.program(QUEUE.format(name="one", delay=0))
    stack.up()
    before = stack.state
    stack.api.calls.clear()
    stack.program(QUEUE.format(name="two", delay=0))
    outcome = stack.deploy("preview")
    assert stack.lines("~") == ["queue"]
    assert stack.api.calls == []
    assert stack.state == before
    assert outcome.outputs["queue_id"] == stack.outputs["queue_id"], "an update cannot change the id"


def test_what_the_program_no_longer_sets_is_sent_as_null(stack: Stack) -> None:
    settings = 'type="http_pull", settings={"max_retries": 3, "retry_delay": 1}'
    stack.program(CONSUMER.format(queue="a", rest=settings))
    stack.up()
    stack.api.calls.clear()
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull", settings={"max_retries": 3}'))
    stack.up()
    assert stack.api.bodies("consumers") == [{"type": "http_pull", "settings": {"max_retries": 3, "retry_delay": None}}]
    assert "- settings.retryDelay: 1" in stack.shown


def test_a_consumers_type_changes_in_place_and_still_sends_its_script(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="worker", script_name="runner"'))
    stack.up()
    stack.api.calls.clear()
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    assert stack.api.bodies("consumers") == [{"type": "http_pull", "script_name": "runner"}]
    assert stack.lines("~") == ["consumer"]


def test_a_consumer_of_another_queue_is_replaced_the_new_one_first(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    stack.api.changes()
    stack.program(CONSUMER.format(queue="b", rest='type="http_pull"'))
    outcome = stack.up()
    methods = [call.split("/")[0] for call in stack.api.changes()]
    assert methods == ["POST queues", "DELETE queues"]
    assert stack.lines("+-") == ["consumer"]
    assert {action.value: count for action, count in outcome.tally.items()} == {"same": 2, "replace": 1}
    assert "queueId" in stack.shown
    assert "(replaces)" in stack.shown


def test_a_renamed_database_is_replaced(stack: Stack) -> None:
    stack.program(DATABASE.format(name="one", options=""))
    stack.up()
    first = stack.outputs["database_id"]
    stack.program(DATABASE.format(name="two", options=""))
    stack.up()
    assert stack.outputs["database_id"] != first
    assert [item["name"] for item in stack.api.objects.values()] == ["two"]


def test_delete_before_replace(stack: Stack) -> None:
    stack.program(DATABASE.format(name="one", options="delete_before_replace=True"))
    stack.up()
    stack.api.changes()
    stack.program(DATABASE.format(name="two", options="delete_before_replace=True"))
    outcome = stack.up()
    assert [call.split(" ")[0] for call in stack.api.changes()] == ["DELETE", "POST"]
    assert {action.value: count for action, count in outcome.tally.items()} == {"replace": 1}


def test_delete_before_replace_takes_what_cannot_be_without_it(stack: Stack) -> None:
    program = """
        queue = cf.Queue("queue", account_id={account}, queue_name="q",
                         opts=pulumi.ResourceOptions(delete_before_replace=True, replace_on_changes=["queueName"]))
        cf.QueueConsumer("consumer", account_id=ACCOUNT, queue_id=queue.queue_id, type="http_pull")
    """.replace("{account}", "ACCOUNT")
    stack.program(program)
    stack.up()
    stack.api.changes()
    stack.program(program.replace('queue_name="q"', 'queue_name="r"'))
    stack.up()
    calls = [(call.split(" ")[0], "consumers" in call) for call in stack.api.changes()]
    assert calls == [("DELETE", True), ("DELETE", False), ("POST", False), ("POST", True)]
    assert stack.lines("+-") == ["queue", "consumer"]


def test_new_code_is_a_new_version_and_a_new_deployment(stack: Stack) -> None:
    stack.program(VERSION.format(content='"content_base64": "b25l"', bindings=""))
    stack.up()
    first = stack.outputs["version_id"]
    stack.api.changes()
    stack.program(VERSION.format(content='"content_base64": "dHdv"', bindings=""))
    stack.up()
    assert stack.outputs["version_id"] != first
    assert stack.lines("+-") == ["version", "deployment"]
    assert [call.rsplit("/", 1)[1] for call in stack.api.changes()] == ["versions", "deployments"]
    assert "~ module index.js: its code changed" in stack.shown


def test_a_previewed_version_is_unknown_to_its_deployment(stack: Stack) -> None:
    stack.program(VERSION.format(content='"content_base64": "b25l"', bindings=""))
    stack.up()
    stack.program(VERSION.format(content='"content_base64": "dHdv"', bindings=""))
    stack.deploy("preview")
    assert stack.lines("+-") == ["version", "deployment"]
    assert "→ (known after up)" in stack.shown


def test_a_module_file_is_sent_and_its_content_watched(stack: Stack) -> None:
    file = stack.folder / "worker" / "index.js"
    stack.write("worker/index.js", "export default {}")
    stack.program(VERSION.format(content='"content_file": "worker/index.js"', bindings=""))
    stack.up()
    assert stack.api.bodies("versions")[0]["modules"] == [
        {
            "name": "index.js",
            "content_type": "application/javascript+module",
            "content_base64": "ZXhwb3J0IGRlZmF1bHQge30=",
        }
    ]
    assert stack.up().tally.total() == 3
    assert stack.lines("+-") == []
    file.write_text("export default { fetch() {} }")
    stack.up()
    assert stack.lines("+-") == ["version", "deployment"]


def test_what_of_a_version_goes_elsewhere_than_in_the_body_or_keeps_its_names(stack: Stack) -> None:
    stack.program("""
        worker = cf.Worker("worker", account_id=ACCOUNT, name="runner")
        cf.WorkerVersion(
            "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", deploy=True,
            modules=[{"name": "index.js", "content_type": "application/javascript+module", "content_base64": "b25l"}],
            exports={"TaskRoom": {"type": "durable-object", "storage": "sqlite"}},
            annotations={"workers_message": "first"},
        )
    """)
    stack.up()
    call = next(call for call in stack.api.calls if call.path.endswith("versions"))
    assert call.query == {"deploy": "true"}
    assert call.body["exports"] == {"TaskRoom": {"type": "durable-object", "storage": "sqlite"}}
    assert call.body["annotations"] == {"workers/message": "first"}
    assert not {"deploy", "account_id", "worker_id"} & set(call.body)
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+-") == []


def test_the_order_of_bindings_means_nothing(stack: Stack) -> None:
    one = '{"type": "plain_text", "name": "A", "text": "1"}'
    two = '{"type": "plain_text", "name": "B", "text": "2"}'
    content = '"content_base64": "b25l"'
    stack.program(VERSION.format(content=content, bindings=f"{two}, {one}"))
    stack.up()
    assert [item["name"] for item in stack.api.bodies("versions")[0]["bindings"]] == ["A", "B"]
    stack.program(VERSION.format(content=content, bindings=f"{one}, {two}"))
    stack.up()
    assert stack.lines("+-") == []


def test_a_removed_resource_is_deleted_after_everything_else(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    stack.api.changes()
    stack.program(
        'cf.Queue("b", account_id=ACCOUNT, queue_name="b")\ncf.Queue("c", account_id=ACCOUNT, queue_name="c")'
    )
    stack.up()
    assert stack.lines("-") == ["consumer", "a"]
    assert [call.split(" ")[0] for call in stack.api.changes()] == ["POST", "DELETE", "DELETE"]


@pytest.mark.parametrize("change", [DATABASE.format(name="two", options="protect=True"), "pass"])
def test_protect_refuses_before_anything_is_touched(stack: Stack, change: str) -> None:
    stack.program(DATABASE.format(name="one", options="protect=True"))
    stack.up()
    stack.api.changes()
    stack.program('cf.Queue("new", account_id=ACCOUNT, queue_name="new")\n' + change.replace("    ", ""))
    outcome = stack.deploy("up")
    assert "D1Database db would be" in outcome.errors[0]
    assert "protect=False" in outcome.errors[0]
    assert stack.api.changes() == []


def test_protect_refuses_destroy(stack: Stack) -> None:
    stack.program(DATABASE.format(name="one", options="protect=True"))
    stack.up()
    stack.api.changes()
    [error] = stack.deploy("destroy").errors
    assert "protected" in error
    assert "python -m local reset" in error
    assert stack.api.changes() == []
    stack.program(DATABASE.format(name="one", options="protect=False"))
    stack.up()
    assert stack.deploy("destroy").errors == []


def test_retain_on_delete(stack: Stack) -> None:
    stack.program(DATABASE.format(name="one", options="retain_on_delete=True"))
    stack.up()
    stack.api.changes()
    assert stack.deploy("destroy").errors == []
    assert stack.api.changes() == []
    assert len(stack.api.objects) == 1
    assert "(retained)" in stack.shown


def test_ignore_changes(stack: Stack) -> None:
    program = """
        settings = {"delivery_delay": 0, "delivery_paused": False}
        cf.Queue("queue", account_id=ACCOUNT, queue_name="one", settings=settings,
                 opts=pulumi.ResourceOptions(ignore_changes=["settings.deliveryDelay"]))
    """
    stack.program(program)
    stack.up()
    stack.program(program.replace('"delivery_delay": 0', '"delivery_delay": 9'))
    stack.up()
    assert stack.lines("~") == []
    stack.api.calls.clear()
    stack.program(program.replace('"delivery_delay": 0', '"delivery_delay": 9').replace("False", "True"))
    stack.up()
    assert stack.api.bodies("queues")[0]["settings"] == {"delivery_delay": 0, "delivery_paused": True}


def test_replace_on_changes(stack: Stack) -> None:
    options = 'opts=pulumi.ResourceOptions(replace_on_changes=["queueName"])'
    stack.program(f'cf.Queue("queue", account_id=ACCOUNT, queue_name="one", {options})')
    stack.up()
    stack.program(f'cf.Queue("queue", account_id=ACCOUNT, queue_name="two", {options})')
    stack.up()
    assert stack.lines("+-") == ["queue"]


def test_an_alias_keeps_a_renamed_resource_and_its_place_in_the_graph(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    stack.api.calls.clear()
    renamed = CONSUMER.replace(
        'cf.Queue("a", account_id=ACCOUNT, queue_name="a")',
        'cf.Queue("new", account_id=ACCOUNT, queue_name="a", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias("a")]))',
    )
    stack.program(renamed.format(queue="a", rest='type="http_pull"'))
    outcome = stack.up()
    assert {action.value for action in outcome.tally} == {"same"}
    assert stack.api.calls == []
    assert sorted(stack.deployed()) == ["b", "consumer", "new"]
    stack.deploy("destroy")
    assert stack.lines("-")[0] == "consumer"


def test_children_follow_their_renamed_component(stack: Stack) -> None:
    program = """
        class Group(pulumi.ComponentResource):
            def __init__(self, name, opts=None):
                super().__init__("sample:index:Group", name, None, opts)
                child = pulumi.ResourceOptions(parent=self)
                queue = cf.Queue(f"{name}-queue", account_id=ACCOUNT, queue_name="queue", opts=child)
                self.register_outputs({"queue_id": queue.queue_id})

        NEW
    """
    stack.program(program.replace("NEW", 'Group("old")'))
    stack.up()
    urn = next(item["urn"] for item in stack.state["resources"] if is_real(item))
    assert urn == "urn:pulumi:local::sample::sample:index:Group$cloudflare:index/queue:Queue::old-queue"
    stack.program(program.replace("NEW", 'Group("new", pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))'))
    outcome = stack.up()
    assert {action.value for action in outcome.tally} == {"same"}
    assert stack.deployed() == ["new-queue"]


def test_depends_on_orders_what_properties_do_not(stack: Stack) -> None:
    stack.program("""
        first = cf.Queue("first", account_id=ACCOUNT, queue_name="first")
        cf.Queue("second", account_id=ACCOUNT, queue_name="second", opts=pulumi.ResourceOptions(depends_on=[first]))
    """)
    stack.up()
    assert stack.deployed() == ["first", "second"]
    stack.deploy("destroy")
    assert stack.lines("-") == ["second", "first"]


def test_a_new_dependency_of_an_old_resource_is_deleted_after_it(stack: Stack) -> None:
    stack.program('cf.Queue("old", account_id=ACCOUNT, queue_name="old")')
    stack.up()
    stack.program("""
        new = cf.Queue("new", account_id=ACCOUNT, queue_name="new")
        cf.Queue("old", account_id=ACCOUNT, queue_name="old", opts=pulumi.ResourceOptions(depends_on=[new]))
    """)
    stack.up()
    assert stack.deployed() == ["new", "old"]
    stack.deploy("destroy")
    assert stack.lines("-") == ["old", "new"]


def test_secrets_are_marked_in_the_state_and_never_shown(stack: Stack) -> None:
    program = """
        name = pulumi.Output.secret({name!r})
        queue = cf.Queue("queue", account_id=ACCOUNT, queue_name=name)
        pulumi.export("name", queue.queue_name)
        pulumi.export("nested", {{"inner": pulumi.Output.secret("deep-secret")}})
        pulumi.export("plain", queue.queue_id.apply(lambda _: "plain"))
    """
    stack.program(program.format(name="first-secret"))
    stack.up()
    shown = stack.shown
    assert stack.api.bodies("queues") == [{"queue_name": "first-secret"}], "the API gets it in plain"
    stack.program(program.format(name="second-secret"))
    stack.up()
    shown += stack.shown
    assert "~ queueName: [secret] changed" in stack.shown
    assert "-secret" not in shown
    resource = next(item for item in stack.state["resources"] if is_real(item))
    mark = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"second-secret"'}
    assert resource["inputs"]["queueName"] == resource["outputs"]["queueName"] == mark
    assert stack.outputs == {"name": "second-secret", "nested": {"inner": "deep-secret"}, "plain": "plain"}


def test_a_secret_binding_leaves_the_others_readable(stack: Stack) -> None:
    bindings = """
        {{"type": "secret_text", "name": "S", "text": pulumi.Output.secret("hush")}},
        {{"type": "plain_text", "name": "T", "text": "{text}"}},
    """
    content = '"content_base64": "b25l"'
    stack.program(VERSION.format(content=content, bindings=bindings.format(text="one")))
    stack.up()
    stack.program(VERSION.format(content=content, bindings=bindings.format(text="two")))
    stack.up()
    assert '~ bindings.T.text: "one" → "two"' in stack.shown
    assert "hush" not in stack.shown
    assert json.dumps(stack.state).count("hush") == 2


def test_an_explicit_provider_is_accepted(stack: Stack) -> None:
    stack.program("""
        config = pulumi.Config("cloudflare")
        provider = cf.Provider("mine", base_url=config.require("baseUrl"), api_token=config.require("apiToken"))
        cf.Queue("queue", account_id=ACCOUNT, queue_name="queue", opts=pulumi.ResourceOptions(provider=provider))
    """)
    stack.up()
    stack.api.calls.clear()
    assert {action.value for action in stack.up().tally} == {"same"}
    assert stack.deploy("destroy").errors == []


def test_modules_of_the_program_are_read_anew(stack: Stack) -> None:
    stack.write("names.py", 'QUEUE = "one"')
    stack.program('import names\ncf.Queue("queue", account_id=ACCOUNT, queue_name=names.QUEUE)')
    stack.up()
    stack.write("names.py", 'QUEUE = "another"')
    stack.up()
    assert stack.lines("~") == ["queue"]

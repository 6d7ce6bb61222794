"""Deploys that fail, are interrupted, or are not allowed."""

import os
import signal
import textwrap
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.pulumi.errors import DeployError
from tests.deploy.conftest import Stack
from tests.deploy.stand_in_api import Call

TWO_QUEUES = """
    a = cf.Queue("a", account_id=ACCOUNT, queue_name="a")
    cf.Queue("b", account_id=ACCOUNT, queue_name="b", opts=pulumi.ResourceOptions(depends_on=[a]))
"""


def refuse(part: str, status: int = 400, message: str = "no such thing") -> Callable[[Call], tuple[int, str] | None]:
    def fault(call: Call) -> tuple[int, str] | None:
        wanted = call.method != "GET" and part in f"{call} {call.body}"
        return (status, message) if wanted else None

    return fault


def drop_reply(part: str) -> Callable[[Call], bool]:
    return lambda call: call.method != "GET" and part in f"{call} {call.body}"


def test_a_failed_up_keeps_what_was_done_and_the_next_goes_on(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.api.fault = refuse("'b'", message="bad name")
    outcome = stack.deploy("up")
    assert outcome.errors == ["Queue b: bad name (code 1400) [POST /accounts/00000000000000000000000000000000/queues]"]
    assert stack.deployed() == ["a"]
    assert stack.state["pending_operations"] == []
    assert "failed" in stack.shown
    stack.api.fault = lambda _call: None
    stack.api.changes()
    stack.up()
    assert stack.api.changes() == ["POST queues"]


def test_work_under_way_ends_and_nothing_new_is_begun(stack: Stack) -> None:
    stack.program("""
        cf.Queue("bad", account_id=ACCOUNT, queue_name="bad")
        slow = cf.Queue("slow", account_id=ACCOUNT, queue_name="slow")
        cf.Queue("late", account_id=ACCOUNT, queue_name="late", opts=pulumi.ResourceOptions(depends_on=[slow]))
    """)
    failed, begun = threading.Event(), threading.Event()

    def fault(call: Call) -> tuple[int, str] | None:
        if call.method == "POST" and call.body["queue_name"] == "slow":
            begun.set()
            assert failed.wait(5)
        if call.method == "POST" and call.body["queue_name"] == "bad":
            assert begun.wait(5)
            threading.Timer(0.3, failed.set).start()
            return 400, "bad"
        return None

    stack.api.fault = fault
    assert len(stack.deploy("up").errors) == 1
    assert stack.deployed() == ["slow"]


def test_a_refused_update_keeps_the_old_inputs(stack: Stack) -> None:
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="a")')
    stack.up()
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="b")')
    stack.api.fault = refuse("PUT")
    assert stack.deploy("up").errors
    stack.api.fault = lambda _call: None
    stack.deploy("preview")
    assert '"a" → "b"' in stack.shown


def test_a_failed_delete_is_kept_and_repeated(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.up()
    stack.api.fault = refuse("DELETE")
    assert stack.deploy("destroy").errors
    assert stack.deployed() == ["a", "b"]
    stack.api.fault = lambda _call: None
    assert stack.deploy("destroy").errors == []
    assert stack.api.objects == {}


def test_a_create_whose_reply_was_lost_is_taken_over(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.api.after = drop_reply("'b'")
    outcome = stack.deploy("up")
    assert "does not answer" in outcome.errors[0]
    assert [item["type"] for item in stack.state["pending_operations"]] == ["creating"]
    stack.api.after = lambda _call: False
    stack.api.changes()
    stack.up()
    assert stack.api.changes() == []
    assert "Queue b: its create was interrupted; it was made" in stack.shown
    assert stack.deployed() == ["a", "b"]
    assert stack.deploy("destroy").errors == []
    assert stack.api.objects == {}


def test_an_older_object_of_the_same_name_is_not_taken_over(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.api.fault = refuse("'b'", status=503)
    assert stack.deploy("up").errors
    stack.api.fault = lambda _call: None
    old = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    stack.api.objects["queues/theirs"] = {"queue_name": "b", "queue_id": "theirs", "created_on": old}
    outcome = stack.deploy("up")
    assert "b is taken" in outcome.errors[0]
    assert "exists already (id theirs) that this stack did not make: delete it, or" in outcome.errors[0]


def test_a_lost_create_that_the_program_no_longer_wants_is_deleted(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.api.after = drop_reply("'b'")
    stack.deploy("up")
    stack.api.after = lambda _call: False
    assert stack.deploy("destroy").errors == []
    assert stack.api.objects == {}


def test_a_lost_replacement_is_taken_over_and_the_old_one_deleted(stack: Stack) -> None:
    stack.program('cf.D1Database("db", account_id=ACCOUNT, name="one")')
    stack.up()
    stack.program('cf.D1Database("db", account_id=ACCOUNT, name="two")')
    stack.api.after = drop_reply("POST")
    assert stack.deploy("up").errors
    stack.api.after = lambda _call: False
    stack.up()
    assert [item["name"] for item in stack.api.objects.values()] == ["two"]
    assert stack.deployed() == ["db"]


def test_a_lost_update_is_looked_at_again(stack: Stack) -> None:
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="one")')
    stack.up()
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="two")')
    stack.api.fault = refuse("PUT", status=500)
    assert stack.deploy("up").errors
    stack.api.fault = lambda _call: None
    stack.api.find("queues")["queue_name"] = "two"
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="one")')
    stack.up()
    assert stack.api.find("queues")["queue_name"] == "one"


def test_interrupt_finishes_what_is_under_way(stack: Stack) -> None:
    stack.program(TWO_QUEUES)

    def fault(call: Call) -> tuple[int, str] | None:
        if call.method == "POST":
            os.kill(os.getpid(), signal.SIGINT)
        return None

    stack.api.fault = fault
    outcome = stack.deploy("up")
    assert outcome.interrupted
    assert stack.deployed() == ["a"]
    stack.api.fault = lambda _call: None
    stack.up()
    assert stack.deployed() == ["a", "b"]


def test_only_one_deploy_at_a_time(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    second: list[str] = []

    def fault(call: Call) -> tuple[int, str] | None:
        if call.method == "POST" and not second:
            second.append("")
            with pytest.raises(DeployError, match=f"being deployed by process {os.getpid()}") as caught:
                stack_file_lock()
            second[0] = str(caught.value)
        return None

    def stack_file_lock() -> None:
        from local.pulumi.state_file import StateFile

        with StateFile(stack.state_dir, "sample", "local").locked():
            pass

    stack.api.fault = fault
    stack.up()
    assert second[0]


def test_an_unsupported_type_is_refused_before_anything_is_touched(stack: Stack) -> None:
    stack.program(TWO_QUEUES + '    cf.Ruleset("rules", kind="zone", name="r", phase="p", zone_id="z")\n')
    error = stack.deploy("up").errors[0]
    assert "cloudflare:index/ruleset:Ruleset is not supported by the local deploy" in error
    assert "D1Database, Queue, QueueConsumer" in error
    assert stack.api.calls == []


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("cf.get_queues(account_id=ACCOUNT)", "the function cloudflare:index/getQueues:getQueues is not supported"),
        ('cf.Queue.get("q", "a/b")', "reading an existing resource"),
        (
            'cf.Queue("q", account_id=ACCOUNT, queue_name="q", opts=pulumi.ResourceOptions(import_="a/b"))',
            "import_ is not supported by the local deploy",
        ),
        (
            'for _ in "ab": cf.Queue("q", account_id=ACCOUNT, queue_name="q")',
            "registered twice",
        ),
    ],
)
def test_what_the_local_deploy_does_not_have(stack: Stack, program: str, message: str) -> None:
    stack.program(program)
    assert message in stack.deploy("up").errors[0]
    assert stack.api.changes() == []


def test_a_run_error_is_shown_as_it_is(stack: Stack) -> None:
    stack.program('raise pulumi.RunError("the answer must be 42")')
    outcome = stack.deploy("up")
    assert outcome.errors == ["the answer must be 42"]
    assert outcome.trace == ""


def test_an_unexpected_exception_shows_where(stack: Stack) -> None:
    stack.write("helper.py", "def fail():\n    return {}['key']\n")
    stack.program("import helper\nhelper.fail()")
    outcome = stack.deploy("up")
    assert outcome.errors == ["KeyError: 'key'"]
    assert "helper.py" in outcome.trace
    assert "site-packages" not in outcome.trace
    assert "runpy" not in outcome.trace


def test_an_exception_in_apply_fails_the_deploy_and_deletes_nothing(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.up()
    stack.program("""
        a = cf.Queue("a", account_id=ACCOUNT, queue_name="a")
        pulumi.export("x", a.queue_id.apply(lambda _: 1 / 0))
    """)
    assert stack.deploy("up").errors == ["ZeroDivisionError: division by zero"]
    assert stack.deployed() == ["a", "b"]


def test_a_failed_program_keeps_the_outputs(stack: Stack) -> None:
    stack.program(TWO_QUEUES + '    pulumi.export("name", "kept")\n')
    stack.up()
    stack.program(TWO_QUEUES + '    pulumi.export("name", "lost")\n    raise pulumi.RunError("no")\n')
    assert stack.deploy("up").errors == ["no"]
    assert stack.outputs == {"name": "kept"}


def test_an_update_of_what_is_gone_says_what_to_do(stack: Stack) -> None:
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="one")')
    stack.up()
    stack.api.objects.clear()
    stack.program('cf.Queue("a", account_id=ACCOUNT, queue_name="two")')
    assert "`refresh` notices, and then `up` makes it anew" in stack.deploy("up").errors[0]
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+") == ["a"]


def test_an_interrupted_rehearsal_touches_nothing(stack: Stack) -> None:
    stack.program(f"import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n{textwrap.dedent(TWO_QUEUES)}")
    assert stack.deploy("up").interrupted
    assert stack.api.calls == []


def test_a_missing_config_value_is_just_its_text(stack: Stack) -> None:
    stack.program('pulumi.Config().require("size")')
    (error,) = stack.deploy("up").errors
    assert "sample:size" in error
    assert "Traceback" not in error


def test_messages_of_the_program_are_shown_once(stack: Stack) -> None:
    stack.program("""
        print("printed once")
        pulumi.log.warn("logged once")
        pulumi.log.info("about it", resource=cf.Queue("a", account_id=ACCOUNT, queue_name="a"))
    """)
    stack.up()
    assert stack.shown.count("warning: logged once") == 1
    assert stack.shown.count("info: Queue a: about it") == 1


def test_a_damaged_state_is_not_overwritten(stack: Stack) -> None:
    stack.program(TWO_QUEUES)
    stack.state_path.parent.mkdir(parents=True)
    stack.state_path.write_text("{")
    with pytest.raises(DeployError, match="cannot read the stack's state"):
        stack.deploy("up")
    assert Path(stack.state_path).read_text() == "{"

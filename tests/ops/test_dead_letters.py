"""Dead letters on the real local Cloudflare: looked at, redriven and purged, and never lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from components.cloudflare_api import ApiError, RefusedTokenError, UnreachableError
from local.cli.instance import Instance
from ops.dead_letter import DeadLetter, TaskRun
from ops.dead_letter_queue import DeadLetterQueue, LeasedLetter
from ops.dead_letter_round import Choose, DeadLetterRound
from ops.deployed_stack import DeployedStack, NotReadyError
from ops.json_object import to_json
from ops.letter_state import LetterState, known_letters
from ops.redrive import Redrive, RedriveCounts, Selection
from tests.commands.command import COMMAND_SECONDS, run
from tests.local.rest import Rest, eventually
from tests.ops.queues import Queues, Tasks, letter

LEASE_MS = 500
MALFORMED = (
    "not JSON",
    {"poison": 1},
    [1],
    {"taskId": ""},
    {"taskId": 7},
    {"taskId": "t", "run": 0},
    {"taskId": "t", "run": True},
)


@pytest.fixture
def queues(rest: Rest, cloud: Instance) -> Queues:
    return Queues.create(rest, cloud)


def redrive(
    queues: Queues,
    gone: set[str] | None = None,
    others: Mapping[str, dict[str, Any]] | None = None,
    **selection: Any,
) -> RedriveCounts:
    with queues.dead_letters() as queue, DeadLetterRound(queue) as letters, Tasks(gone, others) as client:
        return Redrive(letters, client, Selection(**selection)).run()


def purge(queues: Queues, choose: Choose) -> list[DeadLetter]:
    with queues.dead_letters() as queue, DeadLetterRound(queue) as letters:
        return list(letters.delete(choose))


def malformed(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    return [each for each in letters if each.task_run is None]


def message(task_id: str, run: int) -> dict[str, Any]:
    return {"taskId": task_id, "run": run, "redrive": True}


# --- looking


def test_looking_uses_up_no_attempts(queues: Queues) -> None:
    queues.bury(letter("t1", 2), "text", {"poison": 1})
    with queues.dead_letters() as queue:
        assert queue.peek(100) == queue.peek(100)
        first, second, third = queue.peek(100)
        assert queue.count() == 3
    assert (first.task_run, first.content_type, first.body) == (TaskRun("t1", 2), "json", '{"taskId":"t1","run":2}')
    assert (second.task_run, second.content_type, second.body) == (None, "text", "text")
    assert (third.task_run, third.body) == (None, '{"poison":1}')
    assert 0 <= time.time() - first.sent_at.timestamp() < COMMAND_SECONDS
    assert queues.attempts() == {0}


def test_a_letter_deep_in_the_queue_is_found(queues: Queues) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(105)))
    with queues.dead_letters() as queue:
        with DeadLetterRound(queue) as letters:
            found = letters.find("t104")
        assert found
        assert found.is_called(found.letter_id)
        with DeadLetterRound(queue) as letters:
            assert letters.find("t105") is None
        assert queue.count() == 105


# --- redriving


def test_tasks_go_through_the_main_queue_again(queues: Queues) -> None:
    queues.bury(letter("t1"), {"taskId": "t2"}, letter("t3", 4))
    assert redrive(queues, others={"t3": {"run": 4}}) == RedriveCounts(redriven=3)
    assert queues.redriven() == [message("t1", 2), message("t2", 2), message("t3", 5)]
    assert queues.letters() == []
    assert redrive(queues) == RedriveCounts()


def test_a_task_goes_through_the_queue_of_its_priority_again(queues: Queues) -> None:
    high = queues.rest.queue()["queue_id"]
    queues.bury(letter("t1") | {"priority": "high"}, letter("t2") | {"priority": "low"}, letter("t3"))
    with queues.dead_letters(priority_queue_ids={"high": high}) as queue, DeadLetterRound(queue) as letters:
        assert Redrive(letters, Tasks(), Selection()).run() == RedriveCounts(redriven=3)
    assert queues.redriven(high) == [message("t1", 2) | {"priority": "high"}]
    # A queue that is no longer there does not keep a task from being run.
    assert queues.redriven() == [message("t2", 2) | {"priority": "low"}, message("t3", 2)]
    assert queues.letters() == []


def test_a_redriven_task_does_not_wait_for_the_delay_of_its_queue(queues: Queues) -> None:
    queue = f"/queues/{queues.queue_id}"
    queues.rest.result("PATCH", queue, {"settings": {"delivery_delay": 60}})
    queues.rest.result("POST", f"{queue}/consumers", {"type": "http_pull"})
    queues.bury(letter("t1"))
    assert redrive(queues) == RedriveCounts(redriven=1)
    assert len(queues.rest.result("POST", f"{queue}/messages/pull", {"batch_size": 10})["messages"]) == 1


def test_what_names_no_task_stays(queues: Queues) -> None:
    queues.bury(*MALFORMED, letter("t1"))
    counts = redrive(queues)
    assert (counts.redriven, len(counts.malformed)) == (1, len(MALFORMED))
    assert queues.redriven() == [message("t1", 2)]
    assert len(queues.letters()) == queues.pullable() == len(MALFORMED)


def test_many_malformed_letters_hide_no_others(queues: Queues) -> None:
    queues.bury(*(f"poison {n}" for n in range(105)), letter("t1"))
    counts = redrive(queues)
    assert (counts.redriven, len(counts.malformed)) == (1, 105)


def test_a_task_that_is_gone_keeps_its_letter(queues: Queues) -> None:
    queues.bury(letter("t1"), letter("t2"))
    assert redrive(queues, gone={"t1"}) == RedriveCounts(redriven=1, gone=1)
    assert queues.letters() == ['{"taskId":"t1","run":1}']


def test_a_limit(queues: Queues) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(5)))
    assert redrive(queues, limit=2).redriven == 2
    assert len(queues.redriven()) == 2
    assert queues.pullable() == 3


def test_a_rate(queues: Queues) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(5)))
    began = time.monotonic()
    assert redrive(queues, rate_per_second=4).redriven == 5
    assert 1 <= time.monotonic() - began < 5


def test_certain_tasks_alone(queues: Queues) -> None:
    queues.bury(letter("t1"), letter("t2"), letter("t3"))
    assert redrive(queues, task_ids=["t2"]) == RedriveCounts(redriven=1)
    assert queues.redriven() == [message("t2", 2)]
    assert queues.pullable() == 2


def test_a_task_that_fails_again_is_not_redriven_for_ever(queues: Queues) -> None:
    queues.bury(letter("t1", 1), letter("t1", 2))
    assert redrive(queues, rate_per_second=1.9) == RedriveCounts(redriven=1, repeated=1)
    assert queues.redriven() == [message("t1", 2)]


@pytest.mark.parametrize("pulls", [{}, {"rate_per_second": 1.9}, {"limit": 1}])
def test_a_task_with_many_letters_is_redriven_once(queues: Queues, pulls: dict[str, Any]) -> None:
    """It failed in its second run; the letter of the first is stale, and one of the second came twice."""
    queues.bury(letter("t1", 1), letter("t1", 2), letter("t1", 2))
    counts = redrive(queues, others={"t1": {"run": 2}}, **pulls)
    assert (counts.redriven, counts.stale, counts.repeated) == (1, 1, 0)
    assert queues.redriven() == [message("t1", 3)]
    stale, second = letter("t1", 1), letter("t1", 2)
    left = [json.loads(body) for body in queues.letters()]
    assert left == ([stale, second] if "limit" in pulls else [stale]), "a limit leaves what comes after it"
    again = redrive(queues, others={"t1": {"run": 3, "status": "completed"}}, **pulls)
    assert (again.redriven, again.stale) == (0, len(left))
    assert len(queues.redriven()) == 1


@pytest.mark.parametrize(
    ("task", "state", "count"),
    [
        ({"run": 2}, LetterState.STALE, "stale"),
        ({"run": 2, "status": "processing"}, LetterState.STALE, "stale"),
        ({"run": 1, "status": "completed"}, LetterState.STALE, "stale"),
        ({"run": 1, "status": "cancelled"}, LetterState.STALE, "stale"),
        ({"run": 1, "status": "processing"}, LetterState.UNFINISHED, "unfinished"),
        ({"run": 1, "status": "pending"}, LetterState.UNFINISHED, "unfinished"),
    ],
)
def test_a_letter_whose_task_has_not_failed_in_its_run_is_not_redriven(
    queues: Queues, task: dict[str, Any], state: LetterState, count: str
) -> None:
    queues.bury(letter("t1"))
    with Tasks(others={"t1": task}) as client, queues.dead_letters() as queue:
        assert [each.state for each in known_letters(client, queue.peek(100))] == [state]
    counts = to_json(redrive(queues, others={"t1": task}))
    assert {name: each for name, each in counts.items() if each} == {count: 1}
    assert queues.redriven() == []
    assert queues.pullable() == 1


def test_a_letter_that_is_ahead_of_its_task_waits_for_the_store(queues: Queues) -> None:
    queues.bury(letter("t1", 2))
    assert redrive(queues) == RedriveCounts(unfinished=1)


def test_a_redrive_that_was_never_taken_is_redriven(queues: Queues) -> None:
    """Its message died on its way: the task is still in the run before."""
    queues.bury(message("t1", 2), letter("t1", 1))
    assert redrive(queues) == RedriveCounts(redriven=1)
    assert queues.redriven() == [message("t1", 2)]
    assert queues.letters() == []


def test_a_letter_whose_lease_ended_too_early_is_not_sent_twice(queues: Queues) -> None:
    class SlowQueue(DeadLetterQueue):
        def _settle(self, *, acks: Sequence[LeasedLetter] = (), retries: Sequence[LeasedLetter] = ()) -> None:
            is_first = not sent
            sent.extend(acks)
            super()._settle(retries=acks) if is_first else super()._settle(acks=acks, retries=retries)

    sent = list[LeasedLetter]()
    queues.bury(letter("t1"))
    queue = SlowQueue(*queues.arguments()[:2], **queues.ids())
    with queue, DeadLetterRound(queue) as letters, Tasks() as client:
        assert Redrive(letters, client, Selection()).run() == RedriveCounts(redriven=1)
    assert queues.redriven() == [message("t1", 2)]
    assert queues.letters() == []


def test_stopping_finishes_what_is_in_hand(queues: Queues) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(5)))
    done = list[int]()
    with queues.dead_letters() as queue, DeadLetterRound(queue) as letters, Tasks() as client:
        selection = Selection(rate_per_second=2)
        Redrive(letters, client, selection, is_stopped=lambda: bool(done), report=done.append).run()
    assert done == [2]
    assert len(queues.redriven()) == 2
    assert queues.pullable() == 3


def test_an_error_puts_back_what_is_in_hand(queues: Queues) -> None:
    queues.bury(letter("t1"), letter("t2"))
    queues.rest.result("DELETE", f"/queues/{queues.queue_id}")
    with pytest.raises(ApiError, match="Queue does not exist"):
        redrive(queues)
    assert queues.pullable() == 2


@pytest.mark.parametrize(
    ("moment", "redriven", "left"),
    [("before the push", 0, 12), ("after the push", 5, 12), ("after the acknowledgement", 5, 7)],
)
def test_a_redrive_that_is_killed_loses_nothing(queues: Queues, moment: str, redriven: int, left: int) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(12)))
    run("tests.ops.killed_redrive", moment, str(LEASE_MS), *queues.arguments(), expect=-signal.SIGKILL)
    assert (len(queues.redriven()), len(queues.letters())) == (redriven, left)
    time.sleep(2 * LEASE_MS / 1_000)
    assert redrive(queues).redriven == left
    assert {each["taskId"] for each in queues.redriven()} == {f"t{n}" for n in range(12)}
    assert queues.letters() == []


# --- attempts


def test_a_letter_is_not_dropped_for_having_been_pulled(rest: Rest, cloud: Instance) -> None:
    queues = Queues.create(rest, cloud, max_retries=2)
    queues.bury("poison", {"poison": 1})
    for _ in range(7):
        assert len(redrive(queues).malformed) == 2
    assert sorted(queues.letters()) == ["poison", '{"poison":1}']


# --- purging


def test_malformed_letters_are_purged(queues: Queues) -> None:
    queues.bury(letter("t1"), *MALFORMED, letter("t2"))
    assert len(purge(queues, malformed)) == len(MALFORMED)
    assert len(queues.letters()) == queues.pullable() == 2


def test_a_purge_pulls_no_more_than_it_must(queues: Queues) -> None:
    queues.bury("poison", letter("t1"), letter("t2"))
    assert len(purge(queues, malformed)) == 1
    assert queues.attempts() == {0}, "the others were not pulled"
    assert purge(queues, malformed) == []
    assert queues.attempts() == {0}
    queues.bury("poison", letter("t3"))
    assert len(purge(queues, malformed)) == 1
    assert sorted(json.loads(body)["taskId"] for body in queues.letters()) == ["t1", "t2", "t3"]
    assert queues.attempts() == {0, 1}, "t3 comes after the last that was meant"


def test_a_purge_reaches_what_cloudflare_does_not_show(queues: Queues) -> None:
    queues.bury(*(letter(f"t{n}") for n in range(104)), "poison")
    assert [each.body for each in purge(queues, malformed)] == ["poison"]
    with queues.dead_letters() as queue:
        assert queue.count() == 104


def test_letters_that_have_nothing_to_redrive_are_purged(queues: Queues) -> None:
    queues.bury(letter("moved"), letter("gone"), letter("done"), letter("failed"), letter("busy"), "poison")
    others = {"moved": {"run": 2}, "done": {"status": "completed"}, "busy": {"status": "processing"}}
    with Tasks({"gone"}, others) as client:

        def useless(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
            return [each.letter for each in known_letters(client, letters) if each.is_useless]

        purged = purge(queues, useless)
    assert [each.task_run and each.task_run.task_id for each in purged] == ["moved", "gone", "done"]
    assert len(queues.letters()) == 3


def test_all_letters_are_purged(queues: Queues) -> None:
    queues.bury(letter("t1"), "poison")
    with queues.dead_letters() as queue:
        queue.delete_all()
        eventually(lambda: queue.count() == 0 or None)
    assert queues.letters() == []


# --- errors


def test_a_refused_token(queues: Queues) -> None:
    queue = DeadLetterQueue(queues.cloud.base_url, "wrong" * 10, **queues.ids())
    with queue, pytest.raises(RefusedTokenError, match="CLOUDFLARE_API_TOKEN"):
        queue.count()


def test_nothing_answers(queues: Queues) -> None:
    queue = DeadLetterQueue("http://127.0.0.1:9/client/v4", queues.cloud.api_token, **queues.ids())
    with queue, pytest.raises(UnreachableError, match="cannot be reached"):
        queue.peek(1)


def test_an_engine_without_dead_letters() -> None:
    stack = DeployedStack({"engine": "workflow"}, "http://127.0.0.1:9/client/v4", "token")
    with pytest.raises(NotReadyError, match=r"engine workflow has no dead-letter queue.*retry --status failed"):
        DeadLetterQueue.of_stack(stack)


def test_what_names_no_task_cannot_be_redriven() -> None:
    with pytest.raises(ValueError, match="dead letter id names no task"):
        DeadLetter.of_message(_Message()).redrive_message(2)


def test_a_redrive_starts_the_next_run() -> None:
    letter = DeadLetter("id", json.dumps({"taskId": "task", "run": 3}), "json", 1, datetime.now(UTC))
    assert letter.redrive_message(4) == {"taskId": "task", "run": 4, "redrive": True}


class _Message:
    """A message that says as little as the SDK's types allow."""

    id = "id"
    body = metadata = attempts = timestamp_ms = None

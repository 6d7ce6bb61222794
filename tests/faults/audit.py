"""Compares the ledger with what is there after the faults."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from ops.task import Status
from tests.faults.ledger import Ledger
from tests.faults.load import COUNT, INSTANCE, KEY, MESSAGE, ROW, Load
from tests.faults.runners import Runner
from tests.faults.victims import DEPLOY, LOAD, START

PATIENCE_SECONDS = 200
"""A task that was stored and could not be sent is sent by the sweeper, which waits a minute (`SWEEP_GRACE_SECONDS`) and
runs once a minute."""

KV_PATIENCE_SECONDS = 900
"""In KV the sweeper looks every ten minutes (`SWEEP_INTERVAL_MINUTES`)."""

DEAD_LETTER = "dead letter"


def audit(load: Load, kills: Counter[tuple[str, str]]) -> None:
    """Print the counts, and fail when anything acknowledged is lost, an id is used twice, or a task has not ended."""
    ledger = load.ledger
    with ThreadPoolExecutor(len(load.runners)) as pool:
        waits = [pool.submit(runner.unkept, patience_seconds(runner)) for runner in load.runners]
        load.drain(PATIENCE_SECONDS)
        incomplete = load.incomplete_instances(PATIENCE_SECONDS)
        unkept = {runner.kind: wait.result() for runner, wait in zip(load.runners, waits, strict=True)}
    rows = load.rows()
    count = load.count()
    for task_id in failed_by_queue(load):
        ledger.acknowledge(DEAD_LETTER, task_id)
    letters = set(ledger.names(DEAD_LETTER))
    lost = {
        **{kind: [task_id for task_id, status in tasks.items() if status is None] for kind, tasks in unkept.items()},
        DEAD_LETTER: sorted(letters - load.dead_letters(letters, PATIENCE_SECONDS)),
        KEY: sorted(set(ledger.names(KEY)) - load.keys()),
        ROW: sorted(set(ledger.names(ROW)) - set(rows)),
        MESSAGE: sorted(set(ledger.names(MESSAGE)) - set(ledger.pulled)),
        COUNT: [counted for counted in ledger.names(COUNT) if int(counted) > count],
        INSTANCE: [instance for instance, status in incomplete.items() if status is None],
    }
    print_kills(kills)
    print_writes(ledger, lost)
    assert ledger.unexpected == []
    missing = {kind: names for kind, names in lost.items() if names}
    assert missing == {}, f"acknowledged and lost: {missing}"
    late = {kind: tasks for kind, tasks in unkept.items() if tasks}
    assert late == {}, f"tasks that did not end as promised: {late}"
    assert incomplete == {}, f"workflow instances that did not end: {incomplete}"
    assert ledger.after_settled == 0, "a message came again after its acknowledgement was taken"
    assert ledger.used_twice() == []
    assert len(rows) == len(set(rows)), "a write took effect twice"
    assert [runner.kind for runner in load.runners if not ledger.names(runner.kind)] == []


def patience_seconds(runner: Runner) -> float:
    """Tell how long the sweeper of a runner may take."""
    return KV_PATIENCE_SECONDS if runner.stack.startswith("kv") else PATIENCE_SECONDS


def failed_by_queue(load: Load) -> list[str]:
    """Name the tasks that were promised to fail, of the runners with a queue."""
    runners = [runner for runner in load.runners if runner.stack.endswith("queue")]
    return [task_id for runner in runners for task_id, status in runner.promises.items() if status == Status.FAILED]


def print_kills(kills: Counter[tuple[str, str]]) -> None:
    """Print the kills as a table: a line for each victim, a column for each moment."""
    moments = (LOAD, DEPLOY, START)
    print(f"\n{'kills':<28}" + "".join(f"{moment:>10}" for moment in (*moments, "all")))
    for victim in sorted({victim for victim, _ in kills}):
        counts = [kills[victim, moment] for moment in moments]
        print(f"{victim:<28}" + "".join(f"{count:>10}" for count in (*counts, sum(counts))))
    totals = [sum(count for (_, at), count in kills.items() if at == moment) for moment in moments]
    print(f"{'all':<28}" + "".join(f"{count:>10}" for count in (*totals, sum(totals))))


def print_writes(ledger: Ledger, lost: dict[str, list[str]]) -> None:
    """Print the writes as a table: a line for each kind."""
    print(f"{'writes':<28}{'sent':>10}{'answered':>10}{'lost':>10}")
    for kind, names in lost.items():
        acknowledged = len(ledger.names(kind))
        sent = ledger.sent[kind] or acknowledged
        print(f"{kind:<28}{sent:>10}{acknowledged:>10}{len(names):>10}")
    print(f"ids used twice: {len(ledger.used_twice())}")
    print(
        f"messages delivered again: {ledger.redelivered}, of them after their acknowledgement: {ledger.after_settled}"
    )

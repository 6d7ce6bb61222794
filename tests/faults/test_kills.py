"""kill -9 at random moments under load and deploys: what was acknowledged is there, and the work goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from local.cli.instance import Instance
from tests.faults.audit import audit
from tests.faults.conftest import configure, deploy_all
from tests.faults.deployer import DELAYS_SECONDS, Deployer
from tests.faults.load import Load
from tests.faults.victims import (
    CONTROL_PLANE,
    DATA_PLANE,
    DEPLOY,
    EVERYTHING,
    LOAD,
    RETURN_SECONDS,
    START,
    WORKERD,
    Victims,
)
from tests.journey.project import Project

WEIGHTS = {WORKERD: 85, DATA_PLANE: 4, CONTROL_PLANE: 2, EVERYTHING: 1}
"""How often each is struck, of so many strikes: most often what comes back soonest."""

STRIKES = 30
WORK_SECONDS = 3
"""After so many strikes comes time to work: a task in KV takes more than a second, and has so many attempts."""

KILLED_AT_START = 0.06
"""The share of strikes that go on with a kill of what is just coming back."""

LONGEST_PAUSE_SECONDS = 0.1
LONGEST_START_SECONDS = 0.5


class Assassin:
    """Strikes the processes of an instance, and starts it again."""

    def __init__(self, load: Load, victims: Victims, deployer: Deployer, chance: random.Random) -> None:
        self._load = load
        self._victims = victims
        self._deployer = deployer
        self._chance = chance
        self._restarts = ThreadPoolExecutor(1)

    def close(self) -> None:
        """Wait for the last start."""
        self._restarts.shutdown()

    def strike_until(self, deadline: float) -> None:
        """Strike so many times, one of them a deploy, but not later than the deadline; then let everybody work."""
        deployers_turn = self._chance.randrange(STRIKES)
        for turn, victim in enumerate(self._chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STRIKES)):
            if time.monotonic() > deadline:
                break
            self._strike(victim)
            if turn >= deployers_turn and self._deployer.kill():
                deployers_turn = STRIKES
        self._load.wait_until_served(RETURN_SECONDS)
        time.sleep(WORK_SECONDS)

    def _strike(self, victim: str) -> None:
        self._load.wait_until_served(RETURN_SECONDS)
        time.sleep(self._chance.uniform(0, LONGEST_PAUSE_SECONDS))
        self._victims.kill_when_there(victim, DEPLOY if self._deployer.is_deploying else LOAD)
        restart = self._restart() if victim in (CONTROL_PLANE, EVERYTHING) else None
        if self._chance.random() < KILLED_AT_START:
            time.sleep(self._chance.uniform(0, LONGEST_START_SECONDS))
            self._victims.kill_when_there(victim, START)
            restart = restart and self._restart()
        if restart is not None:
            restart.result()

    def _restart(self) -> Future[Instance]:
        return self._restarts.submit(self._victims.restart)


@pytest.fixture
def deployer(project: Project, victims: Victims, load: Load, stacks: list[str]) -> Deployer:
    return Deployer(project, stacks, victims, load.ledger)


@pytest.fixture
def assassin(load: Load, victims: Victims, deployer: Deployer, chance: random.Random) -> Iterator[Assassin]:
    assassin = Assassin(load, victims, deployer, chance)
    yield assassin
    assassin.close()


def test_nothing_acknowledged_is_lost(
    project: Project,
    load: Load,
    victims: Victims,
    deployer: Deployer,
    assassin: Assassin,
    stacks: list[str],
    fault_seconds: float,
) -> None:
    deadline = time.monotonic() + fault_seconds
    with deployer.running(), load.running():
        while time.monotonic() < deadline:
            assassin.strike_until(deadline)
    victims.restart()
    audit(load, victims.kills)
    print(f"deploys: {dict(deployer.ends)}")
    for stack in stacks:
        configure(project, stack, retry_max_delay_seconds=DELAYS_SECONDS[-1] + 1)
    deploy_all(project, stacks)
    assert ["nothing changed" in output for output in deploy_all(project, stacks)] == [True] * len(stacks)

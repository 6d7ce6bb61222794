"""kill -9 at random moments under load: what was acknowledged is there, and the work goes on."""

from __future__ import annotations

import random
import time

from tests.faults.audit import audit
from tests.faults.conftest import STACK
from tests.faults.load import Load
from tests.faults.victims import CONTROL_PLANE, DATA_PLANE, RETURN_SECONDS, WORKERD, Victims
from tests.journey.project import Project

ROUND = [*[WORKERD] * 8, DATA_PLANE, *[WORKERD] * 8, CONTROL_PLANE]
"""The victims of a round, in an order of chance. The supervisor of a data plane that crashes again and again waits
longer each time, which is why most kills are of workerd."""

UNREADY_KILLS = 0.05
"""The share of kills that do not wait until the data plane serves again: what never gets to its feet does no work."""

LONGEST_PAUSE_SECONDS = 0.2


def test_nothing_acknowledged_is_lost(
    project: Project, load: Load, victims: Victims, chance: random.Random, fault_seconds: float
) -> None:
    deadline = time.monotonic() + fault_seconds
    with load.running():
        while time.monotonic() < deadline:
            for victim in chance.sample(ROUND, len(ROUND)):
                if chance.random() > UNREADY_KILLS:
                    load.wait_until_served(RETURN_SECONDS)
                time.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
                victims.kill_when_there(victim)
                if victim == CONTROL_PLANE:
                    victims.restart()
    victims.restart()
    audit(load, victims.kills)
    assert "nothing changed" in project.deploy("up", STACK)

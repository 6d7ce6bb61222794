"""A redrive that is killed at a given moment: `python -m tests.ops.killed_redrive MOMENT LEASE_MS API TOKEN IDS...`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from ops import dead_letter_queue
from ops.dead_letter_queue import DeadLetterQueue
from ops.dead_letter_round import DeadLetterRound
from ops.redrive import Redrive, Selection
from tests.ops.queues import Tasks


class KilledQueue(DeadLetterQueue):
    """Dies before or after the push, or after the acknowledgement."""

    moment: str

    def _push(self, queue_id: str, messages: list[dict[str, Any]]) -> None:
        self._die("before the push")
        super()._push(queue_id, messages)
        self._die("after the push")

    def _settle(self, **leased: Any) -> None:
        super()._settle(**leased)
        self._die("after the acknowledgement")

    def _die(self, moment: str) -> None:
        if moment == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    moment, lease_ms, base_url, api_token, account_id, queue_id, dlq_id = sys.argv[1:]
    dead_letter_queue.LEASE_MS = int(lease_ms)
    queue = KilledQueue(base_url, api_token, account_id=account_id, queue_id=queue_id, dlq_id=dlq_id)
    queue.moment = moment
    with queue, DeadLetterRound(queue) as letters, Tasks() as client:
        Redrive(letters, client, Selection(rate_per_second=5)).run()


if __name__ == "__main__":
    main()

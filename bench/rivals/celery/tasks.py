"""The worker that runs tasks, with Celery: `celery --app tasks worker`."""

import hashlib
import json
import os
import sys

from celery import Celery
from celery.signals import worker_ready

REDIS_SOCKET = os.environ["RIVAL_REDIS_SOCKET"]
DAY_SECONDS = 86_400
PREFETCH = 64
"""How many messages a process prefetches; Celery's guide advises 50 to 150 for short tasks."""

_url = f"redis+socket://{REDIS_SOCKET}"
app = Celery("tasks", broker=_url, backend=_url)
app.conf.update(
    result_expires=DAY_SECONDS,
    task_acks_late=True,
    task_track_started=True,
    worker_prefetch_multiplier=PREFETCH,
)


@app.task(max_retries=5)
def work(payload: str) -> dict[str, str | int]:
    """Return the length and the hash of a payload."""
    data = payload.encode()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@worker_ready.connect
def _say_ready(**_: object) -> None:
    print(json.dumps({"ready": True}), file=sys.__stdout__, flush=True)

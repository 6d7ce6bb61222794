"""The task runner's API on FastAPI and Celery: `python api.py`."""

import json
import socket

import redis
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from tasks import REDIS_SOCKET, app, work

QUEUE = "celery"
UNACKNOWLEDGED = "unacked"
RESULTS = "celery-task-meta-*"
STATUSES = {"SUCCESS": "completed", "FAILURE": "failed", "STARTED": "processing"}

api = FastAPI()
store = redis.Redis(unix_socket_path=REDIS_SOCKET)


@api.post("/task")
async def submit(request: Request) -> dict[str, str]:
    """Submit a task."""
    payload = (await request.body()).decode()
    result = await run_in_threadpool(work.delay, payload)
    return {"taskId": result.id, "status": "pending"}


@api.get("/task/{task_id}")
def status(task_id: str) -> dict[str, str]:
    """Return the status of a task; Celery returns pending for an unknown one."""
    return {"taskId": task_id, "status": STATUSES.get(app.AsyncResult(task_id).state, "pending")}


# Only for the benchmark.


@api.post("/hold")
def hold() -> None:
    """Stop consuming, and wait until the prefetched messages are done."""
    app.control.cancel_consumer(QUEUE, reply=True)


@api.post("/release")
def release() -> None:
    """Resume consuming."""
    app.control.add_consumer(QUEUE, reply=True)


@api.get("/backlog")
def backlog() -> int:
    """Count messages in the queue, and those in progress."""
    return store.llen(QUEUE) + store.hlen(UNACKNOWLEDGED)


@api.get("/completed")
def completed() -> int:
    """Count results with the state success."""
    keys = list(store.scan_iter(RESULTS, count=10_000))
    results = [text for start in range(0, len(keys), 1_000) for text in store.mget(keys[start : start + 1_000])]
    return sum(json.loads(text)["status"] == "SUCCESS" for text in results if text)


# TCP must be named explicitly: only then does asyncio switch off Nagle's algorithm, which delays each answer by 40 ms.
listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listening.bind(("127.0.0.1", 0))
listening.listen()
print(json.dumps({"port": listening.getsockname()[1]}), flush=True)
uvicorn.Server(uvicorn.Config(api, log_level="warning", access_log=False)).run(sockets=[listening])

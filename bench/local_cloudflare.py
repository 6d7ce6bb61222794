"""What a change on the local Cloudflare costs, and how it affects other Workers: `make bench-local`."""

from __future__ import annotations

import secrets
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from bench.cloud import LocalCloud
from bench.machine import describe, in_words
from bench.progress import Progress

ROUNDS = 5
"""How many deployments of the other Worker, and requests for queues; the worst or the median is shown."""

BATCH_SECONDS = 20
"""How long the other Worker's consumer works on its one message. It has no retries: an interrupted message is lost."""

LARGE_WORKERS = 6
LARGE_BYTES = 8 * 2**20
"""The size of a large Worker's code; all of them together have 48 MiB."""

PROBE_SECONDS = 0.01
"""The pause between requests to the other Worker."""

_MEBIBYTE = 2**20
_SECONDS = 120

_NEIGHBOUR = """
const batches = { begun: 0, ended: 0, attempts: 0 };
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === '/stream') {
      const { readable, writable } = new TransformStream();
      const writer = writable.getWriter();
      void (async () => {
        for (;;) {
          await writer.write(new TextEncoder().encode('data: still here\\n\\n'));
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
      })().catch(() => {});
      return new Response(readable, { headers: { 'Content-Type': 'text/event-stream' } });
    }
    if (pathname === '/send') await env.JOBS.send('a long job');
    return Response.json(batches);
  },
  async queue(batch) {
    batches.begun += 1;
    batches.attempts = batch.messages[0].attempts;
    await new Promise((resolve) => setTimeout(resolve, BATCH_SECONDS * 1000));
    batches.ended += 1;
  },
};
""".replace("BATCH_SECONDS", str(BATCH_SECONDS))

_OTHER = "export default {{ fetch() {{ return new Response('version {number}') }} }}"


class Figure(NamedTuple):
    """A line of the output; one without a target is for comparison."""

    what: str
    measured: str
    target: str = ""
    is_met: bool = True


def main() -> int:
    """Measure, and print a table; return the exit code: 1 if a target is missed."""
    progress = Progress()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        with LocalCloud(Path(folder) / "neighbours") as cloud:
            progress.say("deployments beside an event stream and a batch")
            figures += neighbours(cloud)
        with LocalCloud(Path(folder) / "code") as cloud:
            progress.say(
                f"a new queue without and with {LARGE_WORKERS * LARGE_BYTES // _MEBIBYTE} MiB of deployed code"
            )
            figures += large_code(cloud)
    print(f"On {in_words(describe())}.\n")
    print("| what | measured | target | |\n| --- | --- | --- | --- |")
    for what, measured, target, is_met in figures:
        verdict = "met" if is_met else "missed"
        print(f"| {what} | {measured} | {target} | {verdict if target else ''} |")
    return 0 if all(figure.is_met for figure in figures) else 1


def neighbours(cloud: LocalCloud) -> list[Figure]:
    """Deploy a Worker several times while another one streams, works on a batch and answers requests."""
    queue = cloud.post("/queues", {"queue_name": "jobs"})["queue_id"]
    cloud.upload_script("neighbour", _NEIGHBOUR, [{"type": "queue", "name": "JOBS", "queue_name": "jobs"}])
    consumer = {"type": "worker", "script_name": "neighbour", "settings": {"max_retries": 0, "max_wait_time_ms": 0}}
    cloud.post(f"/queues/{queue}/consumers", consumer)
    url = cloud.worker_url("neighbour")
    with _client() as client, _stream(f"{url}/stream") as stream:
        client.get(f"{url}/send").raise_for_status()
        _wait(lambda: client.get(url).json()["begun"] == 1)
        with _probes(url) as quiet:
            time.sleep(1)
        deployed: list[float] = []
        with _probes(url) as waits:
            for number in range(ROUNDS):
                deployed.append(_timed(lambda n=number: cloud.upload_script("other", _OTHER.format(number=n), [])))
        is_streaming = not stream.done()
        _wait(lambda: client.get(url).json()["ended"] == 1)
        batches = client.get(url).json()
    backlog = cloud.get(f"/queues/{queue}/metrics")["backlog_count"]
    is_whole = batches == {"begun": 1, "ended": 1, "attempts": 1} and backlog == 0
    return [
        Figure("a deployment, the slowest of five", f"{max(deployed):.2f} s", "< 1 s", max(deployed) < 1),
        Figure(
            "the longest request to the neighbour meanwhile (and before)",
            f"{max(waits) * 1000:.0f} ms ({max(quiet) * 1000:.0f} ms)",
            "≤ 100 ms",
            max(waits) <= 0.1,
        ),
        Figure("the neighbour's event stream", "goes on" if is_streaming else "cut", "goes on", is_streaming),
        Figure(
            f"the neighbour's batch of {BATCH_SECONDS} s",
            "done in one attempt" if is_whole else f"{batches}, {backlog} in the queue",
            "done in one attempt",
            is_whole,
        ),
    ]


def large_code(cloud: LocalCloud) -> list[Figure]:
    """Create queues in an account without code and in one with much code, and make another call meanwhile."""
    before, _ = _queues(cloud, "empty")
    memory = cloud.memory_bytes()
    for number in range(LARGE_WORKERS):
        text = secrets.token_hex(LARGE_BYTES // 2)
        cloud.upload_script(
            f"large-{number}",
            f"const text = '{text}'; export default {{ fetch() {{ return new Response(text) }} }}",
            [],
        )
    after, verify = _queues(cloud, "full")
    grown = (cloud.memory_bytes() - memory) / _MEBIBYTE
    code = LARGE_WORKERS * LARGE_BYTES / _MEBIBYTE
    return [
        Figure(
            f"POST /queues with {code:.0f} MiB of code, beside an empty account",
            f"{after * 1000:.0f} ms, {after / before:.1f} ×",
            "≤ 3 ×",
            after <= 3 * before,
        ),
        Figure("GET /user/tokens/verify meanwhile, the longest", f"{verify * 1000:.0f} ms", "≤ 100 ms", verify <= 0.1),
        Figure(f"memory that {code:.0f} MiB of code take, shared pages in each process", f"{grown:.0f} MiB"),
    ]


def _queues(cloud: LocalCloud, name: str) -> tuple[float, float]:
    """Create queues; return the median time, and the longest time of another call meanwhile, in seconds."""
    base, headers = cloud.instance.base_url, {"Authorization": f"Bearer {cloud.instance.api_token}"}
    cloud.post("/queues", {"queue_name": f"{name}-first"})
    with _probes(f"{base}/user/tokens/verify", headers) as waits:
        times = [_timed(lambda n=n: cloud.post("/queues", {"queue_name": f"{name}-{n}"})) for n in range(ROUNDS)]
    return statistics.median(times), max(waits)


@contextmanager
def _probes(url: str, headers: dict[str, str] | None = None) -> Generator[list[float]]:
    """Send requests continuously; the list gets the time of each answer, in seconds."""
    waits: list[float] = []

    def ask(stop: threading.Event) -> None:
        with _client() as client:
            while not stop.wait(PROBE_SECONDS):
                waits.append(_timed(lambda: client.get(url, headers=headers).raise_for_status()))

    with _beside(ask) as asking:
        yield waits
    asking.result()


def _stream(url: str) -> AbstractContextManager[Future[None]]:
    """Read an event stream; the yielded event is set when the stream has ended."""

    def read(stop: threading.Event) -> None:
        with _client() as client, client.stream("GET", url) as response:
            for _ in response.iter_bytes():
                if stop.is_set():
                    return

    return _beside(read)


@contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Generator[Future[None]]:
    """Run work in a thread, until the event that is passed to it is set."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            yield pool.submit(work, stop)
        finally:
            stop.set()


def _client() -> httpx.Client:
    return httpx.Client(timeout=_SECONDS, trust_env=False)


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _wait(is_there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected the neighbour's batch within {_SECONDS} s")
        time.sleep(0.1)


if __name__ == "__main__":
    raise SystemExit(main())

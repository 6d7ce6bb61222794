"""Measures how long a deployment takes, and how long it delays a request."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from bench.deployed_worker import DeployedWorker
from bench.load_generator import LoadGenerator, Target
from bench.meter import upload

_PROBES_PER_SECOND = 20
_LEAD_SECONDS = 0.5
_PROBE_SECONDS = 3


def measure(worker: DeployedWorker, load: LoadGenerator, *, payload_bytes: int) -> dict[str, float]:
    """Deploy the Worker's latest version again, under a light load.

    Returns:
        Tasks submitted; seconds until the API answers, when the new version serves; the slowest POST meanwhile, in ms.
    """
    version = worker.version()
    code = {"main_module": version["main_module"], "modules": version["modules"]}
    target = Target(worker.url, worker.headers, payload_bytes)
    with ThreadPoolExecutor(max_workers=1) as pool:
        probes = pool.submit(
            load.steady,
            target,
            tasks_per_second=_PROBES_PER_SECOND,
            seconds=_PROBE_SECONDS,
            followed_per_second=1,
            poll_ms=50,
        )
        time.sleep(_LEAD_SECONDS)
        began = time.perf_counter()
        upload(worker, version, code)
        deployed = time.perf_counter() - began
        post_ms = probes.result().post_ms
        return {"tasks": float(len(post_ms)), "deploy_seconds": deployed, "slowest_post_ms": max(post_ms)}

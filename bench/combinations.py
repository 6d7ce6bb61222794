"""Measures what a task uses with each store and each engine."""

from __future__ import annotations

from typing import get_args

from bench import units
from bench.cloud import LocalCloud
from bench.load_generator import LoadGenerator
from bench.profile import Profile
from bench.progress import Progress
from bench.task_runner import TaskRunner
from bench.units import Units
from components.task_runner_args import Engine, StateStore

ENVIRONMENTS = ("dev", "stg", "uat", "prod")


def combination(store: str, engine: str) -> str:
    """Return the name of a combination of store and engine."""
    return f"{store}, {engine}"


def measure_engine(
    engine: Engine, cloud: LocalCloud, load: LoadGenerator, profile: Profile, progress: Progress
) -> dict[str, dict[str, Units]]:
    """Count units with each store; all stacks run on one cloud."""
    counted: dict[str, dict[str, Units]] = {}
    for store, env in zip(get_args(StateStore), ENVIRONMENTS, strict=False):
        name = combination(store, engine)
        with TaskRunner(name, cloud, env=env, state_store=store, engine=engine) as runner:
            counted[name] = units.measure(runner, load, tasks=profile.units_tasks, payload_bytes=profile.payload_bytes)
        for kind, values in counted[name].items():
            progress.measured(f"units, {kind}", name, values)
    return counted

"""What processes use."""

import os
import subprocess
import sys

from bench.processes import cpu_seconds, resident_bytes


def test_a_process_is_measured_with_those_that_it_has_started() -> None:
    busy = "sum(number for number in range(5_000_000)); print('done', flush=True); input()"
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        before = resident_bytes(os.getpid())
        child.stdout.readline()
        alone = cpu_seconds(child.pid)
        assert list(alone) == ["python"]
        assert 0.01 < alone["python"] < 60
        assert cpu_seconds(os.getpid())["python"] >= alone["python"]
        assert 0 < resident_bytes(child.pid) < before
        child.communicate("\n")
    assert cpu_seconds(child.pid) == {}

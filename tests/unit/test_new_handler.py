"""A new handler comes with a test that passes, wherever its folder is."""

import subprocess
from pathlib import Path

import pytest

from components.new_handler import NewHandlerError, write_handler
from components.toolchain import node_command

TEST_SECONDS = 60


@pytest.mark.parametrize("ending", [".js", ".ts"])
def test_its_test_passes(tmp_path: Path, ending: str) -> None:
    _, test = write_handler("greet", tmp_path / "handlers", ending)
    done = subprocess.run(  # noqa: S603
        [*node_command(), "--test", str(test)], capture_output=True, text=True, timeout=TEST_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 1" in done.stdout


def test_a_handler_is_not_written_over(tmp_path: Path) -> None:
    write_handler("greet", tmp_path)
    with pytest.raises(NewHandlerError, match=r"expected no file .*greet\.test\.js yet"):
        write_handler("greet", tmp_path, ".ts")


@pytest.mark.parametrize("name", ["", "Greet", "../greet", "1x"])
def test_a_name_that_no_task_could_call_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NewHandlerError, match="expected a name of at most 64 lower-case letters"):
        write_handler(name, tmp_path)

"""What is missing for the rivals is said, and how to get it."""

import shutil

import pytest

from bench.rivals import missing_parts, redis_server


def test_a_machine_without_redis_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_program(_: str) -> None:
        return None

    monkeypatch.setattr(shutil, "which", no_program)
    assert next(missing_parts()) == "redis-server (Debian: apt-get install redis-server)"


def test_a_redis_that_is_there_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_usr_bin(program: str) -> str:
        return f"/usr/bin/{program}"

    monkeypatch.setattr(shutil, "which", in_usr_bin)
    assert redis_server.is_installed()
    assert not any("redis-server" in part for part in missing_parts())

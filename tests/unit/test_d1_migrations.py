"""The migrations resource: what it promises before anything is applied (tests/local shows it at work)."""

from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import rpc

from components.d1_migrations import (
    Migration,
    _D1MigrationsProvider,  # pyright: ignore[reportPrivateUsage]
    read_migrations,
)


def properties(*names: str, database_id: str = "db", sql: str = "SELECT 1;") -> dict[str, Any]:
    migrations: list[Migration] = [{"name": name, "sha256": f"{name} {sql}", "sql": sql} for name in names]
    return {"account_id": "a", "database_id": database_id, "migrations": migrations}


def applied(*names: str) -> dict[str, Any]:
    return {**properties(*names), "applied": list(names)}


@pytest.fixture
def provider() -> _D1MigrationsProvider:
    return _D1MigrationsProvider()


def test_reads_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "0002_b.sql").write_text("SELECT 2;")
    (tmp_path / "0001_a.sql").write_text("SELECT 1;")
    (tmp_path / "notes.txt").write_text("not a migration")
    first, second = read_migrations(tmp_path)
    assert (first["name"], first["sql"]) == ("0001_a.sql", "SELECT 1;")
    assert first["sha256"] == "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"
    assert second["name"] == "0002_b.sql"


def test_a_folder_without_migrations_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected migrations \(\*\.sql\)"):
        read_migrations(tmp_path)


def test_a_new_migration_is_a_change(provider: _D1MigrationsProvider) -> None:
    assert provider.diff("db", applied("1.sql"), properties("1.sql")).changes is False
    assert provider.diff("db", applied("1.sql"), properties("1.sql", "2.sql")).changes is True


def test_a_migration_that_the_database_has_lost_is_a_change(provider: _D1MigrationsProvider) -> None:
    olds = {**applied("1.sql", "2.sql"), "applied": ["1.sql"]}
    assert provider.diff("db", olds, properties("1.sql", "2.sql")).changes is True


@pytest.mark.parametrize("database_id", ["another", rpc.UNKNOWN])
def test_another_database_is_another_resource(provider: _D1MigrationsProvider, database_id: str) -> None:
    result = provider.diff("db", applied("1.sql"), properties("1.sql", database_id=database_id))
    assert (result.changes, result.replaces) == (True, ["database_id"])


def test_an_edited_migration_is_refused(provider: _D1MigrationsProvider) -> None:
    (failure,) = provider.check(applied("1.sql"), properties("1.sql", sql="SELECT 2;")).failures
    assert failure.reason == (
        "1.sql was applied to the database and has been edited since: put it back as it was, "
        "and write the change as a new migration"
    )


def test_a_lost_migration_is_refused(provider: _D1MigrationsProvider) -> None:
    (failure,) = provider.check(applied("1.sql", "2.sql"), properties("2.sql")).failures
    assert failure.reason.startswith("1.sql was applied to the database and is gone from worker/migrations")


def test_a_new_database_may_have_other_migrations(provider: _D1MigrationsProvider) -> None:
    assert provider.check(applied("1.sql"), properties("2.sql", database_id="new")).failures == []

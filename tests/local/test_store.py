"""The state file: each product's tables have a version of their own, and files of the time before are taken over."""

import sqlite3
from pathlib import Path

import pytest

from local.core.registry import products
from local.core.store import Store

VERSION_7 = (Path(__file__).parent / "state_of_version_7.sql").read_text()


def file_of(path: Path, script: str) -> Path:
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    return path


def schema_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Read all tables, each by its columns: a column that was added later stands elsewhere in the text."""
    db = sqlite3.connect(path)
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: db.execute(f"PRAGMA table_info({name})").fetchall() for name in tables}
    db.close()
    return found


def old_file(path: Path, version: int) -> Path:
    """Make a file of an earlier single version, from the steps that made it."""
    steps = [step for product in products() for step in product.schema]
    made = [step.sql for number in range(1, version + 1) for step in steps if step.single_version == number]
    settings = "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
    doomed = "CREATE TABLE doomed_data (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id));"
    return file_of(path, f"{settings}{''.join(made)}{doomed if version >= 7 else ''}PRAGMA user_version = {version};")


def test_a_file_of_the_single_version_keeps_what_it_has(tmp_path: Path) -> None:
    path = file_of(tmp_path / "old.db", VERSION_7)
    for _ in range(2):  # the second time there is nothing left to do
        store = Store(path)
        assert store.setting("port") == "9000"
        for query in ("SELECT name FROM queues", "SELECT name FROM workers"):
            assert store.reader.execute(query).fetchone()["name"] == "kept"
        assert store.reader.execute("SELECT title FROM kv_namespaces").fetchone()["title"] == "kept"
        assert tuple(store.reader.execute("SELECT kind, id FROM tombstones").fetchone()) == ("d1", "gone")
        store.close()
    Store(tmp_path / "new.db").close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")


@pytest.mark.parametrize("version", range(1, 8))
def test_a_file_of_each_single_version_opens(version: int, tmp_path: Path) -> None:
    path = old_file(tmp_path / "old.db", version)
    Store(path).close()
    Store(tmp_path / "new.db").close()
    assert schema_of(path) == schema_of(tmp_path / "new.db")


def test_a_newer_file_is_refused_by_the_part_that_is_newer(tmp_path: Path) -> None:
    store = Store(tmp_path / "new.db")
    store.writer.execute("UPDATE schema_versions SET version = 99 WHERE owner = 'queues'")
    store.close()
    with pytest.raises(RuntimeError, match=r"part queues is of version 99, this program of \d"):
        Store(tmp_path / "new.db")


def test_a_product_that_is_gone_leaves_its_tables(tmp_path: Path) -> None:
    """A file that a program with one more product wrote opens."""
    store = Store(tmp_path / "new.db")
    store.writer.execute("INSERT INTO schema_versions VALUES ('vectorize', 1)")
    store.close()
    Store(tmp_path / "new.db").close()

"""The schema grows by new migrations; one that was applied can neither be edited nor lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.cloudflare_api import CloudflareApi
from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from tests.commands.command import ROOT
from tests.journey.project import Project, local_cloudflare

SHIPPED = [file.name for file in sorted((ROOT / "worker" / "migrations").glob("*.sql"))]
FIRST = SHIPPED[0]
NEW = "9001_notes.sql"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        project = Project(tmp_path_factory.mktemp("project"), state)
        for name in ("worker", "components"):
            (project.folder / name).unlink()
            shutil.copytree(ROOT / name, project.folder / name)
        project.configure("schema", env="dev")
        project.deploy("up", "schema")
        yield project


@pytest.fixture
def migrations(project: Project) -> Path:
    return project.folder / "worker" / "migrations"


def query(project: Project, sql: str) -> list[dict[str, Any]]:
    instance = Instance.find(project.state)
    assert instance is not None
    outputs = read_outputs(project.state, "schema")
    api = CloudflareApi(instance.base_url, instance.api_token)
    path = f"accounts/{instance.account_id}/d1/database/{outputs['database_id']}/query"
    return api.post(path, {"sql": sql})[-1]["results"]


def test_a_new_migration_is_applied_and_recorded_as_wrangler_does(project: Project, migrations: Path) -> None:
    (migrations / NEW).write_text("CREATE TABLE own_notes (text TEXT)\n-- the end;")
    project.deploy("up", "schema")
    recorded = query(project, "SELECT id, name FROM d1_migrations ORDER BY id")
    assert recorded == [{"id": number, "name": name} for number, name in enumerate([*SHIPPED, NEW], 1)]
    assert query(project, "SELECT count(*) AS notes FROM own_notes") == [{"notes": 0}]
    assert "nothing changed" in project.deploy("up", "schema")


def test_an_edited_migration_is_refused_before_anything_changes(project: Project, migrations: Path) -> None:
    original = (migrations / FIRST).read_text()
    (migrations / FIRST).write_text(original + "\nCREATE TABLE more (x);\n")
    printed = project.deploy("up", "schema", expect=1)
    (migrations / FIRST).write_text(original)
    assert f"{FIRST} was applied to the database and has been edited since" in printed
    assert query(project, "SELECT name FROM sqlite_master WHERE name = 'more'") == []


def test_a_lost_migration_is_refused(project: Project, migrations: Path) -> None:
    text = (migrations / NEW).read_text()
    (migrations / NEW).unlink()
    printed = project.deploy("up", "schema", expect=1)
    (migrations / NEW).write_text(text)
    assert f"{NEW} was applied to the database and is gone from worker/migrations" in printed


def test_a_broken_migration_changes_nothing_and_can_be_mended(project: Project, migrations: Path) -> None:
    third = migrations / "9002_broken.sql"
    third.write_text("CREATE TABLE half (x);\nCREATE TABEL other (y);")
    printed = project.deploy("up", "schema", expect=1)
    assert 'near "TABEL": syntax error' in printed
    assert query(project, "SELECT name FROM sqlite_master WHERE name = 'half'") == []
    third.write_text("CREATE TABLE half (x);\nCREATE TABLE other (y);")
    project.deploy("up", "schema")
    assert query(project, "SELECT count(*) AS tables FROM sqlite_master WHERE name IN ('half', 'other')") == [
        {"tables": 2}
    ]

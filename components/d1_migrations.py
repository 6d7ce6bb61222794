"""The schema of a D1 database as a resource; the provider has none for it (terraform-provider-cloudflare #7347)."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from .cloudflare_api import PROVIDER_SETTINGS, ApiError, CloudflareApi, NotFoundError
from .own_resource import OwnResource

# The table in which `wrangler d1 migrations` records the applied migrations.
CREATE_RECORDS = """CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT UNIQUE,
  applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
)"""
LIST_RECORDS = "SELECT name FROM d1_migrations ORDER BY id"
HAS_RECORDS = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'd1_migrations'"


class Migration(TypedDict):
    """A migration, as the stack's state stores it."""

    name: str
    """The file's name."""
    sha256: str
    """The hash of the file's text, in hexadecimal. It shows whether an applied migration was edited."""
    sql: str


class MigrationError(Exception):
    """A migration could not be applied."""


def read_migrations(folder: Path) -> list[Migration]:
    """Read the migrations of a folder (``*.sql``), sorted by name.

    Raises:
        FileNotFoundError: the folder has no migrations.
    """
    files = sorted(folder.glob("*.sql"))
    if not files:
        raise FileNotFoundError(f"expected migrations (*.sql) in {folder}, found none")
    return [_migration(file.name, file.read_text(encoding="utf-8")) for file in files]


def _migration(name: str, sql: str) -> Migration:
    return {"name": name, "sha256": hashlib.sha256(sql.encode()).hexdigest(), "sql": sql}


class D1Migrations(OwnResource, module="d1", name="Migrations"):
    """Applies migrations to a D1 database in order, each once, and records them as wrangler does.

    ``applied`` lists the names of the migrations that the database has. Destroying the resource leaves the schema in
    place: it is deleted with its database.
    """

    applied: pulumi.Output[list[str]]

    @classmethod
    def make_provider(cls) -> ResourceProvider:
        """Return the resource's provider."""
        return _D1MigrationsProvider()

    def __init__(
        self,
        resource_name: str,
        *,
        account_id: pulumi.Input[str],
        database_id: pulumi.Input[str],
        migrations: list[Migration],
        provider: Mapping[str, pulumi.Input[str | None]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare that a database has these migrations.

        Args:
            resource_name: the resource's name.
            account_id: the Cloudflare account.
            database_id: the database's UUID. A different UUID replaces the resource and applies every migration.
            migrations: all migrations, in order. An applied migration must not be changed or removed.
            provider: the settings of the Cloudflare provider that made the database, by the names of
                ``PROVIDER_SETTINGS``. None means the default provider, which the stack's config and the environment
                configure.
            opts: the resource's options.
        """
        properties: dict[str, Any] = {
            "account_id": account_id,
            "database_id": database_id,
            "migrations": migrations,
            "applied": None,
        }
        if provider is not None:
            properties["provider"] = pulumi.Output.secret(dict(provider))
        super().__init__(resource_name, properties, opts)


class _D1MigrationsProvider(ResourceProvider):
    """The resource's provider; it keeps no state of its own."""

    serialize_as_secret_always = False  # it holds no secrets: credentials come with `configure` or with the properties

    _config: Mapping[str, str | None] = {}

    def configure(self, req: ConfigureRequest) -> None:
        """Keep the settings of the default Cloudflare provider from the stack's config."""
        self._config = {name: req.config.get(f"cloudflare:{key}") for name, (key, _) in PROVIDER_SETTINGS.items()}

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Refuse to remove or edit a migration that this database has."""
        failures: list[CheckFailure] = []
        if _olds.get("database_id") == news.get("database_id"):
            kept = {each["name"]: each["sha256"] for each in news["migrations"]}
            applied: list[Migration] = _olds.get("migrations") or []
            for old in applied:
                reason = _broken_promise(old, kept.get(old["name"]))
                if reason:
                    failures.append(CheckFailure("migrations", reason))
        return CheckResult(news, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare the wanted migrations with those that the database has."""
        replaces = [key for key in ("account_id", "database_id") if _olds.get(key) != _news.get(key)]
        wanted = [each["name"] for each in _news["migrations"]]
        has_changed = _olds.get("applied") != wanted or _olds.get("provider") != _news.get("provider")
        return DiffResult(changes=bool(replaces) or has_changed, replaces=replaces)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Apply the migrations that the database lacks."""
        return CreateResult(props["database_id"], self._apply(props))

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Apply the migrations that the database lacks."""
        return UpdateResult(self._apply(_news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Read which migrations the database has."""
        names = [each["name"] for each in props["migrations"]]
        try:
            recorded = set(self._database(props).recorded())
        except NotFoundError:
            return ReadResult("", {})
        return ReadResult(id_, {**props, "applied": [name for name in names if name in recorded]})

    def _database(self, props: dict[str, Any]) -> _Database:
        settings: Mapping[str, str | None] = props.get("provider") or self._config
        api = CloudflareApi.from_settings(settings.get)
        return _Database(api, props["account_id"], props["database_id"])

    def _apply(self, props: dict[str, Any]) -> dict[str, Any]:
        migrations: list[Migration] = props["migrations"]
        database = self._database(props)
        database.query(CREATE_RECORDS)
        recorded = database.recorded()
        names = [each["name"] for each in migrations]
        strangers = [name for name in recorded if name not in names]
        if strangers:
            raise MigrationError(
                f"database {props['database_id']} has migrations that are not in worker/migrations: "
                f"{', '.join(strangers)}. Put their files back, as they were applied."
            )
        for migration in migrations:
            if migration["name"] not in recorded:
                database.apply(migration)
        return {**props, "applied": names}


def _broken_promise(old: Migration, sha256: str | None) -> str | None:
    if sha256 is None:
        return f"{old['name']} was applied to the database and is gone from worker/migrations: put it back as it was"
    if sha256 != old["sha256"]:
        return (
            f"{old['name']} was applied to the database and has been edited since: put it back as it was, "
            "and write the change as a new migration"
        )
    return None


class _Database:
    """A database and its table of applied migrations, reached through D1's REST API."""

    def __init__(self, api: CloudflareApi, account_id: str, database_id: str) -> None:
        self._api = api
        self._path = f"accounts/{account_id}/d1/database/{database_id}/query"

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Run statements in one transaction and return the rows of the last one."""
        return self._api.post(self._path, {"sql": sql})[-1]["results"]

    def recorded(self) -> list[str]:
        """Return the names of the migrations that the database has, in the order in which they were applied."""
        if not self.query(HAS_RECORDS):
            return []
        return [row["name"] for row in self.query(LIST_RECORDS)]

    def apply(self, migration: Migration) -> None:
        """Apply a migration and record it, in one transaction, so that it is never applied twice."""
        name = migration["name"].replace("'", "''")
        sql = migration["sql"].rstrip()
        terminated = sql if sqlite3.complete_statement(sql) else f"{sql}\n;"  # the end may be a comment with a ";"
        try:
            self.query(f"{terminated}\nINSERT INTO d1_migrations (name) VALUES ('{name}');")
        except ApiError as error:
            if migration["name"] not in self.recorded():  # the migration may be applied although the reply was lost
                raise MigrationError(f"{migration['name']} was not applied: {error}") from error

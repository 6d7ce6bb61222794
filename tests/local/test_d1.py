"""D1 databases, and SQL in them."""

from typing import Any

import pytest
from cloudflare import BadRequestError, Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, unique

UNKNOWN = "00000000-0000-4000-8000-000000000000"
NOT_FOUND = (404, 7404, f"The database {UNKNOWN} could not be found")


def query(rest: Rest, database: dict[str, Any], sql: str, params: list[Any] | None = None) -> list[dict[str, Any]]:
    body: dict[str, Any] = {"sql": sql} | ({} if params is None else {"params": params})
    return rest.result("POST", f"/d1/database/{database['uuid']}/query", body)


def refused(rest: Rest, database: dict[str, Any], **body: Any) -> tuple[int, int, str]:
    return rest.refusal("POST", f"/d1/database/{database['uuid']}/query", body)


def test_lives_through_the_sdk(sdk: Cloudflare, cloud: Instance) -> None:
    name = unique("db")
    account = cloud.account_id
    created = sdk.d1.database.create(
        account_id=account, name=name, primary_location_hint="weur", read_replication={"mode": "disabled"}
    )
    assert created.uuid is not None
    assert (created.name, created.version, created.num_tables) == (name, "production", 0)
    assert created.created_at is not None
    assert created.read_replication is not None
    assert created.read_replication.mode == "disabled"
    [listed] = sdk.d1.database.list(account_id=account, name=name)
    assert listed.uuid == created.uuid
    [made] = sdk.d1.database.query(created.uuid, account_id=account, sql="CREATE TABLE t (id INTEGER PRIMARY KEY)")
    assert made.success
    got = sdk.d1.database.get(created.uuid, account_id=account)
    assert got.num_tables == 1
    assert got.file_size is not None
    assert got.file_size > 0
    updated = sdk.d1.database.update(created.uuid, account_id=account, read_replication={"mode": "auto"})
    assert updated.read_replication is not None
    assert updated.read_replication.mode == "auto"
    edited = sdk.d1.database.edit(created.uuid, account_id=account, read_replication={"mode": "disabled"})
    assert edited.read_replication is not None
    assert edited.read_replication.mode == "disabled"
    assert sdk.d1.database.delete(created.uuid, account_id=account) is None
    with pytest.raises(Exception, match="7404"):
        sdk.d1.database.get(created.uuid, account_id=account)


def test_is_found_by_name_too(rest: Rest) -> None:
    database = rest.database()
    path = f"/d1/database/{database['name']}?fields=uuid,name"
    assert rest.result("GET", path) == {"uuid": database["uuid"], "name": database["name"]}


def test_read_replication_is_silent_until_it_is_set(rest: Rest) -> None:
    database = rest.database()
    assert "read_replication" not in database
    path = f"/d1/database/{database['uuid']}"
    assert "read_replication" not in rest.result("PUT", path, {"name": database["name"], "read_replication": None})
    assert rest.result("PATCH", path, {"read_replication": {"mode": "auto"}})["read_replication"] == {"mode": "auto"}
    assert rest.result("PATCH", path, {})["read_replication"] == {"mode": "auto"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "name => Required"),
        ({"name": ""}, "name => String must contain at least 1 character(s)"),
        ({"name": 5}, "name => Expected string, received number"),
        ({"name": "a", "jurisdiction": "moon"}, "jurisdiction => Invalid enum value. Expected 'eu' | 'fedramp' | 'us'"),
        (
            {"name": "a", "primary_location_hint": "mars"},
            "primary_location_hint => Invalid enum value. Expected 'WNAM' | 'ENAM' | 'WEUR' | 'EEUR' | 'APAC' | 'OC'",
        ),
        (
            {"name": "a", "read_replication": {"mode": "on"}},
            "read_replication.mode => Invalid enum value. Expected 'auto' | 'disabled'",
        ),
        ({"name": "a", "read_replication": "on"}, "read_replication => Expected object, received string"),
    ],
)
def test_a_field_that_does_not_fit_is_named(rest: Rest, body: dict[str, Any], problem: str) -> None:
    assert rest.refusal("POST", "/d1/database", body) == (400, 7400, f"Invalid property: {problem}")


def test_a_name_has_only_letters_digits_hyphens_and_underscores(rest: Rest) -> None:
    status, code, message = rest.refusal("POST", "/d1/database", {"name": "not a name"})
    assert (status, code) == (400, 7400)
    assert message.startswith("Invalid property: name => ")


def test_a_name_is_taken_once(rest: Rest) -> None:
    name = rest.database()["name"]
    expected = (400, 7502, f"Database with name: '{name}' already exists")
    assert rest.refusal("POST", "/d1/database", {"name": name}) == expected


def test_a_list_has_pages(rest: Rest) -> None:
    prefix = unique("paged")
    names = [f"{prefix}-{number}" for number in range(3)]
    for name in names:
        rest.result("POST", "/d1/database", {"name": name})
    pages = [rest.send("GET", f"/d1/database?name={prefix}&per_page=2&page={page}").json() for page in (1, 2, 3)]
    assert [[item["name"] for item in page["result"]] for page in pages] == [names[:2], names[2:], []]
    assert pages[1]["result_info"] == {"page": 2, "per_page": 2, "count": 1, "total_count": 3, "total_pages": 2}
    assert rest.refusal("GET", "/d1/database?page=0")[:2] == (400, 7400)
    assert rest.refusal("GET", "/d1/database?page=two")[:2] == (400, 7400)


def test_an_unknown_database_is_not_found(rest: Rest) -> None:
    path = f"/d1/database/{UNKNOWN}"
    assert rest.refusal("GET", path) == NOT_FOUND
    assert rest.refusal("PUT", path, {"read_replication": {"mode": "auto"}}) == NOT_FOUND
    assert rest.refusal("PATCH", path, {}) == NOT_FOUND
    assert rest.refusal("DELETE", path) == NOT_FOUND
    assert rest.refusal("POST", f"{path}/query", {"sql": "SELECT 1"}) == NOT_FOUND
    assert rest.refusal("POST", f"{path}/raw", {"sql": "SELECT 1"}) == NOT_FOUND


def test_several_statements_have_a_result_each(rest: Rest) -> None:
    database = rest.database()
    script = """
        CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); -- a comment; with a semicolon
        CREATE TRIGGER log AFTER INSERT ON t BEGIN UPDATE t SET v = v || '!' WHERE id = new.id; END;
        INSERT INTO t (v) VALUES ('a;b'), ('c');
        SELECT v FROM t ORDER BY id
    """
    results = query(rest, database, script)
    assert [result["success"] for result in results] == [True] * 4
    assert results[2]["meta"]["changes"] == 4  # with what the trigger did, as SQLite counts
    assert results[3]["results"] == [{"v": "a;b!"}, {"v": "c!"}]
    assert {"changed_db", "changes", "duration", "last_row_id", "rows_read", "rows_written", "size_after"} <= set(
        results[3]["meta"]
    )


def test_parameters_are_bound_in_order_and_by_number(rest: Rest) -> None:
    database = rest.database()
    values = ["text", 7, 1.5, None]
    [result] = query(rest, database, "SELECT ? AS a, ? AS b, ? AS c, ? AS d", values)
    assert result["results"] == [{"a": "text", "b": 7, "c": 1.5, "d": None}]
    [result] = query(rest, database, "SELECT ?2 AS a, ?1 AS b", ["one", "two"])
    assert result["results"] == [{"a": "two", "b": "one"}]


def test_raw_gives_columns_and_rows(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    database = rest.database()
    pages = sdk.d1.database.raw(database["uuid"], account_id=cloud.account_id, sql="SELECT 1 AS a, 'x' AS a")
    [raw] = pages
    assert raw.results is not None
    assert raw.results.columns == ["a", "a"]
    assert raw.results.rows == [[1, "x"]]


def test_a_batch_is_one_transaction(rest: Rest) -> None:
    database = rest.database()
    query(rest, database, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    insert = {"sql": "INSERT INTO t VALUES (?)", "params": [1]}
    status, code, message = refused(rest, database, batch=[insert, insert])
    assert (status, code) == (400, 7500)
    assert message.startswith("UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT")
    assert query(rest, database, "SELECT count(*) AS n FROM t")[0]["results"] == [{"n": 0}]
    path = f"/d1/database/{database['uuid']}/query"
    results = rest.result("POST", path, {"batch": [insert, {"sql": "SELECT id FROM t; SELECT 2 AS two"}]})
    assert [result["results"] for result in results] == [[], [{"id": 1}], [{"two": 2}]]


def test_errors_come_in_the_words_of_d1(rest: Rest) -> None:
    database = rest.database()
    assert refused(rest, database, sql="SELECT * FROM nope") == (400, 7500, "no such table: nope: SQLITE_ERROR")
    assert refused(rest, database, sql="-- nothing") == (400, 7500, "No SQL statements detected.")
    assert refused(rest, database) == (400, 7400, "Invalid property: sql => Required")
    params = {"sql": "SELECT ?; SELECT ?", "params": [1, 2]}
    message = "The request is malformed: params with multiple statements is not supported"
    assert refused(rest, database, **params) == (400, 7400, message)
    assert refused(rest, database, sql="SELECT ?", params=[[1]])[:2] == (400, 7400)
    assert refused(rest, database, sql="SELECT ?")[:2] == (400, 7500)


def test_statements_and_parameters_have_limits(rest: Rest) -> None:
    database = rest.database()
    fitting = f"SELECT '{'a' * (100_000 - 9)}'"
    assert query(rest, database, fitting)[0]["success"]
    assert refused(rest, database, sql=fitting.replace("a'", "aa'")) == (400, 7500, "statement too long: SQLITE_TOOBIG")
    marks = ",".join("?" * 100)
    assert query(rest, database, f"SELECT {marks}", list(range(100)))[0]["success"]
    too_many = refused(rest, database, sql=f"SELECT {marks},?", params=list(range(101)))
    assert too_many == (400, 7500, "too many SQL variables: SQLITE_ERROR")


def test_the_sdk_sees_an_error_as_a_bad_request(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    with pytest.raises(BadRequestError, match="no such table"):
        list(sdk.d1.database.query(rest.database()["uuid"], account_id=cloud.account_id, sql="SELECT * FROM nope"))


def test_a_deleted_database_takes_its_data_along(rest: Rest) -> None:
    database = rest.database()
    query(rest, database, "CREATE TABLE t (id INTEGER)")
    assert rest.result("DELETE", f"/d1/database/{database['uuid']}") is None
    again = rest.result("POST", "/d1/database", {"name": database["name"]})
    assert again["uuid"] != database["uuid"]
    assert again["num_tables"] == 0

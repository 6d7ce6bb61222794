"""SQL text cut into statements."""

import re
import sqlite3

_COMMENT_OR_SPACE = re.compile(r"(?:\s+|--[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)


def statements(sql: str) -> list[str]:
    r"""Split a script into its statements, without those that hold comments only.

    SQLite itself decides where a statement ends (quotes, comments and the body of a trigger hold semicolons too); its
    last one needs none.

    >>> statements("SELECT ';'; -- two\nSELECT 2")
    ["SELECT ';';", '-- two\nSELECT 2']
    >>> statements("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; SELECT 3;")[1]
    'SELECT 3;'
    >>> statements("-- nothing\n;;")
    []
    """
    found: list[str] = []
    start = 0
    for semicolon in re.finditer(";", sql):
        candidate = sql[start : semicolon.end()]
        if sqlite3.complete_statement(candidate):
            found.append(candidate)
            start = semicolon.end()
    found.append(sql[start:])
    return [statement.strip() for statement in found if _says_something(statement)]


def _says_something(statement: str) -> bool:
    rest = _COMMENT_OR_SPACE.sub("", statement, count=1)
    return rest.strip() not in ("", ";")

"""Splits SQL text into statements, in one pass."""

import re

# Quotes, comments and names as SQLite parses them (https://www.sqlite.org/lang_keywords.html, /lang_comment.html). An
# unclosed one takes the rest of the text. Each alternative begins with a different character, and none backtracks: the
# time is linear, whatever the text.
_COMMENT = r"--[^\n]*+|/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_QUOTED = r"'[^']*+(?:''[^']*+)*+'?|\"[^\"]*+(?:\"\"[^\"]*+)*+\"?|`[^`]*+(?:``[^`]*+)*+`?|\[[^\]]*+\]?"
_BLANK = rf"(?:\s++|{_COMMENT})*+"
_STATEMENT = re.compile(rf"(?:[^;'\"`\[/-]++|{_QUOTED}|{_COMMENT}|[/-])*+;?")
_TRIGGER = re.compile(
    rf"{_BLANK}(?:EXPLAIN{_BLANK}(?:QUERY{_BLANK}PLAN{_BLANK})?)?CREATE{_BLANK}(?:TEMP(?:ORARY)?{_BLANK})?TRIGGER\b",
    re.IGNORECASE,
)
_TRIGGERS_END = re.compile(rf"{_BLANK}END{_BLANK}(?:;|\Z)", re.IGNORECASE)
_NOTHING = re.compile(rf"{_BLANK};?\Z")


def statements(sql: str) -> list[str]:
    r"""Split a script into its statements, without those that contain only comments.

    Quotes, comments and the body of a trigger may contain semicolons. The last statement needs none.

    >>> statements("SELECT ';'; -- two\nSELECT 2")
    ["SELECT ';';", '-- two\nSELECT 2']
    >>> statements("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END; SELECT 3;")[1]
    'SELECT 3;'
    >>> statements("-- nothing\n;;")
    []
    """
    found: list[str] = []
    start = 0
    while start < len(sql):
        end = _end(sql, start)
        statement = sql[start:end].strip()
        if not _NOTHING.match(statement):
            found.append(statement)
        start = end
    return found


def _end(sql: str, start: int) -> int:
    """Return where the statement that begins at `start` ends: after its semicolon, or at the end of the text."""
    end = _next_semicolon(sql, start)
    if not _TRIGGER.match(sql, start, end):
        return end
    while end < len(sql):
        closing = _TRIGGERS_END.match(sql, end)
        if closing:
            return closing.end()
        end = _next_semicolon(sql, end)
    return end


def _next_semicolon(sql: str, start: int) -> int:
    found = _STATEMENT.match(sql, start)
    return len(sql) if found is None else found.end()

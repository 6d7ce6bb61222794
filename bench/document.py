"""Reads a task runner from a Markdown document: from the code blocks that its reader would run by hand."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEREDOC = r"<<'?{mark}'?\n(.*?)\n{mark}\n"
_FENCE = r"^```(?:{language})\n(.*?)^```"
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


class DocumentError(Exception):
    """Something is missing in the document; the message says what, in one line."""


@dataclass(frozen=True)
class WorkerSource:
    """The source of a Worker, in wrangler's form.

    Attributes:
        modules: the text of each module, by its path.
        schema: the SQL of its D1 database; empty if it has none.
        config: wrangler's configuration.
    """

    modules: dict[str, str]
    schema: str
    config: dict[str, Any]


def read_document(path: Path) -> WorkerSource:
    """Read a Worker's code (heredoc JS), schema (heredoc SQL) and config (fence jsonc) from a document.

    Raises DocumentError.
    """
    text = path.read_text(encoding="utf-8")
    config = read_jsonc(_only(text, _FENCE.format(language="jsonc?"), path, "wrangler config in a ```jsonc block"))
    code = _only(text, _HEREDOC.format(mark="JS"), path, "Worker in a heredoc <<'JS'")
    schema = _only(text, _HEREDOC.format(mark="SQL"), path, "schema in a heredoc <<'SQL'")
    return WorkerSource({config["main"]: code + "\n"}, schema + "\n", config)


def read_folder(folder: Path) -> WorkerSource:
    """Read a wrangler project: wrangler.jsonc or .json, its modules, and schema.sql or migrations/*.sql.

    Raises DocumentError.
    """
    configs = [file for name in ("wrangler.jsonc", "wrangler.json") if (file := folder / name).is_file()]
    if not configs:
        raise DocumentError(f"expected wrangler.jsonc or wrangler.json in {folder}, found neither")
    config = read_jsonc(configs[0].read_text(encoding="utf-8"))
    main = Path(config["main"])
    modules = {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8")
        for file in sorted((folder / main.parent).rglob("*.js"))
        if "node_modules" not in file.parts
    }
    schemas = [folder / "schema.sql"] if (folder / "schema.sql").is_file() else sorted(folder.glob("migrations/*.sql"))
    return WorkerSource(modules, "".join(file.read_text(encoding="utf-8") for file in schemas), config)


def read_jsonc(text: str) -> dict[str, Any]:
    """Read JSON with comments and trailing commas. Raises DocumentError."""
    without_comments = _COMMENT.sub(lambda match: match[1] or "", text)
    try:
        return json.loads(_TRAILING_COMMA.sub(lambda match: match[1] or "", without_comments))
    except ValueError as error:
        raise DocumentError(f"expected JSON with comments, got {text[:60]!r}…: {error}") from error


def _only(text: str, pattern: str, path: Path, what: str) -> str:
    found = re.findall(pattern, text, re.MULTILINE | re.DOTALL)
    if len(found) != 1:
        raise DocumentError(f"expected one {what} in {path}, found {len(found)}")
    return found[0]

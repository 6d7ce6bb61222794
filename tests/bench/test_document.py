"""A Worker read out of a document, or out of a wrangler project."""

import json
from pathlib import Path

import pytest

from bench.document import DocumentError, WorkerSource, read_document, read_folder, read_jsonc

DOCUMENT = """
# A task runner

```bash
cat > /tmp/schema.sql <<'SQL'
CREATE TABLE tasks (taskId TEXT PRIMARY KEY);
SQL
```

```bash
cat > src/worker.js <<'JS'
export default { async fetch() { return new Response('// no comment') } };
JS
```

```jsonc
{
  // the Worker
  "name": "runner", /* its name */
  "main": "src/worker.js",
  "url": "https://example.com", "list": "a,]",
}
```
"""


def test_code_schema_and_config_are_read_from_a_documents_blocks(tmp_path: Path) -> None:
    (tmp_path / "runner.md").write_text(DOCUMENT)
    assert read_document(tmp_path / "runner.md") == WorkerSource(
        modules={"src/worker.js": "export default { async fetch() { return new Response('// no comment') } };\n"},
        schema="CREATE TABLE tasks (taskId TEXT PRIMARY KEY);\n",
        config={"name": "runner", "main": "src/worker.js", "url": "https://example.com", "list": "a,]"},
    )


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("JS", "one Worker in a heredoc <<'JS'"), ("SQL", "one schema in a heredoc"), ("```jsonc", "one wrangler config")],
)
def test_a_document_without_one_of_them_is_refused(missing: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "runner.md").write_text(DOCUMENT.replace(missing, "```other"))
    with pytest.raises(DocumentError, match=f"{expected}.*runner.md, found 0"):
        read_document(tmp_path / "runner.md")


def test_a_folder_is_a_wrangler_project(tmp_path: Path) -> None:
    (tmp_path / "src/lib").mkdir(parents=True)
    (tmp_path / "migrations").mkdir()
    files = {
        "wrangler.json": json.dumps({"name": "runner", "main": "src/index.js"}),
        "src/index.js": "import './lib/a.js';",
        "src/lib/a.js": "",
        "migrations/0001_a.sql": "SELECT 1;",
        "migrations/0002_b.sql": "SELECT 2;",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    source = read_folder(tmp_path)
    assert source.modules == {"src/index.js": "import './lib/a.js';", "src/lib/a.js": ""}
    assert source.schema == "SELECT 1;SELECT 2;"


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="found neither"):
        read_folder(tmp_path)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(DocumentError, match="expected JSON with comments"):
        read_jsonc("{ name: 1 }")

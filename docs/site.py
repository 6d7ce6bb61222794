"""Builds the site of the documents into `site/`: `make docs`.

The pages link to each other as they lie in the repository, so they are copied as they lie, with whatever else they link
to; then MkDocs builds them, and a link or an anchor that leads nowhere is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/*.md", "examples/*.md", "local/*.md", "local/products/*/*.md")
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")


def collect(target: Path) -> None:
    """Copy the pages, and the files and folders that they link to, into an empty folder."""
    pages = {page for pattern in PAGES for page in ROOT.glob(pattern)}
    linked = {each for page in pages if page.suffix == ".md" for each in _targets(page)}
    for file in sorted(pages | linked):
        copy = target / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _targets(page: Path) -> set[Path]:
    """Return the files that a page links to; of a folder, its README."""
    found: set[Path] = set()
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            target = (page.parent / link).resolve()
            found.add(target / "README.md" if target.is_dir() else target)
    return {each for each in found if each.is_file()}


def main() -> int:
    """Build; return MkDocs' exit code."""
    source = ROOT / ".site"
    shutil.rmtree(source, ignore_errors=True)
    collect(source)
    return subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Writes a run's report as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from markdown_it import MarkdownIt

from bench.report import REPORT

PAGE = "report.html"

_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Benchmark</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
  table {{ border-collapse: collapse; display: block; overflow-x: auto }}
  th, td {{ border-bottom: 1px solid #8884; padding: .3rem .7rem }}
  img {{ max-width: 100%; background: #fff }}
</style>
{body}
</html>
"""


def write_page(folder: Path) -> None:
    """Make the page of a folder's report.md and the pictures that it shows."""
    body = MarkdownIt("commonmark").enable("table").render((folder / REPORT).read_text())
    embedded = re.sub(r'src="([^":]+\.png)"', lambda match: f'src="{_data_url(folder / match[1])}"', body)
    (folder / PAGE).write_text(_TEMPLATE.format(body=embedded))


def _data_url(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"

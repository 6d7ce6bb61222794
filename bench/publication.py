"""What a run leaves behind: tables, plots, and a page with both."""

from __future__ import annotations

from pathlib import Path

from bench.page import write_page
from bench.plots import draw
from bench.report import write_report
from bench.results import Results, save


def publish(results: Results, folder: Path) -> None:
    """Write everything into a run's folder."""
    save(results, folder)
    write_report(results, draw(results, folder), folder)
    write_page(folder)

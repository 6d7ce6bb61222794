"""The page of a run."""

from pathlib import Path

from bench.report import PAGE, growth_table, write_report
from tests.bench.test_report import RESULTS

POINTS = [{"table_rows": 100.0, "stats_rows_read": 99.0}, {"table_rows": 1_000_000.0, "stats_rows_read": 10_000.0}]


def test_the_page_has_the_tables_and_the_pictures_in_itself(tmp_path: Path) -> None:
    (tmp_path / "growth.png").write_bytes(b"\x89PNG")
    write_report(RESULTS | {"growth": {"table_rows": POINTS}}, ["growth.png"], tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert '<img src="data:image/png;base64,iVBORw==" alt="growth" />' in page
    assert "<h2>Growth: table rows</h2>" in page
    assert '<td style="text-align:right">10,000</td>' in page
    assert "growth.png" not in page


def test_growth_is_a_line_a_size() -> None:
    assert growth_table(POINTS).splitlines()[2:] == ["| 100 | 99 |", "| 1,000,000 | 10,000 |"]

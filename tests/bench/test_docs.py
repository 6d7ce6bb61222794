"""README and docs, as the bench writes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import docs
from bench.docs import (
    DocsError,
    choice_text,
    cost_text,
    features_text,
    price_text,
    replaced,
    write_docs,
    write_units,
)
from bench.features import difference
from ops.cost import MeasuredUnits, read_prices, read_units
from tests.bench.test_report import RESULTS

UNITS = {
    "backlog": {"d1_round_trips": 1.2, "d1_rows_written": 3.0, "requests": 1.1},
    "lone": {"d1_rows_written": 3.0, "requests": 2.0},
}
FEATURES = {
    "d1, queue": {"a task": UNITS["lone"], "each step": {"d1_rows_written": 1.0}, "the priority high": {}},
    "d1, workflow": {"a task": UNITS["lone"], "the priority high": None},
}
WHOLE: dict[str, Any] = RESULTS | {
    "units": {"ours": UNITS, "baseline": UNITS},
    "combinations": {"d1, queue": UNITS},
    "features": FEATURES,
    "growth": {"table_rows": [{"table_rows": 100.0}]},
    "throughput": {},
    "lone": {},
    "steady": {},
    "delayed": {},
    "reload": {},
    "memory": {},
}
MARKS = {
    "README": ("choice",),
    "PERFORMANCE": ("bench", "scale", "cost", "prices"),
    "CAPACITY": ("capacity", "features"),
}


def test_only_what_is_between_the_marks_is_replaced() -> None:
    assert replaced("a\n<!-- b:start -->x\ny<!-- b:end -->\nc", "b", r"new \1") == (
        "a\n<!-- b:start -->\nnew \\1\n<!-- b:end -->\nc"
    )


@pytest.mark.parametrize("document", ["", "<!-- b:start -->", "<!-- b:start --><!-- b:end --><!-- b:end -->"])
def test_a_document_without_its_marks_is_refused(document: str) -> None:
    with pytest.raises(DocsError, match="once each"):
        replaced(document, "b", "text")


def test_a_run_becomes_the_one_that_the_docs_quote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, marks in MARKS.items():
        marked = [f"<!-- {mark}:start -->to be replaced<!-- {mark}:end -->\n" for mark in marks]
        (tmp_path / name).write_text("".join(marked))
        monkeypatch.setattr(docs, name, tmp_path / name)
    monkeypatch.setattr(docs, "UNITS_FILE", tmp_path / "units.json")
    monkeypatch.setattr(docs, "LATEST", tmp_path / "latest")
    monkeypatch.setattr(docs, "read_units", lambda: read_units(tmp_path / "units.json"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/results.json").write_text("{}")
    write_docs(WHOLE, tmp_path / "run")
    readme, performance, capacity = ((tmp_path / name).read_text() for name in MARKS)
    assert "to be replaced" not in readme + performance + capacity
    assert "Measured 2026-11-23T00:00:00+00:00 on 2 × Z80" in performance
    assert "| `d1` | 3.33 |" in readme
    assert "| d1, queue | 3.33 | 3.60 |" in performance
    assert "| baseline | 3.33 | 3.60 |" in performance
    assert "| 1,000 | 2 | 3 | 1 | 1 | **3** |" in performance
    assert "![growth](../bench/results/latest/growth.png)" in performance
    assert (tmp_path / "latest/results.json").exists()


def test_a_part_of_a_run_is_not_quoted(tmp_path: Path) -> None:
    partial = {key: value for key, value in WHOLE.items() if key not in {"growth", "lone"}}
    with pytest.raises(DocsError, match="this one has no lone, growth"):
        write_docs(partial, tmp_path)


def test_units_are_written_as_they_are_read(tmp_path: Path) -> None:
    write_units(WHOLE, tmp_path / "units.json")
    keys = {"measured_at", "full_batches", "lone_tasks", "features"}
    assert set(json.loads((tmp_path / "units.json").read_text())) == keys
    measured = read_units(tmp_path / "units.json")
    assert measured.full_batches == {"d1, queue": UNITS["backlog"], "baseline": UNITS["backlog"]}
    assert measured.lone_tasks["baseline"] == UNITS["lone"]


def test_costs_are_compared_by_store_and_engine() -> None:
    combinations = ["d1, queue", "kv, queue", "d1, workflow", "baseline"]
    measured = MeasuredUnits("today", dict.fromkeys(combinations, UNITS["backlog"]), {})
    assert choice_text(measured, read_prices()).splitlines() == [
        "| US$ for a million short tasks | `queue` | `workflow` |",
        "| --- | ---: | ---: |",
        "| `d1` | 3.33 | 3.33 |",
        "| `kv` | 3.33 |  |",
    ]


def test_the_docs_quote_the_units_and_prices_that_are_in_use() -> None:
    readme, performance = (docs.README.read_text(), docs.PERFORMANCE.read_text())
    assert choice_text(read_units(), read_prices()) in readme
    assert cost_text(read_units(), read_prices()) in performance
    assert features_text(read_units()) in docs.CAPACITY.read_text()
    assert price_text(read_units(), read_prices()) in performance


def test_what_a_feature_adds_is_a_table_for_each_store() -> None:
    assert features_text(MeasuredUnits("today", {}, {}, FEATURES)).splitlines() == [
        "| d1: what it adds | `queue` | `workflow` |",
        "| --- | ---: | ---: |",
        "| a task | 3 D1 rows written, 2 Worker requests | 3 D1 rows written, 2 Worker requests |",
        "| each step | 1 D1 rows written |  |",
        "| the priority high | nothing | refused |",
    ]


def test_what_is_too_little_to_be_a_features_own_is_left_out() -> None:
    more = {"d1_rows_written": 7.0, "requests": 2.0, "d1_rows_read": 1.334}
    assert difference(more, {"d1_rows_written": 3.0, "requests": 1.0}, {"requests": 0.999}) == {
        "d1_rows_read": 1.33,
        "d1_rows_written": 4.0,
    }


def test_prices_that_are_used_are_named_with_their_source() -> None:
    measured = MeasuredUnits("today", {"d1, queue": UNITS["backlog"]}, {"d1, queue": UNITS["lone"]})
    assert "| SQS + Lambda + DynamoDB, computed | 3.62 |" in cost_text(measured, read_prices())
    text = price_text(measured, read_prices())
    assert "| [D1 rows written](https://developers.cloudflare.com/d1/platform/pricing/) | 1 | 50,000,000 |" in text
    assert "KV writes" not in text
    assert "| [Lambda requests](https://aws.amazon.com/lambda/pricing/) | 0.2 | 1.1: one for the POST" in text

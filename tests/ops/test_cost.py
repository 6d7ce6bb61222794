"""What tasks cost: the arithmetic, and the command."""

import json
from pathlib import Path

import pytest

from ops import cost_commands
from ops.command_line import main
from ops.cost import CostError, MeasuredUnits, Price, cost, estimated, read_prices, read_units

PRICES = {
    "d1_rows_written": Price("D1 rows written", 1.0, 50_000_000, "https://example.com/d1"),
    "queue_operations": Price("queue operations", 0.4, 1_000_000, "https://example.com/queues"),
}
D1_QUEUE = {"d1_rows_written": 3.0, "d1_rows_read": 11.0, "requests": 1.1, "queue_writes": 1.0, "queue_reads": 1.0}
MEASURED = MeasuredUnits(
    "2026-11-23T01:00:00+00:00",
    {"d1, queue": D1_QUEUE, "baseline": D1_QUEUE | {"d1_rows_written": 7.0}},
    {"d1, queue": D1_QUEUE | {"requests": 2.0}, "baseline": D1_QUEUE},
)


def test_a_line_is_units_times_their_price() -> None:
    [line] = cost({"d1_rows_written": 3.0}, PRICES, tasks=500_000).lines
    assert (line.units, line.usd) == (1_500_000, 1.5)
    assert line.included_share == pytest.approx(0.03)


def test_what_a_month_includes_is_shown_apart() -> None:
    some, many = (cost({"d1_rows_written": 3.0}, PRICES, tasks=tasks) for tasks in (1_000_000, 20_000_000))
    assert (some.usd, some.usd_beyond_included) == (3.0, 0.0)
    assert (many.usd, many.usd_beyond_included) == (60.0, 10.0)


def test_queue_operations_have_one_price() -> None:
    [line] = cost({"queue_writes": 1, "queue_reads": 1.5, "queue_deletes": 1}, PRICES, tasks=1_000_000).lines
    assert (line.price.name, line.units_a_task, line.usd) == ("queue operations", 3.5, pytest.approx(1.4))


def test_round_trips_cost_nothing_by_themselves() -> None:
    assert cost({"d1_round_trips": 1.2}, PRICES, tasks=1_000_000).usd == 0


def test_a_feature_costs_what_it_adds() -> None:
    added = {"a task": D1_QUEUE, "a callback": {"d1_rows_written": 5.0, "requests": -0.5}, "a group": None}
    measured = MeasuredUnits("", {}, {}, {"d1, queue": added})
    costs = cost_commands.feature_costs("d1, queue", read_prices(), measured, 1_000_000)
    assert costs == {"a callback": pytest.approx(5.0), "a group": None}
    assert cost_commands.feature_costs("kv, queue", read_prices(), measured, 1) == {}


def test_a_unit_without_a_price_is_an_error() -> None:
    with pytest.raises(CostError, match=r"expected a price of moons in prices\.json"):
        cost({"moons": 1}, PRICES, tasks=1)


def test_without_measured_units_the_error_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(CostError, match="--write-docs"):
        read_units(tmp_path / "none.json")


def test_every_price_has_its_source() -> None:
    prices = read_prices()
    assert all(price.source.startswith("https://developers.cloudflare.com/") for price in prices.cloudflare.values())
    assert all(price.source.startswith("https://aws.amazon.com/") for price in prices.aws.values())
    assert set(prices.aws_units) == set(prices.aws_reasons) == set(prices.aws)


def test_every_combination_was_measured_and_has_a_cost() -> None:
    measured, prices = read_units(), read_prices()
    combinations = {
        f"{store}, {engine}" for store in ("d1", "kv", "durable-object") for engine in ("queue", "workflow")
    }
    assert combinations <= set(measured.full_batches)
    for units in (*measured.full_batches.values(), *measured.lone_tasks.values()):
        assert cost(units, prices.cloudflare, 1_000_000).usd > 0


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_commands, "read_units", lambda: MEASURED)


@pytest.mark.usefixtures("measured")
def test_the_command_tells_the_cost_and_what_it_is_compared_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--stack", "local", "--tasks", "2000000"]) == 0
    printed = capsys.readouterr().out
    assert "2,000,000 short tasks that succeed at once, in full batches, on d1, queue" in printed
    [rows] = [line.split() for line in printed.splitlines() if line.startswith("D1 rows written")]
    assert rows[3:8] == ["3", "6,000,000", "1", "6.00", "12.0%"]
    [baseline] = [line.split() for line in printed.splitlines() if line.startswith("baseline")]
    assert baseline == ["baseline", "16.28", "1.20"]
    assert "computed, not measured" in printed


@pytest.mark.usefixtures("measured")
def test_the_command_answers_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["stack"], result["combination"], result["tasks"]) == ("local", "d1, queue", 1_000_000)
    own = result["costs"]["d1, queue"]
    assert own["usd"] == pytest.approx(3.0 + 0.011 + 0.33 + 0.8)
    assert own["usd"] == pytest.approx(sum(line["usd"] for line in own["lines"]))
    assert list(result["costs"]) == ["d1, queue", "d1, queue: each task alone", "baseline", "SQS + Lambda + DynamoDB"]


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("words", [["--tasks", "0"], ["--tasks", "many"], ["--stack", "nowhere"]])
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.usefixtures("measured")
def test_a_combination_that_was_not_measured_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: ephemera\nconfig: {state_store: {default: d1}, engine: {default: queue}}\n"
    )
    (tmp_path / "Pulumi.kv.yaml").write_text("config: {'ephemera:state_store': kv}\n")
    monkeypatch.chdir(tmp_path)
    assert main(["cost", "--stack", "kv"]) == 2
    assert "expected measured units of kv, queue, got those of d1, queue, baseline" in capsys.readouterr().err


def test_logs_duration_and_storage_are_estimated_of_what_uses_them() -> None:
    d1 = estimated({"requests": 1.1, "d1_rows_written": 3})
    assert d1["log_megabytes"] == pytest.approx(0.0011)
    assert set(d1) == {"log_megabytes", "d1_megabyte_months"}
    objects = estimated({"requests": 1, "object_requests": 2, "object_rows_written": 3, "workflow_steps": 1})
    assert set(objects) == {
        *("log_megabytes", "object_gb_seconds", "object_megabyte_months", "workflow_megabyte_months"),
    }
    assert objects["object_gb_seconds"] == pytest.approx(2 * 0.128 * 0.01)
    assert set(d1) | set(objects) <= set(read_prices().estimated)

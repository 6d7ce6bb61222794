"""The suite for a real account: when it refuses to begin, and its comparison, against a local Cloudflare."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import Instance
from tests.account.__main__ import main
from tests.account.differential import answers, compare, table


@pytest.fixture(autouse=True)
def without_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_it_refuses_without_the_variables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert (
        "set CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID: this deploys to a real account" in capsys.readouterr().err
    )
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "t")
    assert main([]) == 2
    assert "set CLOUDFLARE_ACCOUNT_ID:" in capsys.readouterr().err


def test_it_refuses_what_costs_more_than_the_cap(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "t")
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "a" * 32)
    assert main(["--cap", "0.000001"]) == 2
    assert "expected a cost of at most 1e-06 US$, got an estimate of" in capsys.readouterr().err


def test_it_refuses_an_unknown_combination(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "d1,fax"]) == 2
    assert "expected --only to be d1,queue or d1,workflow or" in capsys.readouterr().err


def test_the_same_cloudflare_gives_the_same_answers_twice_and_keeps_nothing(cloud: Instance) -> None:
    first, second = (answers(cloud.base_url, cloud.api_token, cloud.account_id) for _ in range(2))
    assert len(first) > 20
    assert {shape["status"] for shape in first.values()} >= {200, 400, 404}
    assert first["the end of a queue"]["status"] == 200
    assert compare(first, second) == []
    assert "the same answers" in table([])


def test_a_difference_is_told_with_both_answers(cloud: Instance) -> None:
    ours = answers(cloud.base_url, cloud.api_token, cloud.account_id)
    theirs = {**ours, "a new queue": {**ours["a new queue"], "status": 201}}
    (found,) = compare(theirs, ours)
    assert found.question == "a new queue"
    assert "'status': 201" in found.account
    assert "| a new queue |" in table([found])


def test_a_combination_is_deployed_and_taken_away_under_a_random_name(
    cloud: Instance, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", cloud.api_token)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", cloud.account_id)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", cloud.base_url)
    assert main(["--only", "d1,queue", "--state", str(Path(cloud.state_dir))]) == 0
    printed = capfd.readouterr().out
    assert "1 of 1 combinations passed" in printed
    assert "the same answers" in printed
    assert "Worker n" in printed

"""Each product's COVERAGE.md says what its routes say."""

import pytest

from tests.local import coverage


@pytest.mark.parametrize("product", coverage.all_routes())
def test_the_report_is_up_to_date(product: str) -> None:
    report = coverage.report_of(product).read_text()
    hint = f"{product}/COVERAGE.md is out of date: run `python -m tests.local.coverage`"
    assert report == coverage.render(product, coverage.tested_of(report)), hint


def test_what_the_sdk_calls_is_found() -> None:
    assert ("POST", "/accounts/{}/d1/database/{}/query") in coverage.sdk_routes("d1")
    assert ("GET", "/accounts/{}/queues") in coverage.sdk_routes("queues")

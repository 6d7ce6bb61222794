"""local/COVERAGE.md says what the ROUTES tables say."""

from tests.local import coverage


def test_the_report_is_up_to_date() -> None:
    report = coverage.REPORT.read_text()
    hint = "local/COVERAGE.md is out of date: run `python -m tests.local.coverage`"
    assert report == coverage.render(coverage.tested_of(report)), hint


def test_what_the_sdk_calls_is_found() -> None:
    found = coverage.sdk_routes()
    assert ("POST", "/accounts/{}/d1/database/{}/query") in found["d1"]
    assert ("GET", "/accounts/{}/queues") in found["queues"]
    assert [product for product, routes in found.items() if not routes] == []

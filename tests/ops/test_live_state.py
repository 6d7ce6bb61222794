"""The report of a deployment."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.acceptance import Check, read_report
from ops.deployed_stack import NotReadyError
from ops.live_state import SECRET, Confirmation, LiveState, report, resolved_settings, resources_of

AT = datetime(2026, 11, 30, 1, 2, 3, tzinfo=UTC)
PASSED, FAILED = Check("POST", "200", "200 | fine", passed=True), Check("poll", "completed", "pending", passed=False)


def state(*checks: Check) -> LiveState:
    settings = {"env": "dev", "api_tokens": SECRET}
    return LiveState("dev", "live", "deploy", Confirmation("ada", "typed 'yes'", AT), settings, checks=checks)


def blocks(text: str) -> list[dict[str, object]]:
    return [yaml.safe_load(part.split("```")[0]) for part in text.split("```yaml\n")[1:]]


def test_who_confirmed_what_and_when() -> None:
    header, inputs = blocks(report(state(PASSED)))
    assert header["status"] == "live"
    assert header["last_verified"] != "—"
    assert inputs["resolved_inputs"] == {
        "env": "dev",
        "api_tokens": SECRET,
        "resolved_by": "ada",
        "resolved_how": "typed 'yes'",
        "resolved_at": "2026-11-30T01:02:03Z",
    }


def test_a_failed_check_is_no_verification() -> None:
    text = report(state(PASSED, FAILED))
    assert blocks(text)[0]["last_verified"] == "—"
    assert "| POST | 200 | 200 \\| fine | ✔ |" in text
    assert "| poll | completed | pending | ✘ |" in text


def test_no_secret_is_written_plain_or_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.yaml").write_text("name: ephemera\nruntime: python\n")
    config = {
        "ephemera:env": "dev",
        "ephemera:api_tokens": ["ci:operate:" + "x" * 32],
        "ephemera:domain": {"secure": "AAAA"},
        "cloudflare:apiToken": "t" * 40,
    }
    Path("Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}))
    assert resolved_settings("dev") == {"env": "dev", "api_tokens": SECRET, "domain": SECRET}
    with pytest.raises(NotReadyError, match=r"there is no Pulumi\.nope\.yaml \(known stacks: dev\)"):
        resolved_settings("nope")


def test_resources_have_the_names_and_ids_that_cloudflare_knows() -> None:
    checkpoint: list[dict[str, Any]] = [
        {
            "type": "cloudflare:index/queue:Queue",
            "urn": "urn:pulumi:dev::ephemera::a:b:C::q",
            "id": "1",
            "outputs": {"queueName": "q", "queueId": "2"},
        },
        {
            "type": "cloudflare:index/d1Database:D1Database",
            "urn": "urn:pulumi:dev::ephemera::a:b:C::d",
            "id": "u",
            "outputs": {"name": "d", "uuid": "u"},
        },
        {
            "type": "cloudflare:index/workerVersion:WorkerVersion",
            "urn": "urn:pulumi:dev::ephemera::a:b:C::v",
            "id": "v1",
            "outputs": {},
        },
        {
            "type": "pulumi-python:dynamic/d1:Migrations",
            "urn": "urn:pulumi:dev::ephemera::a:b:C::m",
            "id": "u",
            "outputs": {},
        },
    ]
    found = [(each.kind, each.name, each.id) for each in resources_of(checkpoint)]
    assert found == [("Queue", "q", "2"), ("D1Database", "d", "u"), ("WorkerVersion", "v", "v1")]


def test_a_suite_s_report_tells_what_was_expected_and_seen() -> None:
    text = """<testsuites><testsuite>
      <testcase name="test_one"><properties><property name="check" value="one"/><property name="expected" value="1"/>
        <property name="observed" value="1!"/></properties></testcase>
      <testcase name="test_two_things"><failure message="AssertionError: assert 1 == 2&#10;more"/></testcase>
      <testcase name="test_three"><skipped message="no"/></testcase>
    </testsuite></testsuites>"""
    assert read_report(text) == [
        Check("one", "1", "1!", passed=True),
        Check("two things", "the test passes", "AssertionError: assert 1 == 2", passed=False),
        Check("three", "the test passes", "no", passed=False),
    ]

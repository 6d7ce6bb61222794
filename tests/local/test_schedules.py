"""Cron triggers."""

import doctest

import pytest
from cloudflare import Cloudflare

from local.api import json_text
from local.cli.instance import Instance
from local.products.d1 import sql
from local.products.workers import cron
from tests.local.rest import Rest

VALID = [
    "* * * * *",
    "*/5 0-6 1,15 JAN-MAR MON-FRI",
    "0 0 LW * *",
    "0 0 15W * *",
    "0 0 * * 6L",
    "0 0 * * TUE#2",
    "0 9 * * 7",
    "0 0 * * FRI-MON",
    "0 0 L-3W * *",
]
INVALID = [
    "",
    "* * * *",
    "* * * * * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "0 20 * * 0",
    "*/0 * * * *",
    "0 0 32W * *",
    "0 0 L,3 * *",
    "0 0 * * MON#2,FRI",
    "0 0 lw * *",
    "0 0 * * monl",
    " 0 0 1 * *",
    "0\n0 1 * *",
    "*/\u0665 * * * *",
]


def test_live_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    worker = rest.deployed_worker()
    schedules = sdk.workers.scripts.schedules
    put = schedules.update(worker["name"], account_id=cloud.account_id, body=[{"cron": "0 0 1 1 *"}])
    assert [one.cron for one in put.schedules] == ["0 0 1 1 *"]
    got = schedules.get(worker["name"], account_id=cloud.account_id)
    assert got.model_dump() == put.model_dump()


def test_a_put_replaces_all_and_keeps_the_order(rest: Rest) -> None:
    path = f"/workers/scripts/{rest.deployed_worker()['name']}/schedules"
    [first] = rest.result("PUT", path, [{"cron": "0 0 1 1 *"}])["schedules"]
    both = rest.result("PUT", path, [{"cron": "0 0 2 1 *"}, {"cron": "0 0 1 1 *"}])["schedules"]
    assert [one["cron"] for one in both] == ["0 0 2 1 *", "0 0 1 1 *"]
    assert both[1]["created_on"] == first["created_on"]
    assert rest.result("PUT", path, []) == {"schedules": []}
    assert rest.result("GET", path) == {"schedules": []}


@pytest.mark.parametrize("text", VALID)
def test_cloudflares_syntax_is_taken(rest: Rest, text: str) -> None:
    path = f"/workers/scripts/{rest.idle_worker()['name']}/schedules"
    assert rest.result("PUT", path, [{"cron": text}])["schedules"][0]["cron"] == text


@pytest.mark.parametrize("text", INVALID[1:])
def test_anything_else_is_refused(rest: Rest, text: str) -> None:
    path = f"/workers/scripts/{rest.idle_worker()['name']}/schedules"
    assert rest.refusal("PUT", path, [{"cron": text}]) == (400, 10100, f"invalid cron string: {text}")


def test_what_does_not_fit_is_refused(rest: Rest) -> None:
    path = f"/workers/scripts/{rest.idle_worker()['name']}/schedules"
    assert rest.refusal("PUT", path, {"cron": "* * * * *"})[:2] == (400, 10026)
    assert rest.refusal("PUT", path, [{}])[:2] == (400, 10026)
    twice = [{"cron": "0 0 * * *"}, {"cron": "0 0 * * *"}]
    assert rest.refusal("PUT", path, twice) == (400, 10100, "duplicate cron found: 0 0 * * *")


@pytest.mark.parametrize("module", [cron, json_text, sql])
def test_the_examples_in_the_documentation_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # pyright: ignore[reportArgumentType]

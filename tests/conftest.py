"""Options of the test suites."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("acceptance")
    group.addoption("--stack", default="local", help="the deployed stack that tests/acceptance checks (default: local)")
    group.addoption("--state", default=".local", help="the state folder of the local Cloudflare (default: .local)")
    features = parser.getgroup("features")
    features.addoption("--receiver", help="the URL of a server that tests/features lets the http handler deliver to")
    faults = parser.getgroup("faults")
    faults.addoption(
        "--fault-seconds", type=float, default=60, help="how long tests/faults kills under load (default: 60)"
    )
    faults.addoption("--fault-seed", type=int, default=1, help="the seed of its moments and victims (default: 1)")

"""Runs in the policy pack's own environment: calls its validators with the resources on stdin, prints the violations.

`pulumi_policy.PolicyPack` would serve them to the Pulumi CLI over gRPC; here it only keeps them.
"""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import pulumi_policy as policy
from pulumi_policy.proxy import unknown_checking_proxy

PACK = Path(__file__).resolve().parents[2] / "policy"


def main() -> None:
    packs: list[dict[str, Any]] = []
    policy.PolicyPack = lambda **settings: packs.append(settings)  # type: ignore[misc, assignment]
    sys.path.insert(0, str(PACK))
    runpy.run_path(str(PACK / "__main__.py"))
    (pack,) = packs
    given = json.load(sys.stdin)
    found: list[list[str]] = []
    for rule in pack["policies"]:
        config = given["config"].get(rule.name, {})
        if isinstance(rule, policy.StackValidationPolicy):
            rule.validate(
                policy.StackValidationArgs([stack_resource(each) for each in given["resources"]], config),
                lambda problem, _=None, name=rule.name: found.append([name, problem]),
            )
            continue
        for each in given["resources"]:
            rule.validate(
                policy.ResourceValidationArgs(
                    each["kind"],
                    unknown_checking_proxy(each["props"]),
                    "urn",
                    each["name"],
                    options(each),
                    None,
                    config,
                ),
                lambda problem, _=None, name=rule.name: found.append([name, problem]),
            )
    print(json.dumps({"policies": [rule.name for rule in pack["policies"]], "violations": found}))


def options(resource: dict[str, Any]) -> policy.PolicyResourceOptions:
    times = policy.PolicyCustomTimeouts(0, 0, 0)
    return policy.PolicyResourceOptions(resource["protect"], [], None, [], times, [])


def stack_resource(resource: dict[str, Any]) -> policy.PolicyResource:
    return policy.PolicyResource(
        resource["kind"],
        resource["props"],
        "urn",
        resource["name"],
        options(resource),
        None,
        None,
        [],
        {},
    )


main()

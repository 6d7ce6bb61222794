"""The policy pack: `pulumi preview --policy-pack policy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import rules
from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

NUMBER: dict[str, Any] = {"type": "number", "minimum": 0}


def each(check: Callable[[rules.Resource, dict[str, Any]], Iterator[str]]) -> Callable[..., None]:
    """Make a validation of every resource."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = rules.Resource(args.resource_type, args.name, args.props, bool(args.opts.protect))
        for problem in check(resource, dict(args.get_config())):
            report(problem)

    return validate


def whole(check: Callable[[list[rules.Resource]], Iterator[str]]) -> Callable[..., None]:
    """Make a validation of the stack."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        found = [rules.Resource(it.resource_type, it.name, it.props, bool(it.opts.protect)) for it in args.resources]
        for problem in check(found):
            report(problem)

    return validate


def _resource(name: str, check: Any, rule: Any, properties: dict[str, Any] | None = None) -> ResourceValidationPolicy:
    schema = PolicyConfigSchema(properties=properties) if properties else None
    return ResourceValidationPolicy(name, rule.__doc__, each(check), config_schema=schema)


def _stack(name: str, rule: Callable[[list[rules.Resource]], Iterator[str]]) -> StackValidationPolicy:
    return StackValidationPolicy(name, str(rule.__doc__), whole(rule))


PolicyPack(
    name="ephemera",
    enforcement_level=EnforcementLevel.MANDATORY,
    policies=[
        _resource("dead-letter-queue", lambda it, _: rules.dead_letter_queue(it), rules.dead_letter_queue),
        _resource(
            "protected-stores",
            lambda it, config: rules.protected_stores(it, config.get("former", ())),
            rules.protected_stores,
            {"former": {"type": "array", "items": {"type": "string"}, "default": []}},
        ),
        _resource(
            "tokens",
            lambda it, config: rules.tokens(it, public=bool(config.get("public", False))),
            rules.tokens,
            {"public": {"type": "boolean", "default": False}},
        ),
        _resource(
            "retention",
            lambda it, config: rules.retention(
                it,
                config.get("minimumSeconds", rules.MINIMUM_SECONDS),
                config.get("deadLetterMinimumSeconds", rules.DEAD_LETTER_MINIMUM_SECONDS),
            ),
            rules.retention,
            {
                "minimumSeconds": {**NUMBER, "default": rules.MINIMUM_SECONDS},
                "deadLetterMinimumSeconds": {**NUMBER, "default": rules.DEAD_LETTER_MINIMUM_SECONDS},
            },
        ),
        _resource("observability", lambda it, _: rules.observability(it), rules.observability),
        _stack("names", rules.names),
        _stack("protected-objects", rules.protected_objects),
    ],
)

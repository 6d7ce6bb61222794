"""Rules of `run_worker_first`: the paths that code answers before assets, and, after `!`, the exceptions.

They are checked as in workers-sdk's `parseStaticRouting`, with the same messages.
"""

from local.api.fields import Fields

_FIELD = "run_worker_first"
_MOST_RULES = 100
_LONGEST_RULE_CHARACTERS = 100


def check_rules(config: Fields) -> None:
    """Raise ApiError for invalid rules."""
    rules = config.texts(_FIELD) or []
    problem = _problem_of_all(rules) or next(filter(None, (_problem(rule, rules) for rule in rules)), None)
    if problem:
        raise config.wrong(_FIELD, problem)


def _problem_of_all(rules: list[str]) -> str | None:
    if not rules:
        return "No `run_worker_first` rules were provided; must provide at least 1 rule."
    if len(rules) > _MOST_RULES:
        count = len(rules)
        return f"Too many `run_worker_first` rules were provided; {count} rules provided exceeds max of {_MOST_RULES}."
    if all(rule.startswith("!/") for rule in rules):
        return "Only negative `run_worker_first` rules were provided; must provide at least 1 non-negative rule"
    return None


def _problem(rule: str, rules: list[str]) -> str | None:
    if not rule.startswith(("/", "!/")):
        return f"'{rule}': rules must start with '/' or '!/'"
    if len(rule) > _LONGEST_RULE_CHARACTERS:
        return f"'{rule}': all rules must be less than {_LONGEST_RULE_CHARACTERS} characters in length"
    if rules.count(rule) > 1:
        return f"'{rule}': rule is a duplicate; rules must be unique"
    wider = next((other for other in rules if other != rule and _covers(other, rule)), None)
    return None if wider is None else f"'{rule}': rule '{wider}' makes it redundant"


def _covers(wide: str, rule: str) -> bool:
    return wide.endswith("*") and rule.startswith(wide[:-1])

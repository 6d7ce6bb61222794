"""Writes docs/configuration.md: ``python -m components.document > docs/configuration.md``."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator

from .rules import Rule
from .task_runner_args import PLAIN, TaskRunnerArgs, defaults, rules

HEAD = """\
# Configuration

Every setting of a stack (`pulumi config set NAME VALUE`, or a line `ephemera:NAME: VALUE` of `Pulumi.STACK.yaml`),
which is an argument of `TaskRunnerArgs` as well. A program can give an output for each setting but for those with
a *, which decide which resources there are. A list is a YAML list; a text with spaces between its words is read, too.

| setting | default | what it may be | what it does |
| --- | --- | --- | --- |
"""


def document() -> str:
    """Return the page, generated from the settings' rules and docstrings."""
    texts = dict(_docstrings())
    rows = [_row(name, rule, texts[name]) for name, rule in rules().items()]
    return HEAD + "\n".join(rows) + "\n"


def _row(name: str, rule: Rule, text: str) -> str:
    default = defaults().get(name)
    shown = {"": "", "None": "required", "()": "none"}.get(str(default), f"`{str(default).lower()}`")
    cells = [f"`{name}`{'*' if name in PLAIN else ''}", shown, rule.expected, " ".join(text.replace("``", "`").split())]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _docstrings() -> Iterator[tuple[str, str]]:
    """Give each field's name with the docstring below it."""
    (declared,) = ast.parse(inspect.getsource(TaskRunnerArgs)).body
    body = declared.body if isinstance(declared, ast.ClassDef) else []
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            yield field.target.id, ast.literal_eval(text.value)


if __name__ == "__main__":
    print(document(), end="")

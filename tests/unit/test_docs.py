"""What the docs claim: each feature is a test, each setting is there, links lead somewhere, commands are commands."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from components.document import document
from local.cli import commands as local_commands
from local.cli import faults
from local.pulumi import commands as local_deploy_commands
from ops.command_line import build_parser

FEATURES = Path("tests/features/test_features.py").read_text()
PAGES = [*Path().glob("*.md"), *Path("docs").glob("*.md"), *Path("examples").glob("*.md"), *Path("local").glob("*.md")]


def test_the_table_of_features_lists_what_is_tested_and_nothing_else() -> None:
    tested = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", FEATURES, re.MULTILINE)]
    table = Path("docs/features.md").read_text()
    listed = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert listed[2:] == tested


def test_the_document_of_the_settings_is_that_of_their_rules() -> None:
    assert Path("docs/configuration.md").read_text() == document(), (
        "python -m components.document > docs/configuration.md"
    )


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_link_leads_to_something(page: Path) -> None:
    lost: list[str] = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            lost.append(link)
    assert not lost


def test_the_site_has_every_page() -> None:
    listed = re.findall(r": (\S+\.md)$", Path("mkdocs.yml").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert {str(page) for page in Path("docs").glob("*.md")} < set(listed)
    assert [page for page in listed if not Path(page).exists()] == []


def test_the_readme_stays_short() -> None:
    assert len(Path("README.md").read_text().splitlines()) <= 160


def commands(program: str) -> list[list[str]]:
    """Return the arguments that the docs call a program with, without what stands around them."""
    text = "\n".join(page.read_text() for page in PAGES).replace("cloudflare-local ", "python -m local ")
    found = re.findall(rf"(?:^\$ |`|&& |\$\()python -m {program} ([^`&|#)\n]*)", text, re.MULTILINE)
    lines = {line.replace("ID...", "ID").replace("--port N", "--port 1").strip() for line in found}
    return [shlex.split(line) for line in sorted(lines) if line[:1].islower() and "--help" not in line]


@pytest.mark.parametrize("arguments", commands("ops"), ids=" ".join)
def test_a_command_of_ops_is_one(arguments: list[str]) -> None:
    assert build_parser().parse_args(arguments)


@pytest.mark.parametrize("arguments", commands("local"), ids=" ".join)
def test_a_command_of_the_local_cloudflare_is_one(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    subparsers = parser.add_subparsers(required=True)
    for part in (local_commands, local_deploy_commands):
        part.add_parsers(subparsers)
    faults.add_parser(subparsers)
    assert parser.parse_args(arguments)

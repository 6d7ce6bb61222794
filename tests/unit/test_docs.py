"""What the docs claim: each feature is a test, each setting is there."""

import re
from pathlib import Path

from components.document import document

FEATURES = Path("tests/features/test_features.py").read_text()


def test_the_table_of_features_lists_what_is_tested_and_nothing_else() -> None:
    tested = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", FEATURES, re.MULTILINE)]
    table = Path("docs/features.md").read_text()
    listed = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert listed[2:] == tested


def test_the_document_of_the_settings_is_that_of_their_rules() -> None:
    assert Path("docs/configuration.md").read_text() == document(), (
        "python -m components.document > docs/configuration.md"
    )

"""What README and docs claim: each feature is a test, each setting is there."""

import re
from pathlib import Path

README = Path("README.md").read_text()
FEATURES = Path("tests/features/test_features.py").read_text()


def test_the_table_of_features_lists_what_is_tested_and_nothing_else() -> None:
    tested = [name.replace("_", " ") for name in re.findall(r"^def test_(\w+)\(", FEATURES, re.MULTILINE)]
    table = Path("docs/features.md").read_text()
    listed = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]
    assert listed[2:] == tested


def test_every_setting_is_in_the_readme_with_its_range() -> None:
    settings = re.findall(r"^  (\w+):$", Path("Pulumi.yaml").read_text().split("\nconfig:\n")[1], re.MULTILINE)
    assert settings
    assert [name for name in settings if f"| `{name}` |" not in README] == []

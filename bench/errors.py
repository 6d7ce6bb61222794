"""The errors of measured systems."""

from __future__ import annotations


class MeasuredSystemError(Exception):
    """A measured system could not be started, refused a request, or did not finish in time."""

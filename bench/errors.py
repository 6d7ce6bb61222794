"""What can go wrong with what is measured."""

from __future__ import annotations


class MeasuredSystemError(Exception):
    """What is measured could not be started, refused a request, or did not come to an end in time."""

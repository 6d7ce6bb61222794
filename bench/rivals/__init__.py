"""Common alternatives: small idiomatic applications with the same API, each with a Redis of its own."""

from bench.rivals.rival import missing_parts, rivals

__all__ = ["missing_parts", "rivals"]

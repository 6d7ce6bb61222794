"""Counts what a deployed Worker uses, in the units that Cloudflare bills."""

from bench.meter.meter import Counts, Meter, metered, upload

__all__ = ["Counts", "Meter", "metered", "upload"]

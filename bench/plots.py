"""Draws a run's results as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib import ticker

from bench.results import COMPARISON_PICTURE, GROWTH_PICTURE, Results
from bench.statistics import Summary

mpl.use("agg")

_COMPARED = (
    ("throughput", "post_per_second", "POST, tasks/s (more is better)"),
    ("throughput", "drain_per_second", "backlog worked off, tasks/s (more is better)"),
    ("lone", "completed_p50_ms", "lone task completed, p50 ms (less is better)"),
    ("steady", "completed_p50_ms_at_50", "completed at half of capacity, p50 ms (less is better)"),
)
_LINES = (
    ("batch_size", ("drain_per_second",), "batch size", "tasks/s"),
    ("payload_bytes", ("post_per_second", "drain_per_second"), "payload, B", "tasks/s"),
    ("concurrency", ("post_per_second",), "connections", "tasks/s"),
    ("concurrency", ("post_p50_ms", "post_p95_ms", "post_p99_ms"), "connections", "POST, ms"),
    ("shards", ("post_per_second", "drain_per_second"), "shards, on this one machine", "tasks/s"),
    ("table_rows", ("post_per_second", "drain_per_second"), "tasks in the table", "tasks/s"),
    (
        "table_rows",
        ("list_rows_read", "failed_rows_read", "stats_rows_read", "sweep_rows_read"),
        "tasks in the table",
        "rows read by one request",
    ),
)
_DPI = 110
_PLAIN = ticker.StrMethodFormatter("{x:,g}")


def draw(results: Results, folder: Path) -> list[str]:
    """Draw the results into a folder; return the names of the files."""
    files: list[str] = []
    compared = [each for each in _COMPARED if each[0] in results]
    if compared:
        _draw_compared(results, compared, folder / COMPARISON_PICTURE)
        files.append(COMPARISON_PICTURE)
    if "growth" in results:
        _draw_lines(results["growth"], folder / GROWTH_PICTURE)
        files.append(GROWTH_PICTURE)
    return files


def _draw_compared(results: Results, compared: Sequence[tuple[str, str, str]], file: Path) -> None:
    figure, axes = plt.subplots(
        len(compared), 1, figsize=(9, 0.9 + 0.45 * len(results["systems"]) * len(compared)), squeeze=False
    )
    for axis, (part, key, title) in zip(axes[:, 0], compared, strict=True):
        turns: Mapping[str, Sequence[Mapping[str, float]]] = results[part]
        names = list(reversed(turns))
        summaries = [Summary.of([turn[key] for turn in turns[name]]) for name in names]
        medians = [each.median for each in summaries]
        ranges = [
            [each.median - each.low for each in summaries],
            [each.high - each.median for each in summaries],
        ]
        axis.errorbar(medians, names, xerr=ranges, fmt="o", color="#3b6fb6", ecolor="#222222", capsize=3)
        axis.set_xscale("log")  # no bars there: their lengths would be meaningless
        axis.margins(x=0.05, y=0.15)
        axis.xaxis.set_major_formatter(_PLAIN)
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.set_title(title, loc="left", fontsize=10)
        axis.grid(axis="x", which="both", alpha=0.25)
    _save(figure, file)


def _draw_lines(growth: Mapping[str, Sequence[Mapping[str, float]]], file: Path) -> None:
    figure, axes = plt.subplots(4, 2, figsize=(11, 14))
    for unused in axes.flat[len(_LINES) :]:
        unused.remove()
    for axis, (size, keys, size_label, label) in zip(axes.flat, _LINES, strict=False):
        points = growth[size]
        for key in keys:
            axis.plot(
                [point[size] for point in points], [point[key] for point in points], marker="o", label=_legend(key)
            )
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(_PLAIN)
        axis.set_ylim(bottom=0)
        axis.set_xlabel(size_label)
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8)
    _save(figure, file)


def _legend(key: str) -> str:
    words = key.removesuffix("_per_second").removesuffix("_ms").removesuffix("_rows_read")
    return words.replace("_", " ").replace("post", "POST")


def _save(figure: Any, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, dpi=_DPI, metadata={"Software": None})
    plt.close(figure)

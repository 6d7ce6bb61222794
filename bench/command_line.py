"""The command line of `python -m bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench import results
from bench.cloud import CloudError
from bench.document import DocumentError, WorkerSource, read_document, read_folder
from bench.load_generator import LoadError
from bench.profile import FULL, QUICK
from bench.progress import Progress
from bench.report import write_report
from bench.run import PARTS, Run

_NEEDED = {"steady": "throughput"}
"""The part that another one begins with."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    progress = Progress()
    try:
        baseline = _baseline(options)
        if baseline is None:
            progress.say("neither --baseline nor --baseline-document: the comparison with a baseline is left out")
        folder = results.new_folder(datetime.now().astimezone())
        run = Run(QUICK if options.quick else FULL, baseline, _parts(options.only), folder, progress)
        run.measure()
        write_report(run.results, folder)
    except (CloudError, DocumentError, LoadError) as error:
        progress.say(f"error: {error}")
        return 1
    print((folder / "report.md").read_text())
    progress.say(f"written: {folder}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the task runner on this machine.")
    parser.add_argument("--quick", action="store_true", help="about 3 minutes instead of about 20")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, metavar="PART", help=f"measure only some of {', '.join(PARTS)}"
    )
    baseline = parser.add_mutually_exclusive_group()
    baseline.add_argument(
        "--baseline", type=Path, metavar="DIR", help="a wrangler project with the same API to compare with"
    )
    baseline.add_argument(
        "--baseline-document",
        type=Path,
        metavar="FILE",
        help="a Markdown document with such a Worker in its code blocks",
    )
    return parser


def _baseline(options: argparse.Namespace) -> WorkerSource | None:
    if options.baseline is not None:
        return read_folder(options.baseline)
    return None if options.baseline_document is None else read_document(options.baseline_document)


def _parts(only: Sequence[str] | None) -> list[str]:
    if only is None:
        return list(PARTS)
    wanted = {*only, *(_NEEDED[part] for part in only if part in _NEEDED)}
    return [part for part in PARTS if part in wanted]

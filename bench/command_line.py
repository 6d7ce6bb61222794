"""The command line of `python -m bench`."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench import results
from bench.docs import DocsError, write_docs
from bench.document import DocumentError, WorkerSource, read_document, read_folder
from bench.errors import MeasuredSystemError
from bench.load_generator import LoadError
from bench.plots import draw
from bench.profile import FULL, QUICK
from bench.progress import Progress
from bench.report import write_report
from bench.rivals import missing_parts
from bench.run import PARTS, Run

_NEEDED = {"steady": "throughput"}
"""Parts that another part needs first."""

_INTERRUPTED = 130

_SLOW = {"combinations", "features", "growth"}
"""Parts that a quick run leaves out, unless they are requested."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # otherwise its child processes would stay
    progress = Progress()
    try:
        folder = _measured(options, progress) if options.earlier is None else options.earlier
        measured = results.load(folder)
        write_report(measured, draw(measured, folder), folder)
        if options.write_docs:
            write_docs(measured, folder)
    except (MeasuredSystemError, DocsError, DocumentError, LoadError) as error:
        progress.say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    print((folder / "report.md").read_text())
    progress.say(f"written: {folder}")
    return 0


def _measured(options: argparse.Namespace, progress: Progress) -> Path:
    """Measure what the options request; return the folder of the results."""
    baseline = _baseline(options)
    if baseline is None:
        progress.say("neither --baseline nor --baseline-document: the comparison with a baseline is left out")
    earlier = None if options.resumed is None else results.load(options.resumed)
    folder = options.resumed or results.new_folder(datetime.now().astimezone())
    parts = [part for part in _parts(options) if part not in (earlier or {})]
    profile = QUICK if options.quick else FULL
    Run(profile, baseline, parts, folder, progress, with_rivals=_can_run_rivals(progress), earlier=earlier).measure()
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures the task runner on this machine.")
    parser.add_argument("--quick", action="store_true", help="about 7 minutes instead of about 60")
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
    parser.add_argument(
        "--resume",
        type=Path,
        dest="resumed",
        metavar="DIR",
        help="measure what an interrupted run with the same options has left out, into its folder",
    )
    parser.add_argument("--write-docs", action="store_true", help="make this run the one that the docs quote")
    parser.add_argument(
        "--from", type=Path, dest="earlier", metavar="DIR", help="measure nothing: report on the results in this folder"
    )
    return parser


def _baseline(options: argparse.Namespace) -> WorkerSource | None:
    if options.baseline is not None:
        return read_folder(options.baseline)
    return None if options.baseline_document is None else read_document(options.baseline_document)


def _parts(options: argparse.Namespace) -> list[str]:
    only: Sequence[str] = options.only or [part for part in PARTS if not (options.quick and part in _SLOW)]
    wanted = {*only, *(_NEEDED[part] for part in only if part in _NEEDED)}
    return [part for part in PARTS if part in wanted]


def _can_run_rivals(progress: Progress) -> bool:
    missing = list(missing_parts())
    if missing:
        progress.say(f"without what users would pick instead: expected {' and '.join(missing)} to be installed")
    return not missing

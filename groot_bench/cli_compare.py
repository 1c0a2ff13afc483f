"""`groot-bench compare`: two runs against each other, or runs beside published numbers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groot_bench.analysis.packages import require_packages
from groot_bench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from groot_bench.analysis.frame import RunInfo
    from groot_bench.analysis.table import Table

ONLY_TWO = ("ignore", "unpaired", "unfinished", "errors", "correction")  # options that mean nothing with --published


def add_compare(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command `compare`."""
    parser = verbs.add_parser(
        "compare",
        help="two runs against each other, episode by episode; or a run beside published numbers",
        description="Hold two runs against each other on the same episodes: rates, paired differences, tests corrected "
        "over tasks, and how many more episodes would decide. Or put runs beside published numbers of their protocol.",
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="two run folders; with --published one or more"
    )
    parser.add_argument("--published", action="store_true", help="beside the published rows of the same protocol")
    parser.add_argument("--ignore", action="append", metavar="FIELD", help="a manifest field that may differ; repeat")
    parser.add_argument("--unpaired", action="store_true", default=None, help="take the runs as independent samples")
    parser.add_argument(
        "--errors", choices=("refuse", "both"), help="both: left out, and as failures (default: refuse)"
    )
    parser.add_argument("--unfinished", action="store_true", default=None, help="leave out episodes without a record")
    parser.add_argument("--correction", choices=("holm", "bh"), help="of p values over tasks (default: holm)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also write compare.md, .tex, .csv and .json there")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.set_defaults(call=_compare)


def _compare(args: argparse.Namespace) -> int:
    if args.published:
        given = [f"--{name}" for name in ONLY_TWO if getattr(args, name) is not None]
        if given:
            raise UsageError(f"{', '.join(given)}: of two runs only, not with --published")
    elif len(args.runs) != 2:
        raise UsageError(f"compare takes two runs, or --published and one run or more; got {len(args.runs)} without it")
    if args.out is not None and args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out {args.out}: expected a folder, or a name that is free")
    require_packages("compare")
    from groot_bench.analysis.frame import load_all

    frame, runs = load_all(*args.runs)
    table, data = _beside(frame) if args.published else _against(frame, runs, args)
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    if args.out is not None:
        _write(args.out, table, text)
    print(text if args.json else table.to_markdown(), end="")
    return 0


def _against(frame: pd.DataFrame, runs: list[RunInfo], args: argparse.Namespace) -> tuple[Table, dict[str, Any]]:
    from groot_bench.analysis.comparable import policy_differences, require_comparable
    from groot_bench.analysis.comparison import compare
    from groot_bench.pins import MEANING, unpinned

    names, (a, b) = [run.label for run in runs], [run.manifest for run in runs]
    ignore, paired = args.ignore or [], not args.unpaired
    ignored = require_comparable(a, b, names, ignore, paired)
    notes = [
        f"Ignored: {field} is {one!r} in {names[0]}, {two!r} in {names[1]}." for field, (one, two) in ignored.items()
    ]
    notes += policy_differences(a, b, names)
    notes += [
        f"{run.label} is unpinned: {words}; {MEANING}."
        for run in runs
        if (words := unpinned(run.manifest["experiment"]))
    ]
    comparison = compare(
        *(frame[frame["run"] == name] for name in names),
        paired=paired,
        errors=args.errors or "refuse",
        unfinished=bool(args.unfinished),
        correction=args.correction or "holm",
        ignore=ignore,
        notes=notes,
    )
    return comparison.table(), comparison.to_json()


def _beside(frame: pd.DataFrame) -> tuple[Table, dict[str, Any]]:
    import dataclasses

    from groot_bench.analysis import published

    table, refusals = published.beside(frame, published.read())
    refused = [f"Refused: {refusal.name}: {refusal.reason}." for refusal in refusals]
    data = {**table.to_json(), "refused": [refusal._asdict() for refusal in refusals]}
    return dataclasses.replace(table, notes=(*table.notes, *refused)), data


def _write(folder: Path, table: Table, data: str) -> None:
    """The four forms; all of them are made before the first is written."""
    from groot_bench.record import write_atomically

    texts = {"md": table.to_markdown(), "tex": table.to_latex(), "csv": table.to_csv(), "json": data}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UsageError(f"--out {folder} cannot be made: {problem.strerror or problem}") from None
    for ending, text in texts.items():
        write_atomically(folder / f"compare.{ending}", text)

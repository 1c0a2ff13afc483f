"""The verb `setup`: a suite's own environment, made or completed."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groot_bench.suite import Suite


def add_setup(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declares the verb."""
    parser = verbs.add_parser(
        "setup",
        help="make a suite's own environment: packages, simulator, assets",
        description="Make, or complete, the environment of a suite, and verify it by one reset and one frame. What an "
        "earlier call has finished is kept. Everything lies in $GROOT_BENCH_CACHE/SUITE (default: groot-bench in your "
        "cache folder); to start anew, delete that.",
    )
    parser.add_argument("suite", metavar="SUITE", help="a suite (see `list`)")
    local = "a local copy instead of the network: a folder or an archive"
    parser.add_argument(
        "--source", action="append", default=[], metavar="[NAME=]PATH", help=f"{local}, or a git repository; repeat"
    )
    parser.add_argument("--assets", action="append", default=[], metavar="[NAME=]PATH", help=f"{local}; repeat")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    starts = parser.add_argument_group("fixed start states, instead of the set-up (robotwin2)")
    starts.add_argument("--make-seeds", action="store_true", help="find the seeds that the scripted expert solves")
    starts.add_argument("--task", action="append", default=[], metavar="NAME", help="of this task; repeat (all)")
    starts.add_argument("--config", default="demo_clean", metavar="NAME", help="demo_clean or demo_randomized")
    starts.add_argument("--count", type=int, default=100, metavar="N", help="how many of each task (100)")
    parser.set_defaults(call=_setup)


def _setup(args: argparse.Namespace) -> int:
    from groot_bench.setup.state import folder_of
    from groot_bench.setup.steps import set_up
    from groot_bench.suite import load_suite

    suite = load_suite(args.suite)
    if args.make_seeds:
        return _make_seeds(suite, args)
    ready = set_up(suite, sources_given=args.source, assets_given=args.assets, say=_say)
    if args.json:
        print(json.dumps(ready.to_json(), indent=1, sort_keys=True))
        return 0
    print(f"# suite {suite.name} is ready\n")
    print(f"- folder: {folder_of(suite.name)}\n- interpreter: {ready.python}")
    print(f"- packages: {', '.join(f'{name} {ready.packages.get(name, pin)}' for name, pin in suite.pins.items())}")
    for name, entry in ready.repositories.items():
        print(f"- {name}: commit {entry['commit']}, {entry['origin']}")
    for name, entry in ready.assets.items():
        print(f"- {name}: {entry['files']} files, {entry['bytes'] / 2**20:.0f} MiB, {entry['origin']}")
    seen = "one reset and one frame" if ready.frame else "one reset (nothing can be rendered here; see `doctor`)"
    print(f"- verified: {seen} of {suite.recipe.check if suite.recipe else ''}")
    return 0


def _make_seeds(suite: Suite, args: argparse.Namespace) -> int:
    from groot_bench.errors import UsageError
    from groot_bench.ready import require_ready

    if suite.make_starts is None:
        raise UsageError(f"suite {suite.name!r} has no seed lists to make")
    if args.count < 1:
        raise UsageError(f"--count must be 1 or more, got {args.count}")
    require_ready(suite, suite.python or sys.executable)
    for path in suite.make_starts(suite, args.task, args.config, args.count, _say):
        print(path)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

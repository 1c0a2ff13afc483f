"""The command line: parse, call one function, print.

stdout carries the result (Markdown, or JSON with --json), stderr the progress bar and notes. Exit codes: 0 done,
1 some episodes are errors or the run stopped early, 2 wrong usage or a mismatch, 130 stopped by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groot_bench.cli_ablate import add_ablate
from groot_bench.cli_ckpt import add_ckpt, add_model_options, model_options, with_verb
from groot_bench.cli_compare import add_compare
from groot_bench.cli_report import add_report, add_view
from groot_bench.cli_rescore import add_rescore
from groot_bench.cli_retarget import add_retarget
from groot_bench.cli_setup import add_setup
from groot_bench.errors import GrootBenchError, PolicyError, UsageError

if TYPE_CHECKING:
    from groot_bench.doctor import Finding
    from groot_bench.evaluation import Settings
    from groot_bench.record import Run
    from groot_bench.suite import Suite

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = _parser().parse_args(with_verb(words))
    args.words = words
    try:
        code: int = args.call(args)
        sys.stdout.flush()
        return code
    except GrootBenchError as error:
        if isinstance(error, PolicyError) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"groot-bench: error: {_printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("groot-bench: stopped", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has gone, as in `groot-bench list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _printable(text: str) -> str:
    """Without control characters: names from files may hold them, and a terminal obeys them."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="groot-bench",
        description="Closed-loop evaluation of robot policies in which an episode is one fixed experiment.",
        epilog="exit codes: 0 done, 1 some episodes are errors, 2 wrong usage or a mismatch",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_eval(verbs)
    _add_list(verbs)
    _add_show(verbs)
    _add_merge(verbs)
    add_setup(verbs)
    _add_doctor(verbs)
    add_compare(verbs)
    add_report(verbs)
    add_view(verbs)
    add_ckpt(verbs)
    add_ablate(verbs)
    add_rescore(verbs)
    add_retarget(verbs)
    return parser


class _Version(argparse.Action):
    """Prints the version; looked up only when asked for."""

    def __call__(self, parser, namespace, values, option_string=None):  # type: ignore[no-untyped-def]
        from groot_bench.provenance import version

        print(f"groot-bench {version()}")
        parser.exit()


def _add_eval(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser(
        "eval",
        help="run episodes of a policy, or finish a run",
        description="Run a fixed list of episodes of a policy. The same command again finishes a run that was stopped.",
    )
    parser.set_defaults(call=_eval)
    what = parser.add_argument_group("what is measured (compared when a run is resumed)")
    what.add_argument(
        "--suite", action="append", required=True, metavar="NAME", help="a suite (see `list`), or a key map; repeat"
    )
    what.add_argument("--task", action="append", metavar="NAME", help="a task; repeat for more (default: all)")
    what.add_argument(
        "--protocol", action="append", default=[], metavar="NAME", help="the rules (default: the suite's first)"
    )
    policy = what.add_mutually_exclusive_group(required=True)
    policy.add_argument("--policy", metavar="NAME", help="zero, random, expert or replay")
    policy.add_argument("--ckpt", metavar="PATH", help="a GR00T N1.5, N1.6 or N1.7 checkpoint: a folder or a hub id")
    what.add_argument("--replay", metavar="RUN", help="the run whose actions --policy replay plays")
    what.add_argument("--retarget", metavar="ROBOT", help="makes joints of poses: gr1, panda, ...; docs/retarget.md")
    what.add_argument("--episodes", type=int, metavar="N", help="episodes of each task (default: the protocol's)")
    what.add_argument("--first-episode", type=int, default=0, metavar="N", help="begin at index N (default: 0)")
    what.add_argument("--seed", type=int, default=0, metavar="N", help="run seed: start states (default: 0)")
    what.add_argument("--policy-seed", type=int, default=0, metavar="N", help="seed of the policy's noise (default: 0)")
    what.add_argument("--actions-per-query", type=int, metavar="N", help="depart from the protocol's number")
    what.add_argument("--max-steps", type=int, metavar="N", help="depart from the protocol's step caps")
    what.add_argument("--cameras", default="all", metavar="all|none", help="none: render nothing (state-only policies)")
    what.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="I/N", help="only every N-th episode, 1 <= I <= N"
    )
    what.add_argument(
        "--ablation", action="append", default=[], metavar="TEXT", help="as in camera=wrist:black; repeat"
    )
    what.add_argument("--chunking", metavar="TEXT", help="as in horizon=8,ensemble=0.01")
    what.add_argument("--unpinned", action="store_true", help="under other versions of the simulator; marks the run")
    add_model_options(parser.add_argument_group("how a checkpoint is run (compared, too)"))
    how = parser.add_argument_group("how it is run (cannot change a result)")
    how.add_argument("--slots", type=int, metavar="N", help="environments at once (default: one a core)")
    how.add_argument(
        "--out", metavar="FOLDER", help="the run's folder (default: under results/); of several suites, their parent"
    )
    how.add_argument("--video", metavar="all|failed|first:N", help="write mp4 videos")
    how.add_argument("--log-steps", action="store_true", help="write states and actions of every step as Parquet")
    how.add_argument("--python", metavar="PATH", help="the interpreter of the environments (default: this one)")
    how.add_argument("--timeout", type=float, default=300.0, metavar="S", help="limit of one environment command [s]")
    how.add_argument("--retry-errors", action="store_true", help="run episodes again that are recorded as errors")
    how.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    how.add_argument("--dry-run", action="store_true", help="check all of this, say what would run, and run nothing")


def _shard(text: str) -> tuple[int, int]:
    i, slash, n = text.partition("/")
    if not (slash and i.isdecimal() and n.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected I/N, as in 1/3, got {text!r}")
    return int(i), int(n)


def _eval(args: argparse.Namespace) -> int:
    from groot_bench.evaluation import Evaluation, find_suite
    from groot_bench.several import per_suite

    signal.signal(signal.SIGTERM, _interrupt)  # what cluster schedulers send before SIGKILL
    if len(args.suite) > 1 and args.python is not None:
        raise UsageError("--python is one interpreter, and several suites are given; each finds its own (see `list`)")
    where, runs = "the run's folder", []
    policy = args.policy or "groot"
    try:
        suites = [find_suite(name, args.python) for name in args.suite]
        parts = per_suite(_settings(args, suites[0]), suites, args.protocol)
        for settings in parts if len(parts) > 1 and not args.dry_run else ():
            Evaluation(policy, settings).close()  # nothing runs before all of it is known to be right
        for settings in parts:
            evaluation = Evaluation(policy, settings)
            where = str(evaluation.folder)
            if args.dry_run:
                print(evaluation.announce())
                evaluation.close()
                continue
            runs.append(evaluation.run(say=lambda text: print(text, file=sys.stderr)))
    except KeyboardInterrupt:
        again = shlex.join(["groot-bench", *args.words])
        print(f"\nstopped; what is recorded is kept in {where}. To go on:\n  {again}", file=sys.stderr)
        return INTERRUPTED
    _print_runs(runs, args.json)
    errors = sum(record.error is not None for run in runs for record in run.records)
    if errors:
        print(f"groot-bench: {errors} episodes are errors; --retry-errors runs them again", file=sys.stderr)
    return 1 if errors else 0


def _settings(args: argparse.Namespace, suite: Suite) -> Settings:
    """What the options of `eval` say; each that bears the name of a field is one. Of several suites, the first."""
    from groot_bench.evaluation import Settings

    fields = {field.name: getattr(args, field.name) for field in dataclasses.fields(Settings) if field.name in args}
    fields.update(suite=suite, protocol=None, tasks=args.task)
    command = ["groot-bench", *args.words]
    return Settings(**fields, model=model_options(args), progress=True, command=command)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _print_run(run: object, as_json: bool) -> None:
    from groot_bench import summary
    from groot_bench.record import Run

    assert isinstance(run, Run)
    if as_json:
        print(json.dumps(summary.to_json(run), indent=1))
    else:
        print(summary.to_markdown(run), end="")


def _print_runs(runs: Sequence[Run], as_json: bool) -> None:
    """One run as it is; several as pages one after the other, or as {"runs": [...]}."""
    from groot_bench import summary

    if as_json and len(runs) > 1:
        print(json.dumps({"runs": [summary.to_json(run) for run in runs]}, indent=1))
        return
    for number, run in enumerate(runs):
        print("\n" if number else "", end="")
        _print_run(run, as_json)


def _add_list(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("list", help="suites, their tasks and protocols, and whether they can run here")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.set_defaults(call=_list)


def _list(args: argparse.Namespace) -> int:
    from groot_bench import catalog

    suites = catalog.list_suites()
    for suite in suites if args.json else ():  # one text, as the table shows it
        fix = suite.pop("fix")
        suite["state"] += f": {fix}" if fix else ""
    print(json.dumps({"suites": suites}, indent=1) if args.json else catalog.to_markdown(suites))
    return 0


def _add_show(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("show", help="the table of a run")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.set_defaults(call=_show)


def _show(args: argparse.Namespace) -> int:
    from groot_bench.record import Run

    _print_run(Run.load(args.run), args.json)
    return 0


def _add_merge(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("merge", help="make one run of its shards")
    parser.add_argument("out", type=Path, metavar="OUT", help="the new run folder")
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="the folders of the shards")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.set_defaults(call=_merge)


def _merge(args: argparse.Namespace) -> int:
    from groot_bench.merge import merge
    from groot_bench.record import Run

    _print_run(merge(args.out, [Run.load(folder) for folder in args.runs]), args.json)
    return 0


def _add_doctor(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verbs.add_parser("doctor", help="what works here, what does not, and the command that mends it")
    parser.add_argument("suite", nargs="?", metavar="SUITE", help="with --deep: the suite to look at")
    parser.add_argument("--deep", action="store_true", help="hold the suite against its own simulator (minutes)")
    parser.add_argument("--task", metavar="NAME", help="with --deep: the task that is run")
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    parser.add_argument("--python", metavar="PATH", help="the interpreter of the environments (default: this one)")
    parser.set_defaults(call=_doctor)


def _doctor(args: argparse.Namespace) -> int:
    from groot_bench import doctor

    if args.deep != (args.suite is not None) or (args.task is not None and not args.deep):
        suite = args.suite or "libero"
        raise UsageError(f"SUITE, --deep and perhaps --task go together: groot-bench doctor {suite} --deep")
    findings = _deep(args) if args.deep else doctor.examine(args.python or sys.executable)
    if args.json:
        print(json.dumps({"findings": [finding._asdict() for finding in findings]}, indent=1))
    else:
        print(doctor.to_markdown(findings))
    return 1 if args.deep and any(finding.state in ("broken", "missing") for finding in findings) else 0


def _deep(args: argparse.Namespace) -> list[Finding]:
    from groot_bench import deep
    from groot_bench.suite import load_suite

    if args.python is not None:
        raise UsageError("--deep looks at the suite's own interpreter; name another one by GROOT_BENCH_<SUITE>_PYTHON")
    findings = []
    for finding in deep.examine(load_suite(args.suite), args.task):
        print(f"{finding.what}: {finding.state}", file=sys.stderr, flush=True)
        findings.append(finding)
    return findings

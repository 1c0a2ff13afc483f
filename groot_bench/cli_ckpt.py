"""The part of the command line that is about checkpoints: the options of `eval --ckpt`, and the verb `ckpt`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from groot_bench.models.options import ATTENTION, DEVICES, DTYPES, ModelOptions, require_installed, share_the_cores

VERBS = ("golden", "show", "tiny")
FAMILIES = ("n15", "n16", "n17")


def add_model_options(group: argparse._ArgumentGroup) -> None:
    """The options of `ModelOptions`."""
    group.add_argument("--embodiment", metavar="TAG", help="a tag of the checkpoint (default: the one that fits)")
    group.add_argument("--data-config", metavar="NAME", help="N1.5: which keys it reads; a name or a JSON file")
    group.add_argument("--tokenizer", metavar="PATH", help="folder or hub id (default: the checkpoint's, or family's)")
    group.add_argument("--revision", metavar="NAME", help="of a hub repository")
    group.add_argument("--denoising-steps", type=int, metavar="N", help="(default: the checkpoint's)")
    group.add_argument("--device", metavar="|".join(DEVICES), help="(default: a GPU where there is one)")
    group.add_argument("--dtype", metavar="|".join(DTYPES), help="(default: bfloat16 on a GPU, float32 on a CPU)")
    group.add_argument("--attn", default="sdpa", metavar="|".join(ATTENTION), help="kind of attention")
    group.add_argument("--threads", type=int, metavar="N", help="of a CPU (default: as many as torch takes)")
    group.add_argument("--batch-size", type=int, metavar="N", help="rows of a batch (default: 8 on a GPU)")
    group.add_argument("--compile", action="store_true", help="torch.compile with CUDA graphs; GPU only")
    group.add_argument("--strict", action="store_true", help="batches of 1 where rows depend on their neighbors")
    group.add_argument("--upstream-padding", action="store_true", help="attend to padding, as the originals do")


def model_options(args: argparse.Namespace) -> ModelOptions:
    """What the options say."""
    return ModelOptions(**{name: getattr(args, name) for name in ModelOptions.__dataclass_fields__})


def add_ckpt(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`groot-bench ckpt show|golden|tiny`, and `ckpt PATH` for `ckpt show PATH`."""
    parser = verbs.add_parser(
        "ckpt",
        help="what is in a checkpoint; compare with golden numbers; make a tiny one",
        description="`ckpt PATH` prints what a checkpoint is and what is wrong with it; short for `ckpt show PATH`.",
    )
    inner = parser.add_subparsers(metavar="|".join(VERBS), required=True)
    show = inner.add_parser("show", help="family, sizes, embodiments, keys, statistics, and what is wrong")
    show.add_argument("path", metavar="PATH", help="a folder or a hub id")
    show.add_argument("--revision", metavar="NAME", help="of a hub repository")
    show.add_argument("--full", action="store_true", help="read all weights, too, and look for NaN")
    show.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    show.set_defaults(call=_show)
    golden = inner.add_parser("golden", help="compare this implementation with recorded numbers of another one")
    golden.add_argument("folder", type=Path, metavar="DIR", help="with n15/, n16/ or n17/, or one of these")
    golden.add_argument("--tokenizer", metavar="PATH", help="the real tokenizer; without one its ids are not compared")
    golden.add_argument("--brief", action="store_true", help="of each file only the field nearest to its limit")
    golden.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    golden.set_defaults(call=_golden)
    tiny = inner.add_parser("tiny", help="write a small complete checkpoint with random weights")
    tiny.add_argument("out", type=Path, metavar="OUT", help="the new folder")
    tiny.add_argument("--family", required=True, choices=FAMILIES)
    tiny.add_argument("--suite", required=True, metavar="NAME", help="whose tasks it fits")
    tiny.add_argument("--task", action="append", metavar="NAME", help="a task; repeat for more (default: all)")
    tiny.add_argument("--seed", type=int, default=0, metavar="N", help="of its weights (default: 0)")
    tiny.set_defaults(call=_tiny)


def with_verb(words: Sequence[str]) -> list[str]:
    """The words of a command line, `ckpt PATH` written out as `ckpt show PATH`."""
    if len(words) > 1 and words[0] == "ckpt" and words[1] not in (*VERBS, "-h", "--help"):
        return ["ckpt", "show", *words[1:]]
    return list(words)


def _show(args: argparse.Namespace) -> int:
    require_installed()
    share_the_cores()
    from groot_bench.models import report
    from groot_bench.models.expectation import expect
    from groot_bench.models.source import resolve

    found = report.examine(resolve(args.path, revision=args.revision), expect, full=args.full)
    print(json.dumps(report.to_json(found), indent=1) + "\n" if args.json else report.to_markdown(found), end="")
    return 2 if found.problems else 0


def _golden(args: argparse.Namespace) -> int:
    require_installed()
    share_the_cores()
    from groot_bench.models import golden

    tables, over = {}, 0
    for folder in golden.golden_folders(args.folder):
        lines = list(golden.compare(folder, args.tokenizer))
        over += sum(not line.ok for line in lines)
        tables[folder.name] = [golden.to_json(line) for line in lines]
        if not args.json:
            print(golden.to_markdown(folder.name, lines, not args.brief))
    if args.json:
        print(json.dumps({"folders": tables, "over": over}, indent=1))
    elif args.tokenizer is None:
        print("Token ids of text were not compared: that needs --tokenizer.", file=sys.stderr)
    return 1 if over else 0


def _tiny(args: argparse.Namespace) -> int:
    require_installed()
    share_the_cores()
    from groot_bench.models.family import Family
    from groot_bench.models.tiny import write_tiny
    from groot_bench.suite import load_suite

    folder = write_tiny(Family(args.family), load_suite(args.suite), args.out, seed=args.seed, tasks=args.task)
    print(folder)
    return 0

"""Fills a folder with LIBERO-PRO's tasks from the Hugging Face hub: python fetch_tasks.py TARGET

What upstream's README has users do by hand (2025-11-05), for the parts of its table. Run by `groot-bench setup
libero_pro` in the suite's own interpreter.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

DATA = "zhouxueyang/LIBERO-Pro"
REVISION = "c86fc3b8293185a6f373677018ff3e37f8391602"
PARTS = [
    f"libero_{suite}_{kind}"
    for suite in ("goal", "spatial", "10", "object")
    for kind in ("object", "swap", "lan", "task")
]
TASKS = 10  # of each part


def main(target: Path) -> None:
    from huggingface_hub import snapshot_download

    wanted = [f"bddl_files/{part}/*.bddl" for part in PARTS] + [f"init_files/{part}/*.pruned_init" for part in PARTS]
    try:
        snapshot_download(DATA, repo_type="dataset", revision=REVISION, allow_patterns=wanted, local_dir=target)
    except OSError as problem:  # the hub's own errors are of this kind, too
        raise SystemExit(f"{DATA} at {REVISION} cannot be fetched: {problem}") from None
    shutil.rmtree(target / ".cache", ignore_errors=True)  # the hub's notes of what it brought
    short = [pattern for pattern in wanted if len(list(target.glob(pattern))) != TASKS]
    if short:
        raise SystemExit(f"{DATA} at {REVISION} has not {TASKS} files of each of {', '.join(short)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())

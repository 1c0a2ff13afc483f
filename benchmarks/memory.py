"""The parent's memory over 100,000 queued toy episodes, and how long the command line takes to answer.

python benchmarks/memory.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from measure import machine

from groot_bench.evaluation import Evaluation, Settings
from groot_bench.listener import Listener
from groot_bench.rollout import Job, Rollout  # noqa: F401  (imported before the first reading)


class MemoryWatch(Listener):
    """Resident memory of this process at every tenth of the run [MiB]."""

    def __init__(self, total: int) -> None:
        self.seen: list[float] = []
        self._every, self._count = max(1, total // 10), 0

    def record(self, record: object) -> None:  # type: ignore[override]
        self._count += 1
        if self._count % self._every == 0 or self._count == 100:
            self.seen.append(psutil.Process().memory_info().rss / 2**20)


def watch(episodes: int, slots: int) -> tuple[list[float], float]:
    """Memory over a run of that many episodes, and its wall time [s]."""
    watcher = MemoryWatch(episodes)

    class Watched(Evaluation):
        def _listeners(self) -> tuple[list[Listener], list[Listener]]:
            return [watcher], []

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        settings = Settings("toy", tasks=["Reach"], episodes=episodes, slots=slots, out=Path(folder) / "run")
        Watched("expert", settings).run()
        return watcher.seen, time.perf_counter() - started


def help_seconds() -> float:
    """The least of five: what the program needs, not what the machine was doing."""
    spent = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "groot_bench", "--help"], check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - started)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--slots", type=int, default=2)
    args = parser.parse_args()
    seen, wall = watch(args.episodes, args.slots)
    print(f"## Memory of the parent over {args.episodes:,} toy episodes, {args.slots} slots\n\n{machine()}\n")
    print("| after | MiB |\n|---|---|")
    for i, value in enumerate(seen):
        print(f"| {'100 episodes' if i == 0 else f'{10 * i} %'} | {value:.1f} |")
    print(
        f"\n{wall:.0f} s in all, {args.episodes / wall:.0f} episodes/s\n\n`groot-bench --help`: {help_seconds():.2f} s"
    )


if __name__ == "__main__":
    main()

"""What the tests of the main laws share."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from groot_bench import Run

# (slots, shards) in which the same episodes must give the same results
LAYOUTS = [(2, 1), (3, 1), (8, 1), (2, 2), (1, 3)]


def results(run: Run) -> list[tuple[object, ...]]:
    """What must not depend on how the run was carried out, in the order of the list."""
    return [record.result() for record in run.records]


def recorded(folder: Path) -> int:
    """Whole lines in a run's record file."""
    path = folder / "episodes.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(line) for line in listed.split()]


def kill_after(command: Sequence[str], folder: Path, episodes: int, delay: float, cwd: Path) -> list[int]:
    """Starts a run, kills it with SIGKILL `delay` seconds after `episodes` are recorded.

    Returns:
        its workers' pids; none where the run was over before it could be killed, as on a busy machine.
    """
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while recorded(folder) < episodes:
        assert process.poll() in (None, 0), "the run failed by itself"
        assert time.monotonic() < deadline, f"only {recorded(folder)} episodes in 240 s"
        time.sleep(0.002)
    time.sleep(delay)
    if process.poll() is not None:
        assert process.returncode == 0, "the run failed by itself"
        return []
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return workers


def wait_gone(pids: Sequence[int], seconds: float = 20.0) -> None:
    """Waits until none of these processes runs; fails when one outlives that."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, f"processes {left} outlived their parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"

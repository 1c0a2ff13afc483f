"""How long a checkpoint takes to load, and how much memory, beside plain reading of its files.

    python benchmarks/load_speed.py            # N1.7 with every width halved, 1.7 GB
    python benchmarks/load_speed.py --full     # N1.7 as released, 6.3 GB; in float32 it needs 13 GB of memory

Random weights in bfloat16 are written to a folder in shards, as on the hub; what a model does not need (the language
model's output layer) is left out, so that all cases read the same bytes. Each case runs in a process of its own with
the files in the page cache: a slow disk would hide what loading costs. `--cold` drops them from there before each case.

Plain reading goes into one buffer of 16 MiB again and again; "into new memory" keeps what it reads, as every loader
must. Loading includes building the model. Peak memory is the growth of the process's high-water mark (VmHWM) from just
before loading, over the bytes of the loaded weights. CPU time is that of all threads, user and system.

Where memory is handed out by a hypervisor, to touch it for the first time may cost more than all else. `--touched` has
each process touch as much as it will need and free it before the clock starts; then its peak memory is not known.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measure import REPEATS, machine, medians
from model_sizes import MEANING, SIZES, model_config
from safetensors.torch import load_file

from groot_bench.models.family import Family
from groot_bench.models.model import Gr00t
from groot_bench.models.shards import INDEX, open_weights
from groot_bench.models.weights import load_weights

FAMILY = Family.N17
SHARD = 4 << 30  # bytes, as most files on the hub
BUFFER = 16 << 20  # bytes read at a time
POOL = 64 << 20  # bytes of random numbers, which repeat
GOAL_TIME, GOAL_MEMORY = 1.5, 1.2


class Load(NamedTuple):
    """One load: wall and CPU time [s], growth of the peak memory and bytes of the weights in memory."""

    seconds: float
    cpu: float
    peak: int
    weights: int


class Settings(NamedTuple):
    """What the command line asks for."""

    size: str
    repeats: int
    cold: bool = False
    touched: bool = False
    same_process: bool = False


def write(folder: Path, size: str) -> int:
    """Writes the weights of a model with that size; returns their bytes."""
    with torch.device("meta"):
        tensors = Gr00t(model_config(FAMILY, size)).tensors()
    random = torch.randn(POOL // 2, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    pool = memoryview(random.view(torch.uint8).numpy())
    shards = list(_shards({name: tensor.numel() * 2 for name, tensor in tensors.items()}))
    places: dict[str, str] = {}
    for index, names in enumerate(shards):
        file = f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(names, file)
        _write_shard(folder / file, {name: tuple(tensors[name].shape) for name in names}, pool)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return sum(tensor.numel() * 2 for tensor in tensors.values())


def _shards(sizes: dict[str, int]) -> Iterator[list[str]]:
    names: list[str] = []
    total = 0
    for name, size in sizes.items():
        if names and total + size > SHARD:
            yield names
            names, total = [], 0
        names.append(name)
        total += size
    yield names


def _write_shard(path: Path, shapes: dict[str, tuple[int, ...]], pool: memoryview) -> None:
    """Tensors with numbers from a pool, again and again; drawing billions would take minutes."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for begin in range(0, end, len(pool)):
            file.write(pool[: end - begin])


def plain(folder: Path) -> int:
    """Reads the files from front to back into one buffer."""
    buffer = memoryview(bytearray(BUFFER))
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                total += count
    return total


def keep(folder: Path) -> int:
    """Reads the files from front to back into memory of their size, which NumPy asks for in large pages."""
    held = []
    for path in sorted(folder.glob("*.safetensors")):
        held.append(np.empty(path.stat().st_size, np.uint8))
        view = memoryview(held[-1])
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(view[:BUFFER]):
                view = view[count:]
    return sum(array.nbytes for array in held)


def ours(folder: Path, dtype: torch.dtype | None, size: str) -> int:
    with torch.device("meta"):
        model = Gr00t(model_config(FAMILY, size))
    load_weights(model, open_weights(folder), dtype=dtype, unused=model.is_unused)
    return sum(tensor.nbytes for tensor in model.tensors().values())


def theirs(folder: Path, dtype: torch.dtype | None) -> int:
    """All tensors by the safetensors library, which maps them, then copied or converted one by one into memory."""
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    for name in tensors:
        tensors[name] = tensors[name].to(dtype, copy=True)
    return sum(tensor.nbytes for tensor in tensors.values())


PLAIN = "plain reading"
CASES = {
    PLAIN: lambda folder, size: plain(folder),
    "plain reading into new memory": lambda folder, size: keep(folder),
    "load_weights, as stored": lambda folder, size: ours(folder, None, size),
    "load_weights, to float32": lambda folder, size: ours(folder, torch.float32, size),
    "safetensors load_file and copy": lambda folder, size: theirs(folder, None),
    "safetensors load_file, to float32": lambda folder, size: theirs(folder, torch.float32),
}


def run_here(case: str, folder: Path, settings: Settings) -> Load:
    """The case in this process. The model is built beforehand once, so that imports are not timed."""
    with torch.device("meta"):
        Gr00t(model_config(FAMILY, settings.size))
    if settings.touched:
        _touch(sum(path.stat().st_size for path in folder.glob("*.safetensors")) * (2 if "float32" in case else 1))
    before = _high_water()
    started, spent = time.perf_counter(), time.process_time()
    weights = CASES[case](folder, settings.size)
    return Load(time.perf_counter() - started, time.process_time() - spent, _high_water() - before, weights)


def _touch(nbytes: int) -> None:
    np.empty(nbytes, np.uint8)[::4096] = 0


def forget(folder: Path) -> None:
    """Drops the files from the page cache."""
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _high_water() -> int:
    """Most resident memory that this process has had [bytes]."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def run_fresh(case: str, folder: Path, settings: Settings) -> Load:
    """The case in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--case", case, "--size", settings.size]
    command += ["--touched"] if settings.touched else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Load(*json.loads(done.stdout))


def measure(folder: Path, settings: Settings) -> list[dict[str, object]]:
    seen: dict[str, list[Load]] = {case: [] for case in CASES}
    load = run_here if settings.same_process else run_fresh

    def run(case: str) -> float:
        if settings.cold:
            forget(folder)
        seen[case].append(load(case, folder, settings))
        return seen[case][-1].seconds

    plain(folder)  # fills the page cache
    times = medians({case: lambda case=case: run(case) for case in CASES}, settings.repeats)  # type: ignore[misc]
    base = times[PLAIN][0]
    rows: list[dict[str, object]] = []
    for case, (median, least, most) in times.items():
        loads = seen[case]
        peak = max(one.peak for one in loads) / loads[0].weights
        cpu = statistics.median(one.cpu for one in loads)
        row = {"case": case, "s": median, "least": least, "most": most, "cpu": cpu, "ratio": median / base}
        rows.append({**row, "memory": None if case == PLAIN or settings.touched else peak})
    return rows


def show(rows: list[dict[str, object]], nbytes: int, settings: Settings) -> None:
    print(f"## Loading {nbytes / 1e9:.2f} GB of {FAMILY.title} in bfloat16: {MEANING[settings.size]}\n")
    where = "files on the disk" if settings.cold else "files in the page cache"
    where += ", memory touched before" if settings.touched else ""
    print(f"{machine()}, torch {torch.__version__}; medians of {settings.repeats}, {where}", end=" ")
    print(f"(goals: {GOAL_TIME:g} x reading, {GOAL_MEMORY:g} x the weights' memory)\n")
    print("| case | s | least to most | of plain reading | GB/s | CPU time [s] | peak memory of the weights |")
    print("|---" * 7 + "|")
    for row in rows:
        median = float(str(row["s"]))
        memory = "" if row["memory"] is None else f"{row['memory']:.2f} x"
        span = f"{row['least']:.2f} to {row['most']:.2f}"
        speed = f"{row['ratio']:.2f} x | {nbytes / 1e9 / median:.2f} | {row['cpu']:.2f}"
        print(f"| {row['case']} | {median:.2f} | {span} | {speed} | {memory} |")


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="half")
    parser.add_argument(
        "--full", action="store_const", dest="size", const="released", help="the same as --size released"
    )
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--cold", action="store_true", help="read from the disk and not from the page cache")
    parser.add_argument("--touched", action="store_true", help="use memory that was in use before")
    parser.add_argument("--same-process", action="store_true", help="only to see whether it runs: memory is wrong then")
    parser.add_argument("--where", type=Path, help="folder to make the temporary one in")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args(words)
    settings = Settings(args.size, args.repeats, args.cold, args.touched, args.same_process)
    if args.case:
        print(json.dumps(run_here(args.case, args.folder, settings)))
        return
    with tempfile.TemporaryDirectory(dir=args.where) as folder:
        nbytes = write(Path(folder), args.size)
        rows = measure(Path(folder), settings)
    show(rows, nbytes, settings)
    if args.json:
        found = {**settings._asdict(), "bytes": nbytes, "machine": machine(), "rows": rows}
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

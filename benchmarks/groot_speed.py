"""Queries of whole models on a GPU in bfloat16: one camera of 256 x 256 px, one row and 32 rows, eager and compiled.

    python benchmarks/groot_speed.py                                # N1.5, N1.6 and N1.7 as released, on a GPU
    python benchmarks/groot_speed.py --size tiny --device cpu       # to see whether it runs

Weights are random and made where they are used; no file is read. "query" is the whole path of the policy's engine, from
rows on the CPU to actions on the CPU: put together, transferred, backbone, head, transferred back, with padding to a
multiple of 64 tokens. Its parts are also measured by themselves, each waited for. "compiled" is torch.compile, on a GPU
with CUDA graphs. Processing of pictures and text before it is not included, neither here nor in the published figures.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measure import machine
from model_sizes import MEANING, SIDES, SIZES, WORDS, fill, make_row, model_config

from groot_bench.models.collate import Batch, Row, collate, to_device
from groot_bench.models.engine import Engine, bucket
from groot_bench.models.family import Family
from groot_bench.models.inputs import Features
from groot_bench.models.model import Gr00t

MODES = ("eager", "compiled")
BATCHES = (1, 32)
REPEATS, WARM_UP = 20, 5
PAD = 1  # token id; any will do, since weights are random
GOAL_RATIO = 15.0
# Milliseconds a query on an H100, one camera, 4 steps, as NVIDIA's deployment guides give them; not measured here.
PUBLISHED: Mapping[Family, Mapping[str, float]] = {
    Family.N16: {"eager": 77.0, "compiled head": 38.0, "TensorRT": 36.0},
    Family.N17: {"eager": 85.8, "compiled head": 48.6, "TensorRT": 27.9},
}


class Timing(NamedTuple):
    """Medians [ms] of a batch; `equal` is whether rows have the same bits in any place and company."""

    family: Family
    mode: str
    batch: int
    query: float
    least: float
    most: float
    prepare: float
    backbone: float
    head: float
    equal: bool


class Bench:
    """One model on one device."""

    def __init__(self, family: Family, size: str, device: torch.device, dtype: torch.dtype, repeats: int) -> None:
        self.config, self.device, self.dtype, self.repeats = model_config(family, size), device, dtype, repeats
        with torch.device("meta"):
            model = Gr00t(self.config).to(dtype)
        self.model = model.to_empty(device=device)
        fill(self.model)
        self._words = WORDS[family]
        self._side = SIDES[family] if size != "tiny" else 4 * self.config.backbone.vision.patch

    def measure(self, mode: str, size: int) -> Timing:
        torch.compiler.reset()
        random = np.random.default_rng(size)
        rows = [make_row(self.config, random, self._words, side=self._side) for _ in range(size)]
        engine = Engine(
            self.model,
            pad=PAD,
            device=self.device,
            dtype=self.dtype,
            batch_size=size,
            layout="bucketed",
            compiled=mode == "compiled",
        )
        seen = self._times(lambda: engine.run(rows))
        equal = engine.check(rows[:2]).equal
        prepare, backbone, head = self._parts(engine, rows, mode)
        whole = statistics.median(seen)
        return Timing(self.config.family, mode, size, whole, min(seen), max(seen), prepare, backbone, head, equal)

    def _parts(self, engine: Engine, rows: list[Row], mode: str) -> tuple[float, float, float]:
        """Medians [ms] of putting together and transferring, of the backbone, and of the head."""
        length = bucket(len(rows[0].ids))

        def put() -> Batch:
            return to_device(collate(self.config, rows, length, PAD, fixed=True), self.device, self.dtype)

        def see(batch: Batch) -> torch.Tensor:
            return engine.model.backbone(batch.inputs).hidden

        def act(batch: Batch, hidden: torch.Tensor) -> torch.Tensor:
            features = Features(hidden, batch.mask, batch.image_mask)
            return engine.sampler(features, batch.state, batch.slots, batch.noise, sets=batch.sets)

        if mode == "compiled":
            how = "reduce-overhead" if self.device.type == "cuda" else "default"
            see, act = (torch.compile(part, dynamic=False, mode=how) for part in (see, act))
        with torch.inference_mode():
            batch = put()
            hidden = see(batch).clone()
            cases: list[Callable[[], object]] = [put, lambda: see(batch), lambda: act(batch, hidden)]
            prepare, backbone, head = (statistics.median(self._times(case)) for case in cases)
        return prepare, backbone, head

    def _times(self, call: Callable[[], object]) -> list[float]:
        """Milliseconds of each call after warming up; the device has finished before the clock is read."""
        found = []
        for index in range(WARM_UP + self.repeats):
            self._wait()
            started = time.perf_counter()
            call()
            self._wait()
            if index >= WARM_UP:
                found.append((time.perf_counter() - started) * 1e3)
        return found

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def place(device: torch.device) -> str:
    """The machine, and the GPU where one is used."""
    if device.type != "cuda":
        return machine()
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}; {machine()}"


def show(timings: list[Timing], size: str, device: torch.device, dtype: torch.dtype, repeats: int) -> None:
    kind = str(dtype).removeprefix("torch.")
    print(f"## Queries of whole models, one camera, {kind}: {MEANING[size]}\n")
    print(f"{place(device)}, torch {torch.__version__}; medians of {repeats}")
    if device.type != "cuda":
        print("\n**Not measured on a GPU**: these numbers are of a CPU and say nothing about one.")
    print(
        "\n| family | mode | rows | query [ms] | least to most | ms a row | collate, transfer | backbone | head ",
        end="",
    )
    print("| published, H100 [ms] | rows independent |\n" + "|---" * 11 + "|")
    for found in timings:
        reference = PUBLISHED.get(found.family, {}) if found.batch == 1 and size == "released" else {}
        published = ", ".join(f"{what} {value:g}" for what, value in reference.items())
        print(
            f"| {found.family.value} | {found.mode} | {found.batch} | {found.query:.1f} | {found.least:.1f} to "
            f"{found.most:.1f} | {found.query / found.batch:.2f} | {found.prepare:.1f} | {found.backbone:.1f} "
            f"| {found.head:.1f} | {published} | {'yes' if found.equal else 'no'} |"
        )
    print()
    for family in dict.fromkeys(found.family for found in timings):
        for mode in MODES:
            rate = {one.batch: one.batch / one.query for one in timings if (one.family, one.mode) == (family, mode)}
            if len(rate) > 1:
                few, many = min(rate), max(rate)
                ratio = rate[many] / rate[few]
                print(
                    f"{family.value}, {mode}: {many} rows at a time give {ratio:.1f} x the queries a second of {few} "
                    f"(goal at 32: {GOAL_RATIO:g} x)"
                )


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="released")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="bfloat16 on a GPU, else float32")
    parser.add_argument("--family", choices=[family.value for family in Family], action="append")
    parser.add_argument("--mode", choices=MODES, action="append")
    parser.add_argument("--batch", type=int, action="append", help="rows at a time; 1 and 32 if not given")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args(words)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("## Queries of whole models on a GPU\n\nNot measured: torch finds no CUDA device here.")
        return
    dtype = getattr(torch, args.dtype or ("bfloat16" if device.type == "cuda" else "float32"))
    timings: list[Timing] = []
    for name in args.family or [family.value for family in Family]:
        bench = Bench(Family(name), args.size, device, dtype, args.repeats)
        timings += [bench.measure(mode, size) for mode in args.mode or MODES for size in args.batch or BATCHES]
        del bench
        gc.collect()
    show(timings, args.size, device, dtype, args.repeats)
    if args.json:
        rows = [{**one._asdict(), "family": one.family.value} for one in timings]
        settings = {"size": args.size, "device": place(device), "dtype": str(dtype), "torch": torch.__version__}
        args.json.write_text(json.dumps({**settings, "repeats": args.repeats, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""LIBERO with two 256x256 cameras and 8 actions per query, beside LIBERO itself as its own documentation uses it.

    groot-bench setup libero          # or make suites, and GROOT_BENCH_CACHE=.venv/suites
    python benchmarks/libero_speed.py

"bare" is OffScreenRenderEnv under the same interpreter, in as many processes as there are slots: a hard reset, the
initial state and ten settle steps, then control steps, each of which renders both cameras. Steps/s count control steps
after the settle steps, over the whole time, resets included. "reset to reset" is one task, reset again and again to
fixed initial states without settle steps; both sides are given the same seeds, and their scene hashes are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from measure import machine, medians, race, timed

from groot_bench import evaluate, load_suite

CHUNK = 8
EPISODES, STEPS, RESETS = 3, 80, 12
ENVS = str(Path(__file__).resolve().parents[1] / "envs")

# What both programs, which run under LIBERO's interpreter, begin with.
COMMON = """
import json, random, sys, time
import numpy as np
sys.path.insert(0, sys.argv[1])
from groot_envs.libero import simulator
from groot_envs.libero.env import make_env
from groot_envs.libero.starts import read_states
from groot_envs.physics import scene
from groot_envs.worker import digest
from libero.libero.envs.env_wrapper import OffScreenRenderEnv
task = sys.argv[2]
bddl, starts = simulator.folders("libero")
states = read_states(f"{starts}/{task}.pruned_init")
def seed(number):
    random.seed(number)
    np.random.seed([number >> 32, number & 0xFFFFFFFF])
def bare():
    return OffScreenRenderEnv(bddl_file_name=f"{bddl}/{task}.bddl", camera_heights=256, camera_widths=256)
def megabytes():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("Pss:"))
"""

STEPPING = (
    COMMON
    + """
episodes, steps, first = map(int, sys.argv[3:])
env = bare()
env.reset()
env.step([0.0] * 6 + [-1.0])  # numba compiles here, once
print("ready", flush=True)
sys.stdin.readline()
for index in range(first, first + episodes):
    seed(index)
    env.reset()
    env.set_init_state(states[index])
    for _ in range(10):
        env.step([0.0] * 6 + [-1.0])
    actions = np.random.default_rng(index).uniform(-1, 1, (steps, 7))
    for action in actions:
        env.step(action)
print(time.perf_counter(), megabytes(), flush=True)
"""
)

RESETTING = (
    COMMON
    + """
side, resets = sys.argv[3], int(sys.argv[4])
if side == "ours":
    image = {"width": 256, "height": 256, "shadows": True, "samples": 4}
    cameras = ["video.image", "video.wrist_image"]
    env = make_env(task, {"image": image, "cameras": cameras, "settle_steps": 0, "start_states": "fixed"})
    def reset(number):
        env.reset(number, number)
        env.observe(cameras)
        return digest(env.scene())
    reset(0)
    made = lambda: None
else:
    # A new environment for each reset is the only way in which the same seed gives the same scene: see docs/libero.md.
    def made():
        global env
        env = bare()
    def reset(number):
        seed(number)
        env.reset()
        env.set_init_state(states[number])
        return digest(scene(env.env.sim.model, env.env.sim.data))
    made()
    reset(0)
hashes, spent = [], 0.0
for number in range(1, resets + 1):
    if number <= 3:
        made()  # not timed
    started = time.perf_counter()
    hashes.append(reset(number))
    spent += time.perf_counter() - started
print(json.dumps({"seconds": spent / resets, "hashes": hashes[:3], "memory": megabytes()}))
"""
)


def command(program: str, *words: object) -> tuple[list[str], dict[str, str]]:
    suite = load_suite("libero")
    assert suite.python is not None
    return [suite.python, "-c", program, ENVS, *map(str, words)], {**suite.variables, **os.environ}


def bare(task: str, processes: int) -> float:
    """Control steps per second of that many bare loops."""
    found = [command(STEPPING, task, EPISODES, STEPS, i * EPISODES) for i in range(processes)]
    seconds = race([words for words, _ in found], found[0][1])
    return processes * EPISODES * STEPS / seconds


def ours(task: str, slots: int) -> float:
    """Control steps per second of the harness: two lengths of run, so that starting the processes is taken out."""
    walls = []
    for episodes in (slots, slots * (EPISODES + 1)):
        settings = {"tasks": [task], "episodes": episodes, "slots": slots, "max_steps": STEPS}
        walls.append(timed(lambda out: evaluate("random", suite="libero", out=out, **settings)))  # noqa: B023
    return slots * EPISODES * STEPS / (walls[1] - walls[0])


def resets(task: str, side: str) -> dict[str, object]:
    words, variables = command(RESETTING, task, side, RESETS)
    done = subprocess.run(words, env=variables, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", default="libero_goal/turn_on_the_stove")
    args = parser.parse_args()
    suite = load_suite("libero")
    if suite.missing:
        print(f"LIBERO is left out: it is {suite.missing}; run: {suite.install}", file=sys.stderr)
        return
    cases = {}
    for n in (1, 2):
        cases[f"{n}: groot-bench"] = lambda n=n: ours(args.task, n)
        cases[f"{n}: bare, render every step"] = lambda n=n: bare(args.task, n)
    rows = medians(cases, args.repeats)
    print(f"## LIBERO {args.task}, two 256x256 cameras, {CHUNK} actions per query\n")
    print(f"{machine()}; medians of {args.repeats}\n")
    print("| processes | what | steps/s | least to most | of bare |\n|---|---|---|---|---|")
    for name, (median, least, most) in rows.items():
        n, _, what = name.partition(": ")
        reference = rows[f"{n}: bare, render every step"][0]
        print(f"| {n} | {what} | {median:.1f} | {least:.1f} to {most:.1f} | {median / reference:.2f}x |")
    both = {side: [resets(args.task, side) for _ in range(args.repeats)] for side in ("ours", "bare")}
    print("\n| reset to reset | seconds (least) | memory [MiB, PSS] |\n|---|---|---|")
    for side, found in both.items():
        least = min(float(str(one["seconds"])) for one in found)
        print(f"| {side} | {least:.3f} | {max(float(str(one['memory'])) for one in found):.0f} |")
    equal = all(one["hashes"] == both["ours"][0]["hashes"] for found in both.values() for one in found)
    print(f"\nScene hashes, each bare one in a new environment: {'equal' if equal else 'DIFFERENT'}.")
    assert equal


if __name__ == "__main__":
    main()

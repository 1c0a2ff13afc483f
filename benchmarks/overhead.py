"""What the harness costs for each environment step, on an environment that costs nothing, with two 256x256 frames.

    python benchmarks/overhead.py

Wall time of 8 environments, divided by all their steps; starting processes is taken out by running two lengths and
dividing the difference. gymnasium's AsyncVectorEnv is stepped by hand, with nothing around it; vla-eval runs one
environment against its own server and is read from its record of each episode, as in its own overhead figures.
"""

from __future__ import annotations

import argparse
import time

import gymnasium
import numpy as np
from measure import REPEATS, machine, medians, peer, run_peer, timed
from trivial import EchoPolicy, trivial_suite

from groot_bench import evaluate

SLOTS = 8
SHORT, LONG = 500, 2500  # steps of an episode
GOAL_MS = 0.1


class Trivial(gymnasium.Env):  # type: ignore[misc]
    """The same environment for gymnasium: two fixed frames and an 8-d state."""

    def __init__(self) -> None:
        frame = gymnasium.spaces.Box(0, 255, (256, 256, 3), np.uint8)
        state = gymnasium.spaces.Box(-1, 1, (8,), np.float32)
        self.observation_space = gymnasium.spaces.Dict({"cam0": frame, "cam1": frame, "pose": state})
        self.action_space = gymnasium.spaces.Box(-1, 1, (7,), np.float32)
        picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
        self._seen = {"cam0": picture, "cam1": picture, "pose": np.zeros(8, np.float32)}

    def reset(self, seed=None, options=None):  # type: ignore[no-untyped-def]
        return self._seen, {}

    def step(self, action):  # type: ignore[no-untyped-def]
        return self._seen, 0.0, False, False, {}


def ours(chunk: int) -> float:
    """Milliseconds for each environment step."""
    walls = []
    for steps in (SHORT * chunk, LONG * chunk):
        suite = trivial_suite(tasks=1, steps=steps, chunk=chunk, images=2)
        policy = EchoPolicy(chunk)
        walls.append(timed(lambda out: evaluate(policy, suite=suite, episodes=SLOTS, slots=SLOTS, out=out)))  # noqa: B023
    return (walls[1] - walls[0]) / ((LONG - SHORT) * chunk * SLOTS) * 1e3


def async_vector(shared_memory: bool) -> float:
    """Milliseconds for each environment step of gymnasium's AsyncVectorEnv."""
    envs = gymnasium.vector.AsyncVectorEnv([Trivial] * SLOTS, shared_memory=shared_memory, context="spawn")
    envs.reset()
    actions = np.zeros((SLOTS, 7), np.float32)
    for _ in range(20):
        envs.step(actions)
    started = time.perf_counter()
    for _ in range(LONG - SHORT):
        envs.step(actions)
    spent = time.perf_counter() - started
    envs.close()
    return spent / ((LONG - SHORT) * SLOTS) * 1e3


def vla_eval(chunk: int) -> float:
    """Milliseconds for each environment step of vla-eval 0.8.0, within the episode, from its own record."""
    words = ["img2", "" if chunk == 1 else f"--args.chunk={chunk}", "--param", "n_img=2", "--param", "steps=150"]
    line = run_peer("e2e.sh", *words, "--benchmark-field", "episodes_per_task=2")
    return float(line.partition("ms/step(in-episode)=")[2].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args().repeats
    cases = {
        "groot-bench, 1 action per query": lambda: ours(1),
        "groot-bench, 8 actions per query": lambda: ours(8),
        "gymnasium AsyncVectorEnv, shared memory": lambda: async_vector(True),
        "gymnasium AsyncVectorEnv, pickled": lambda: async_vector(False),
    }
    if peer():
        cases["vla-eval 0.8.0, 1 action per query"] = lambda: vla_eval(1)
        cases["vla-eval 0.8.0, 8 actions per query"] = lambda: vla_eval(8)
    rows = medians(cases, repeats)
    base = rows["groot-bench, 1 action per query"][0]
    print(
        f"## Overhead for each environment step, two 256x256 frames\n\n{machine()};"
        f" medians of {repeats} (goal: {GOAL_MS} ms)\n"
    )
    print("| harness | ms/step | least to most | ratio |\n|---|---|---|---|")
    for name, (median, least, most) in rows.items():
        print(f"| {name} | {median:.3f} | {least:.3f} to {most:.3f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()

"""The environment that costs nothing, for measuring what a harness costs. Environment side.

The same workload as the trivial benchmark that vla-eval is measured with: fixed frames, an episode length that is fixed
or drawn from (0, task, index), and a stated duration of a control step.
"""

import time
from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    success: bool
    ended: bool


class TrivialEnv:
    """Settings: steps, var (whether the length is drawn from [steps/4, steps]), step_ms, frame [px]."""

    def __init__(self, task, settings):
        self._task_id = int(task[1:])
        self._settings = settings
        side = int(settings["frame"])
        self._frame = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        self._state = np.zeros((1, 8), np.float32)

    def reset(self, seed, index):
        steps = int(self._settings["steps"])
        rng = np.random.default_rng([0, self._task_id, index])
        self._length = int(rng.integers(steps // 4, steps + 1)) if self._settings["var"] else steps
        self._count = 0
        return "do nothing"

    def scene(self):
        return {"length": np.array([self._length])}

    def observe(self, names):
        return {name: self._frame if name.startswith("video.") else self._state for name in names}

    def step(self, action):
        if self._settings["step_ms"]:
            time.sleep(self._settings["step_ms"] / 1e3)
        self._count += 1
        return Step(False, self._count >= self._length)

    def close(self):
        pass


def make_env(task, settings):
    return TrivialEnv(task, settings)

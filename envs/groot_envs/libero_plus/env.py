"""The environment side of suite `libero_plus`; needs LIBERO-plus, which calls itself `libero`.

All of a variant is upstream's own: its problem classes move the camera and name other scenes, its robot classes have
other first poses, its functions blur pictures. What is LIBERO's (the reset, the clock, the state) is that of `libero`.
"""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Sequence

import numpy as np

from groot_envs.libero import simulator
from groot_envs.libero.env import Definition, LiberoEnv
from groot_envs.libero.tasks import IMAGE
from groot_envs.libero_plus.sensors import noisy
from groot_envs.libero_plus.tasks import Variant, parse


class PlusEnv(LiberoEnv):
    """One variant; meets `groot_bench.suite.Env`."""

    def __init__(self, task: Definition, noise: int, settings: Mapping[str, Any]) -> None:
        super().__init__(task, settings)
        self._noise = noise
        self._seed = 0

    def reset(self, seed: int, index: int) -> str:
        """See `LiberoEnv.reset`. The seed decides the noise, too."""
        self._seed = seed
        return super().reset(seed, index)

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """See `LiberoEnv.observe`; the fixed camera's picture has the variant's noise from the first step on."""
        found: Dict[str, np.ndarray] = dict(super().observe(names))
        if self._noise and self._steps and IMAGE in found:
            key = (self._seed >> 32, self._seed & 0xFFFFFFFF, self._steps)
            found[IMAGE] = noisy(found[IMAGE][0], self._noise, key)[None]
        return found


def make_env(task: str, settings: Mapping[str, Any]) -> PlusEnv:
    """The environment of that variant.

    Args:
        task: see `tasks.parse`.
        settings: as for `groot_envs.libero.env.make_env`, and "protocol", which decides on the instruction.

    Raises:
        ValueError: there is no such variant. RuntimeError: its files or the assets are missing.
    """
    variant = parse(task)
    bddl, starts = (
        os.path.join(folder, file)
        for folder, file in zip(simulator.folders("libero_plus"), (variant.bddl, variant.starts))
    )
    for path in (bddl, starts):
        if not os.path.isfile(path):
            raise RuntimeError("LIBERO-plus has no %s; run: groot-bench setup libero_plus" % path)
    words = variant.words(str(settings["protocol"]))
    if variant.reworded:
        words = simulator.get_problem_info(bddl)["language_instruction"]
    robot = "Panda%d" % variant.robot if variant.robot else "Panda"
    return PlusEnv(Definition(bddl, starts, words, robot, _options(variant)), variant.noise, settings)


def _options(variant: Variant) -> Dict[str, Any]:
    """What upstream's `ControlEnv` hands to its problem classes."""
    camera = variant.camera
    return {
        "horizon_view": camera.around,
        "vertical_view": camera.above,
        "scale_factor": camera.distance / 100,
        "end_point_rot": camera.turned,
        "end_point_vertical": camera.tilted,
        "init_state": variant.robot,
    }

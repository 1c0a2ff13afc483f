"""The environment side of suite `libero`; runs in a process of its own, without groot_bench.

The law that this file keeps: an episode's scene, frames and trajectory are functions of its seed, its index and its
actions, to the last bit, whatever this process did before; and they are what LIBERO's own hard reset gives, for the
same state of the global RNGs.
"""

from __future__ import annotations

import gc
import os
import random
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from groot_envs.conventions import libero_gripper
from groot_envs.libero import sensors, simulator
from groot_envs.libero.starts import read_states
from groot_envs.libero.tasks import CAMERAS, HORIZON, POSE, instruction
from groot_envs.physics import require_finite, scene

# What LIBERO writes into the model while it runs: the poses of fixtures, and the visibility of sites (grip, burner).
# Found by comparing whole models after long histories; the rest stays as it was compiled.
MUTABLE_FIELDS = ("body_pos", "body_quat", "site_rgba")

# What the published clients send while objects settle: the hand stays, the gripper opens.
HOLD = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])


class Step(NamedTuple):
    """What one control step did: whether the goal holds now, and whether the environment itself is over."""

    success: bool
    ended: bool


class Definition(NamedTuple):
    """One task, as LIBERO and the packages that descend from it define it.

    Attributes:
        bddl: the file with its objects, regions and goal.
        starts: the file of its fixed initial states.
        instruction: what the policy is told.
        robot: robosuite's name of the arm, to which LIBERO adds on what it is mounted.
        options: what the problem's class is told beside what LIBERO tells it.
    """

    bddl: str
    starts: str
    instruction: str
    robot: str = "Panda"
    options: Optional[Mapping[str, Any]] = None


class LiberoEnv:
    """One LIBERO task; meets `groot_bench.suite.Env`. The settings are those of `make_env`."""

    def __init__(self, task: Definition, settings: Mapping[str, Any]) -> None:
        self._picture = dict(settings["image"])
        self._cameras = {key: CAMERAS[key] for key in settings["cameras"]}
        self._settle_steps = int(settings["settle_steps"])
        self._starts = read_states(task.starts) if settings["start_states"] == "fixed" else None
        self._env = simulator.build(task.bddl, self._picture, bool(self._cameras), task.robot, task.options)
        self._instruction = task.instruction
        self._pristine = {name: np.array(getattr(self._env.sim.model, name)) for name in MUTABLE_FIELDS}
        self._readers = sensors.readers(self._env)
        self._steps = 0
        self._scene: Dict[str, np.ndarray] = {}

    def reset(self, seed: int, index: int) -> str:
        """Starts the episode and returns the instruction.

        Args:
            seed: 64 bits; decides fixture poses and, where start states are sampled, object poses.
            index: the fixed initial state, where the protocol has those.

        Raises:
            IndexError: the task has no such initial state.
        """
        if self._starts is not None and not 0 <= index < len(self._starts):
            raise IndexError("initial state %d of %d (0 to %d)" % (index, len(self._starts), len(self._starts) - 1))
        for name, values in self._pristine.items():
            getattr(self._env.sim.model, name)[:] = values
        # LIBERO and robosuite 1.4 draw from these two. Fixtures are not part of the fixed initial states: without
        # this, their poses would depend on how many resets came before (about 1 cm; reference/harness.md 5.2).
        random.seed(seed)
        np.random.seed([seed >> 32, seed & 0xFFFFFFFF])  # noqa: NPY002
        simulator.reset(self._env)
        if self._starts is not None:
            simulator.restore(self._env, self._starts[index])
        self._steps = 0
        for _ in range(self._settle_steps):
            self._execute(HOLD)
        self._scene = scene(self._env.sim.model, self._env.sim.data)
        return self._instruction

    def scene(self) -> Mapping[str, np.ndarray]:
        """The start state of this episode, after the settle steps: model numbers, positions, poses [m, wxyz]."""
        return {name: values.copy() for name, values in self._scene.items()}

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """These arrays now: frames uint8 (1, H, W, 3), state float32 (1, D)."""
        found = {}
        for name in names:
            if name in self._cameras:
                found[name] = sensors.frame(self._env, self._cameras[name], self._picture)[None]
            elif name in self._readers:
                found[name] = np.array(self._readers[name](), dtype=np.float32)[None]
            else:
                known = ", ".join([*self._cameras, *sorted(self._readers)])
                raise KeyError(f"cannot observe {name!r}; this environment gives {known}")
        return found

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        """One control step (50 ms). Raises FloatingPointError when MuJoCo's simulation diverges."""
        parts = [float(action["action." + part][0]) for part in POSE]
        success = self._execute(np.array([*parts, libero_gripper(float(action["action.gripper"][0]))]))
        return Step(success, ended=self._steps >= HORIZON)

    def _execute(self, command: np.ndarray) -> bool:
        success = bool(self._env.step(command))
        self._steps += 1
        require_finite(self._env.sim.data)
        return success

    def physics(self) -> Tuple[Any, Any, Mapping[str, str]]:
        """MuJoCo's model and data as they are drawn, and its names of the cameras; see `groot_envs.pictures`."""
        return self._env.sim.model._model, self._env.seen, self._cameras

    def close(self) -> None:
        """Frees the model, the data and the GL context, which sit in reference cycles."""
        self._readers.clear()
        self._env.close()
        gc.collect()


def make_env(task: str, settings: Mapping[str, Any]) -> LiberoEnv:
    """The environment of that task.

    Args:
        task: one of `tasks.task_names()`.
        settings: "image" {"width", "height", "shadows", "samples"}; "cameras", the video keys that may ever be asked
            for (none: no GL context is made); "settle_steps"; "start_states" ("fixed" or "sampled").
    """
    bddl, starts = simulator.folders("libero")
    definition = Definition(
        bddl=os.path.join(bddl, task + ".bddl"),
        starts=os.path.join(starts, task + ".pruned_init"),
        instruction=instruction(task),
    )
    return LiberoEnv(definition, settings)

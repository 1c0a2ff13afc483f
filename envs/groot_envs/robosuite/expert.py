"""The scripted expert: reads the simulator's hidden state and plans a chunk with a model of the hand.

It is no policy to compare with, but a known-good one: it shows that tasks can be solved within their caps, through
the very interface that policies use, and gives tests and demonstrations their successes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groot_bench.errors import SpecMismatch
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.spec import ACTION, PRIVILEGED, STATE
from groot_bench.suite import Task
from groot_envs.robosuite.hand import Hand, follow
from groot_envs.robosuite.plans import PLANS
from groot_envs.robosuite.situation import Arm, Situation
from groot_envs.robosuite.tasks import TASKS, part_prefixes
from groot_retarget.rotations import matrix_from_xyzw

HORIZON = 16

Row = dict[str, np.ndarray]


class RobosuiteExpert(Policy):
    """Replans at each query from what it then sees: it keeps nothing between queries and draws no random numbers."""

    info = PolicyInfo(name="expert", version="1", privileged=True)

    def interface(self, task: Task) -> Interface:
        """Everything but pictures and text.

        Raises:
            SpecMismatch: no plan is written for this task.
        """
        if task.name not in PLANS:
            raise SpecMismatch(f"the scripted expert cannot do task {task.name!r}; it can do {', '.join(PLANS)}")
        state = {key: spec for key, spec in task.observation.items() if key.startswith(STATE)}
        return Interface(observation={**state, **task.privileged}, action=task.action, horizon=HORIZON)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        chunks = []
        for index, query in enumerate(queries):
            row = {
                name: np.asarray(values[index][0], dtype=np.float64)
                for name, values in observation.items()
                if name.startswith((STATE, PRIVILEGED))
            }
            chunks.append(_chunk(query.episode.task, row))
        return {name: np.stack([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _chunk(task: str, row: Row) -> dict[str, np.ndarray]:
    """action key -> float32 (HORIZON, D), for one row of arrays (D,)."""
    prefixes = part_prefixes(TASKS[task])
    arms = tuple(_arm(row, prefix) for prefix in prefixes)
    scene = {key[len(PRIVILEGED) :]: value for key, value in row.items() if key.startswith(PRIVILEGED)}
    actions: dict[str, np.ndarray] = {}
    for arm, path, prefix in zip(arms, PLANS[task](Situation(arms, scene)), prefixes, strict=True):
        commands, close = follow(arm.hand, path, HORIZON)
        key = ACTION + prefix
        actions[key + "end_effector_position"] = commands[:, :3] @ arm.base
        actions[key + "end_effector_rotation"] = commands[:, 3:] @ arm.base
        actions[key + "gripper_close"] = close[:, None]
        if STATE + prefix + "base_position" in row:  # the base stands still, and the hand moves from where it is
            actions[key + "base_motion"] = np.zeros((HORIZON, 4))
            actions[key + "control_mode"] = np.zeros((HORIZON, 1))
    return {name: values.astype(np.float32) for name, values in actions.items()}


def _arm(row: Row, prefix: str) -> Arm:
    """One arm in the world frame, whichever frame its state is given in."""
    state = {key[len(STATE + prefix) :]: value for key, value in row.items() if key.startswith(STATE + prefix)}
    if "base_position" in state:
        base = matrix_from_xyzw(state["base_rotation"])
        position = state["base_position"] + base @ state["end_effector_position_relative"]
        rotation = base @ matrix_from_xyzw(state["end_effector_rotation_relative"])
    else:
        fixed = row.get(PRIVILEGED + prefix + "base_rotation")
        base = np.eye(3) if fixed is None else matrix_from_xyzw(fixed)
        position, rotation = state["end_effector_position"], matrix_from_xyzw(state["end_effector_rotation"])
    motion = PRIVILEGED + prefix
    hand = Hand(position, rotation, row[motion + "hand_velocity"], row[motion + "hand_spin"])
    width = float(state["gripper_qpos"][0] - state["gripper_qpos"][1])
    return Arm(hand, width, float(row[motion + "finger_velocity"][0]), base)

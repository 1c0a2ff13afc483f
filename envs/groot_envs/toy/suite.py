"""The suite side of the toy suite: tasks, protocol, and the scripted expert."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.protocol import Protocol
from groot_bench.spec import ArraySpec
from groot_bench.suite import Suite, Task
from groot_envs.toy.env import STRIDE
from groot_envs.toy.tasks import COINS, FIRST_STEP, FRAME, LAST_STEP, STEP_CAPS

HORIZON = 16

_FRAME = ArraySpec((1, FRAME, FRAME, 3), "uint8", "rgb", low=0, high=255)
_SHARED = {
    "video.top": _FRAME,
    "video.far": _FRAME,
    "annotation.human.task_description": ArraySpec((), "str", "text"),
}


def _reach() -> Task:
    return Task(
        "Reach",
        observation={"state.position": ArraySpec((1, 2), unit="table", frame="table", low=0, high=1), **_SHARED},
        action={"action.move": ArraySpec((2,), frame="table", convention="delta_normalized", low=-1, high=1)},
        privileged={"privileged.goal": ArraySpec((1, 2), "float64", "table", "table", low=0, high=1)},
        about="move a point to a goal; the expert always succeeds",
    )


def _coin(name: str) -> Task:
    return Task(
        name,
        observation={"state.pressure": ArraySpec((1, 1), low=0, high=1), **_SHARED},
        action={"action.push": ArraySpec((1,), convention="pressure", low=0, high=1)},
        about=f"pushing succeeds with chance {COINS[name]:g}, at step {FIRST_STEP} to {LAST_STEP}",
    )


class ToyExpert(Policy):
    """Walks straight to the goal (Reach), or always pushes (Coin)."""

    def __init__(self) -> None:
        self.info = PolicyInfo("expert", privileged=True)

    def interface(self, task: Task) -> Interface:
        reads = {name: task.observation[name] for name in task.observation if name == "state.position"}
        return Interface({**reads, **task.privileged}, task.action, HORIZON)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        if "privileged.goal" not in observation:
            return {"action.push": np.ones((len(queries), HORIZON, 1), np.float32)}
        goal, position = np.asarray(observation["privileged.goal"]), np.asarray(observation["state.position"])
        chunks = [walk(position[row, -1].astype(float), goal[row, -1]) for row in range(len(queries))]
        return {"action.move": np.stack(chunks)}


def walk(position: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Actions that lead from `position` to `goal`, both (2,): float32 (HORIZON, 2)."""
    actions = np.zeros((HORIZON, 2), np.float32)
    for step in range(HORIZON):
        actions[step] = np.clip((goal - position) / STRIDE, -1, 1)
        position = position + STRIDE * actions[step]
    return actions


def make_suite() -> Suite:
    """The toy suite."""
    protocol = Protocol(
        name="toy/v1",
        start_states="sampled",
        step_caps=STEP_CAPS,
        actions_per_query=8,
        episodes_per_task=50,
        control_hz=20.0,
        image={"width": FRAME, "height": FRAME},
        source="groot-bench",
    )
    tasks = (_reach(), *(_coin(name) for name in COINS))
    return Suite(
        name="toy",
        version=1,
        tasks={task.name: task for task in tasks},
        protocols={protocol.name: protocol},
        env="groot_envs.toy.env:make_env",
        packages=("numpy",),
        install="pip install groot-bench",
        expert=ToyExpert,
    )

"""Upstream's scripted expert with mplib in CuRobo's place, for the robot of `robotwin_standins`: for tests alone.

Runs in RoboTwin's interpreter. It is not upstream's expert: straight lines in joint space, no obstacle is avoided. What
it did on a seed that it solved lies beside this file, as joint targets: <task>-<seed>.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mplib
import numpy as np

from groot_envs.robotwin2 import expert, simulator

TIME_STEP = 1 / 250  # [s]
LIMIT = 3.05  # [rad], of every joint of the stand-in
HOME = (0.0, -1.6, 2.4, 0.0, 0.4, 0.0)  # [rad], see `robotwin_standins`
TURNS = (0.0, 0.6, -0.6, 1.2, -1.2)  # [rad]


class MplibArm:
    """Answers as much of upstream's `CuroboPlanner` as its expert asks for."""

    def __init__(self, origin: Any, active: Sequence[str], joints: Sequence[str], yml_path: str) -> None:
        folder = os.path.dirname(yml_path)
        self._columns = [list(joints).index(name) for name in active]
        self._planner = mplib.Planner(
            urdf=os.path.join(folder, "standin.urdf"),
            srdf=os.path.join(folder, "standin.srdf"),
            move_group=active[0].replace("joint1", "link6"),
            user_joint_names=list(joints),
        )
        self._base = mplib.Pose(origin.p, origin.q)

    def plan_path(self, current: Any, target: Any, constraint_pose: Any = None, arms_tag: Any = None) -> dict[str, Any]:
        """From all joints `current` [rad] to the pose of the last link in the world; see upstream for what it gives."""
        del constraint_pose, arms_tag
        start = np.asarray(current, dtype=np.float64)
        goal = self._solve(self._base.inv() * target, start)
        if goal is None:
            return {"status": "Fail"}
        path = np.stack([start[self._columns], goal])
        if np.abs(path[1] - path[0]).max() < 1e-4:
            return {"status": "Success", "position": path[1:], "velocity": np.zeros_like(path[1:])}
        _, position, velocity, _, _ = self._planner.TOPP(path, TIME_STEP)
        return {"status": "Success", "position": position, "velocity": velocity}

    def _solve(self, target: Any, start: np.ndarray) -> np.ndarray | None:
        """The arm's joints that reach `target` [base frame], found from where it is, or else from its home turned to
        some sides; never from random joints, so that equal seeds give equal motions."""
        model, link = self._planner.pinocchio_model, self._planner.link_name_2_idx[self._planner.move_group]
        others = np.ones(len(start), dtype=bool)
        others[self._columns] = False
        for turn in (None, *TURNS):
            guess = start.copy()
            if turn is not None:
                guess[self._columns] = [turn, *HOME[1:]]
            found, solved, _ = model.compute_IK_CLIK(link, target, guess, others)
            arm = (np.asarray(found)[self._columns] + np.pi) % (2 * np.pi) - np.pi
            if solved and np.abs(arm).max() < LIMIT:
                return arm
        return None

    def plan_batch(self, current: Any, targets: Sequence[Any], **settings: Any) -> dict[str, Any]:
        found = [self.plan_path(current, target, **settings) for target in targets]
        paths = {key: [plan.get(key, ()) for plan in found] for key in ("position", "velocity")}
        return {"status": ["Success" if plan["status"] == "Success" else "Failure" for plan in found], **paths}

    plan_grippers = simulator.robots.MplibPlanner.plan_grippers


class RecordedExpert(expert.ExpertEnv):
    """Notes where each motion ends: 14 joint targets, in the order of the suite's actions."""

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        super().__init__(task, settings)
        self._motions: list[list[float]] = []
        for name in ("take_dense_action", "together_move_to_pose"):
            setattr(self._task, name, self._noted(getattr(self._task, name)))

    def _noted(self, move: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **settings: Any) -> Any:
            answer = move(*arguments, **settings)
            robot = self._task.robot
            targets = [*robot.get_left_arm_jointState(), *robot.get_right_arm_jointState()]
            self._motions.append([float(target) for target in targets])
            return answer

        return noted

    def reset(self, seed: int, index: int) -> str:
        self._motions.clear()
        said = super().reset(seed, index)
        if json.loads(said)["solved"]:
            path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{self._name}-{seed}.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(self._motions, file)
        return said


def make_env(task: str, settings: Mapping[str, Any]) -> RecordedExpert:
    """The expert of that task, for `groot_envs.robotwin2.make_seeds`."""
    simulator.robots.CuroboPlanner = MplibArm
    return RecordedExpert(task, settings)

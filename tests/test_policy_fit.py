"""A policy that does not fit the suite is refused before anything runs or is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from groot_bench import Action, ArraySpec, Interface, Observation, Policy, PolicyInfo, Query, Task, evaluate
from groot_bench.batch import BatchMemory, stack
from groot_bench.errors import SpecMismatch, UsageError
from groot_bench.testing import fake_suite

SUITE = fake_suite()
TASK = SUITE.tasks["Count"]
MOVE = dict(TASK.action)


class Fixed(Policy):
    """A policy with a given interface."""

    def __init__(self, observation: dict[str, ArraySpec], action: dict[str, ArraySpec], horizon: int = 4) -> None:
        self.info = PolicyInfo("fixed")
        self._interface = Interface(observation, action, horizon)

    def interface(self, task: Task) -> Interface:
        return self._interface

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        raise AssertionError("it must never be asked")


COUNT = {"state.count": TASK.observation["state.count"]}

MISFITS = [
    (
        Fixed({"video.left": TASK.observation["video.front"]}, MOVE),
        r"video\.left is missing \(given: annotation\.task, state",
    ),
    (Fixed({"state.count": ArraySpec((1, 7))}, MOVE), r"state\.count: shape \[1, 1\] given, \[1, 7\] expected"),
    (Fixed({"state.count": ArraySpec((1, 1), unit="m")}, MOVE), r"state\.count: unit '1' given, 'm' expected"),
    (Fixed(COUNT, {"action.move": ArraySpec((3,))}), r"\(action\):\n  action\.move: shape \[3\] given, \[2\] expected"),
    (Fixed(COUNT, {}), r"action\.move is missing"),
    (Fixed(COUNT, {**MOVE, "action.gripper": ArraySpec((1,))}), r"action\.gripper is not known here"),
    (Fixed({"privileged.goal": ArraySpec((1, 2))}, MOVE), r"reads privileged state but does not say so"),
    (Fixed(COUNT, MOVE, horizon=0), r"horizon must be 1 or more, got 0"),
    (Fixed(COUNT, MOVE, horizon=3), r"executes 4 actions per query, but policy 'fixed' returns 3; use --actions-per"),
]


@pytest.mark.parametrize(("policy", "message"), MISFITS)
def test_misfit_is_named_from_both_sides_and_nothing_is_written(policy: Policy, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        evaluate(policy, suite=SUITE, out=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_cameras_none_takes_the_cameras_away_from_the_policy(tmp_path: Path) -> None:
    policy = Fixed({"video.front": TASK.observation["video.front"]}, MOVE)
    with pytest.raises(SpecMismatch, match=r"video\.front is missing"):
        evaluate(policy, suite=SUITE, cameras="none", out=tmp_path / "run")


def test_interface_may_leave_the_picture_size_open() -> None:
    from groot_bench.policy import require_fit

    size = dataclasses.replace(TASK.observation["video.front"], shape=(1, None, None, 3))
    require_fit(Fixed({"video.front": size}, MOVE), TASK, SUITE.protocol())


def test_arrays_that_a_policy_keeps_are_never_written_again() -> None:
    """Batches reuse their memory, unless someone still has a reference to it."""
    memory = BatchMemory()
    interface = Interface(COUNT, MOVE, 4)

    def batch(value: float) -> np.ndarray:
        arrays = {"state.count": np.full((1, 1), value, np.float32)}
        return np.asarray(stack(interface, [arrays], ["go"], 3, memory)["state.count"])

    kept = [batch(1.0), batch(2.0)[1:2], batch(3.0).T]
    for _ in range(5):
        batch(9.0)
    assert [float(array.ravel()[0]) for array in kept] == [1.0, 2.0, 3.0]
    place = batch(4.0).__array_interface__["data"][0]
    assert batch(5.0).__array_interface__["data"][0] == place, "memory that nobody kept is used again"

"""RoboTwin itself, where it is set up, or an interpreter of the user's own is named (docs/robotwin.md says how).

Of the tasks, those that are made of boxes: they need no mesh but the robot's. Seed lists are placeholders of these
tests; whatever versions of the simulator are there will do.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from laws import kill_after, results, wait_gone
from robotwin_standins import write_lists

from groot_bench import Run, evaluate, load_suite
from groot_bench.errors import SuiteNotReady
from groot_bench.policy import Observation, Query
from groot_bench.setup.state import variable_of
from groot_bench.suite import Suite
from groot_bench.testing import FakePolicy, check_suite
from groot_envs.robotwin2 import seeds
from groot_envs.robotwin2.make_seeds import make_seeds
from groot_envs.robotwin2.tasks import BOX_TASKS, EASY, FIRST_SEED

pytestmark = pytest.mark.slow

PROTOCOL = "easy-raster"
STEPS = 4
CHUNK = 16
TASKS = [word for task in BOX_TASKS for word in ("--task", task)]
EVAL = ["eval", "--suite", "robotwin2", "--protocol", PROTOCOL, *TASKS, "--policy", "random", "--unpinned"]
# Asked under RoboTwin's interpreter.
PROBE = """
import json
from groot_envs.robotwin2 import simulator
robot = simulator.read_configuration("demo_clean", "")["left_embodiment_config"]["urdf_path"]
print(json.dumps({"robot": robot, "planner": simulator.robots.CuroboPlanner is not simulator.FingerPlanner}))
"""
SHORT = ["--episodes", "1", "--max-steps", str(STEPS), "--cameras", "none"]


@pytest.fixture(autouse=True)
def lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of placeholder lists."""
    write_lists(tmp_path / "seeds")
    monkeypatch.setenv(seeds.FOLDER, str(tmp_path / "seeds"))
    return tmp_path / "seeds"


def suite_or_skip() -> Suite:
    """The suite with short episodes, or a skip that says how to get it."""
    suite = load_suite("robotwin2")
    if suite.python is None:
        pytest.skip(
            f"RoboTwin is {suite.missing}: {suite.install}, or name an interpreter in {variable_of('robotwin2')}"
        )
    short = {
        name: dataclasses.replace(
            protocol, step_caps=dict.fromkeys(protocol.step_caps, 2 * STEPS), actions_per_query=STEPS
        )
        for name, protocol in suite.protocols.items()
    }
    return dataclasses.replace(suite, protocols=short)


@functools.cache
def there() -> dict[str, Any]:
    """What this RoboTwin has; asked for once."""
    suite = suite_or_skip()
    assert suite.python is not None
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([*suite.paths, str(ROOT / "envs")])}
    command = [suite.python, "-W", "ignore", "-c", PROBE]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("task", BOX_TASKS)
def test_task_of_boxes_keeps_the_contract(task: str) -> None:
    cameras = task == "stack_blocks_two"
    check_suite(suite_or_skip(), [task], protocol=PROTOCOL, episodes=1, steps=STEPS, cameras=cameras, unpinned=True)


def test_five_tasks_in_one_call_are_the_same_in_one_slot_in_two_and_after_a_kill(
    cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    suite_or_skip()
    done = cli(*EVAL, *SHORT, "--slots", 1, "--out", "one", timeout=900)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "groot_bench", *EVAL, *SHORT, "--slots", "2", "--out", "two"]
    wait_gone(kill_after(command, tmp_path / "two", 1, 0.5, tmp_path))
    kept = Run.load(tmp_path / "two").records
    done = cli(*command[3:], timeout=900)
    assert done.returncode == 0, done.stderr
    one, two = Run.load(tmp_path / "one"), Run.load(tmp_path / "two")
    assert results(one) == results(two)
    assert [record.episode.task for record in one.records] == list(BOX_TASKS)
    assert len({record.scene_hash for record in one.records}) == len(BOX_TASKS)
    assert all(record in two.records for record in kept), "what was recorded did not run again"


def test_pictures_are_of_the_scene_and_of_each_camera(tmp_path: Path) -> None:
    seen: list[np.ndarray] = []

    def look(observation: Observation, queries: Sequence[Query]) -> np.ndarray:
        frames = [np.asarray(observation[f"video.{name}"])[0, -1] for name in ("cam_high", "cam_left_wrist")]
        seen.extend(frames)
        return np.zeros((len(queries), STEPS, 14))

    settings = {"suite": suite_or_skip(), "protocol": PROTOCOL, "slots": 1, "unpinned": True, "max_steps": STEPS}
    policy = FakePolicy(look, horizon=STEPS, batch_size=None)
    run = evaluate(policy, tasks=["stack_blocks_two"], episodes=1, out=tmp_path / "run", **settings)
    assert [record.error for record in run.records] == [None]
    head, wrist = seen[0].astype(int), seen[1].astype(int)
    assert head.shape == wrist.shape == (240, 320, 3)
    for color, others in ((0, (1, 2)), (1, (0, 2))):  # a red block and a green one, on white
        block = np.all([head[..., color] > head[..., other] + 100 for other in others], axis=0)
        assert 100 < block.sum() < 5000
    assert np.abs(head - wrist).mean() > 5


@pytest.fixture
def expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's expert, whose motions come to lie beside it; skips where another robot is."""
    if there()["robot"] != "standin.urdf":
        pytest.skip("the robot there is not that of tests/robotwin_standins.py, whose expert this is")
    path = Path(shutil.copy(ROOT / "tests" / "robotwin_expert.py", tmp_path))
    monkeypatch.setattr("groot_envs.robotwin2.make_seeds.EXPERT", f"{path}:make_env")
    return path


@pytest.mark.parametrize("task", BOX_TASKS)
def test_seed_that_an_expert_solved_is_solved_by_its_joint_targets(
    task: str, expert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the making of a list to a success: the expert of these tests makes it, and its motions are the policy."""
    folder = tmp_path / "made"
    monkeypatch.setenv(seeds.FOLDER, str(folder))
    make_seeds(suite_or_skip(), folder, task, EASY, 1)
    start = seeds.start_state(str(folder), task, EASY, 0)
    assert start.seed >= FIRST_SEED
    motions = np.array(json.loads((tmp_path / f"{task}-{start.seed}.json").read_text()))
    held = np.repeat(motions, 2, axis=0)  # the fingers need a while

    def play(observation: Observation, queries: Sequence[Query]) -> np.ndarray:
        rows = [np.minimum(np.arange(CHUNK) + CHUNK * query.index, len(held) - 1) for query in queries]
        return held[np.array(rows)]

    policy = FakePolicy(play, horizon=CHUNK, batch_size=None)
    settings = {"suite": "robotwin2", "protocol": PROTOCOL, "cameras": "none", "slots": 1, "unpinned": True}
    run = evaluate(policy, tasks=[task], episodes=1, max_steps=len(held) + CHUNK, out=tmp_path / "run", **settings)
    (record,) = run.records
    assert record.error is None
    assert record.success_once, f"not reached in {record.steps} steps"
    assert record.instruction


def test_plan_that_is_not_found_is_no_seed_and_no_failure_of_the_expert(
    expert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expert.write_text(expert.read_text().replace("if goal is None:", "if True:"))
    monkeypatch.setattr("groot_envs.robotwin2.make_seeds.MOST_UNSOLVED", 2)
    said: list[str] = []
    with pytest.raises(SuiteNotReady, match="solved none of 2 seeds of task 'stack_blocks_two' in a row"):
        make_seeds(suite_or_skip(), tmp_path / "made", "stack_blocks_two", EASY, 1, said.append)
    assert [line.partition("seed ")[2] for line in said] == [
        f"{FIRST_SEED + i} no plan was found, 0 of 1" for i in range(2)
    ]
    assert not (tmp_path / "made").exists()


def test_expert_without_its_planner_says_what_is_missing(tmp_path: Path) -> None:
    if there()["planner"]:
        pytest.skip("CuRobo is installed there")
    with pytest.raises(SuiteNotReady, match=r"CuRobo v0\.7\.8 is not installed"):
        make_seeds(suite_or_skip(), tmp_path / "made", "stack_blocks_two", EASY, 1)
    assert not (tmp_path / "made").exists()

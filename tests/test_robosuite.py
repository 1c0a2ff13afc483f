"""The laws on a real simulator, and the scripted experts."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from laws import LAYOUTS, children, kill_after, recorded, results, wait_gone

from groot_bench import Outcome, Run, evaluate, load_suite
from groot_bench.testing import check_suite

pytestmark = pytest.mark.sim

TASKS = ("Lift", "Stack", "Door", "NutAssemblySquare", "PickPlaceCan", "TwoArmLift", "LiftPandaOmron")
STEPS = 24

# 40 episodes of four kinds of robot and scene.
MIX = {"tasks": ["Lift", "Door", "TwoArmLift", "LiftPandaOmron"], "episodes": 10, "max_steps": STEPS, "cameras": "none"}


def run(out: Path, **settings: object) -> Run:
    return evaluate("random", suite="robosuite", out=out, **settings)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    listed = run(tmp_path_factory.mktemp("alone") / "run", slots=1, **MIX)
    assert len({record.scene_hash for record in listed.records}) == 40
    return results(listed)


@pytest.mark.parametrize(("slots", "shards"), LAYOUTS)
def test_records_do_not_depend_on_slots_or_shards(
    slots: int, shards: int, tmp_path: Path, alone: list[tuple[object, ...]]
) -> None:
    listed = []
    for i in range(1, shards + 1):
        listed += results(run(tmp_path / f"{i}", slots=slots, shard=(i, shards), **MIX))
    assert sorted(listed) == sorted(alone)


def test_records_do_not_depend_on_being_killed(tmp_path: Path, alone: list[tuple[object, ...]]) -> None:
    words = ["eval", "--suite", "robosuite", "--policy", "random", "--cameras", "none", "--slots", "2", "--out", "run"]
    words += [
        "--episodes",
        "10",
        "--max-steps",
        str(STEPS),
        *(word for task in MIX["tasks"] for word in ("--task", task)),
    ]  # type: ignore[attr-defined]
    command = [sys.executable, "-m", "groot_bench", *words]
    for episodes, delay in ((0, 1.3), (5, 0.05), (17, 0.21), (29, 0.0)):
        wait_gone(kill_after(command, tmp_path / "run", episodes, delay, tmp_path))
    before = Run.load(tmp_path / "run").records
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    after = Run.load(tmp_path / "run")
    assert results(after) == alone
    assert len(before) >= 29
    assert set(before_keys(before)) <= set(before_keys(after.records))
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 40


def before_keys(records: tuple[object, ...]) -> list[tuple[object, float]]:
    """An episode and how long it took, which changes when it is run again."""
    return [(record.episode.key, record.wall_seconds) for record in records]  # type: ignore[attr-defined]


def test_frames_do_not_depend_on_slots_order_or_filming(tmp_path: Path) -> None:
    settings = {"tasks": ["Lift", "Stack"], "episodes": 4, "max_steps": 16}
    one = run(tmp_path / "one", slots=1, **settings)
    three = run(tmp_path / "three", slots=3, video="first:1", log_steps=True, **settings)
    assert results(one) == results(three)
    assert len({record.frames_hash for record in one.records}) == 8
    blind = run(tmp_path / "blind", slots=2, cameras="none", **settings)
    for seen, unseen in zip(one.records, blind.records, strict=True):
        assert (seen.scene_hash, seen.action_hash) == (unseen.scene_hash, unseen.action_hash)
        assert unseen.frames_hash is None


@pytest.mark.parametrize("task", TASKS)
def test_task_keeps_the_suite_contract(task: str) -> None:
    check_suite(load_suite("robosuite"), [task], steps=8, episodes=1)


@pytest.mark.parametrize("task", ["Lift", "Stack", "Door", "LiftPandaOmron"])
def test_expert_succeeds_in_at_least_95_percent_of_50(task: str, tmp_path: Path) -> None:
    listed = evaluate("expert", suite="robosuite", tasks=[task], episodes=50, slots=2, out=tmp_path / "run")
    outcomes = [record.outcome for record in listed.records]
    assert outcomes.count(Outcome.SUCCESS) >= 48
    # The law again, where hands touch things: the same episodes alone, in one slot.
    alone = evaluate("expert", suite="robosuite", tasks=[task], episodes=3, slots=1, out=tmp_path / "alone")
    assert results(alone) == results(listed)[:3]


def test_experts_success_does_not_hang_on_the_chunk_length(tmp_path: Path) -> None:
    for k in (1, 16):
        settings = {"tasks": ["Lift", "Door"], "episodes": 4, "actions_per_query": k, "slots": 2}
        listed = evaluate("expert", suite="robosuite", out=tmp_path / str(k), **settings)
        assert {record.outcome for record in listed.records} == {Outcome.SUCCESS}


def test_replay_of_a_real_run_meets_every_scene_again(tmp_path: Path) -> None:
    settings = {"suite": "robosuite", "tasks": ["Lift"], "episodes": 3, "slots": 2}
    original = evaluate("expert", out=tmp_path / "run", log_steps=True, **settings)
    replayed = evaluate("replay", replay=tmp_path / "run", out=tmp_path / "again", **settings)
    assert {record.outcome for record in original.records} == {Outcome.SUCCESS}
    for one, two in zip(original.records, replayed.records, strict=True):
        assert one.result()[:-2] == two.result()[:-2]
        assert one.action_hash == two.action_hash


def test_worker_that_segfaults_costs_nothing_but_time(tmp_path: Path) -> None:
    settings = {"suite": "robosuite", "tasks": ["Lift"], "episodes": 8, "slots": 2, "max_steps": 60, "cameras": "none"}
    healthy = evaluate("random", out=tmp_path / "healthy", **settings)
    stop = threading.Event()
    hit: list[int] = []

    def assassin() -> None:
        while not stop.is_set() and not hit:
            if recorded(tmp_path / "run") >= 2:
                hit.append(children(os.getpid())[0])
                os.kill(hit[0], signal.SIGSEGV)
            time.sleep(0.01)

    thread = threading.Thread(target=assassin)
    thread.start()
    try:
        wounded = evaluate("random", out=tmp_path / "run", **settings)
    finally:
        stop.set()
        thread.join()
    assert hit
    assert results(wounded) == results(healthy)


POISON = """
import random
import numpy as np
import robosuite  # imports many libraries, whose own imports may draw numbers
from groot_envs.robosuite.env import make_env as make

def forbidden(*arguments, **keywords):
    raise AssertionError("a global generator was used")

def make_env(task, settings):
    for name in "rand randn randint random uniform normal choice shuffle permutation seed random_sample".split():
        setattr(np.random, name, forbidden)
    for name in "random uniform randint choice shuffle gauss sample seed".split():
        setattr(random, name, forbidden)
    return make(task, settings)
"""


def test_simulator_reads_no_global_generator(tmp_path: Path) -> None:
    """What is left to seed before a reset is all seeded: robosuite's own generators; see `check_suite` for those."""
    (tmp_path / "poisoned.py").write_text(POISON)
    suite = load_suite("robosuite")
    poisoned = dataclasses.replace(suite, env=f"{tmp_path / 'poisoned.py'}:make_env")
    settings = {"tasks": ["Lift", "Door", "TwoArmLift", "LiftPandaOmron"], "episodes": 2, "slots": 2}
    settings = {**settings, "max_steps": 16, "cameras": "none"}
    one = evaluate("random", suite=suite, out=tmp_path / "one", **settings)
    two = evaluate("random", suite=poisoned, out=tmp_path / "two", **settings)
    assert not [record.error for record in two.records if record.error]
    assert results(one) == results(two)

"""LIBERO for real: what `make test` has time for. The rest is in test_libero_all.py (`make test-suites`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sides
from laws import results

from groot_bench import Run, Suite, evaluate, load_suite
from groot_bench.errors import UnknownName, UsageError
from groot_bench.merge import merge

STOVE = "libero_goal/turn_on_the_stove"
TINY = {"tasks": [STOVE], "episodes": 2, "max_steps": 6, "actions_per_query": 2, "cameras": "none"}

# One task for each kind of goal: a knob on and off, a drawer, a door, something in a basket, something on a plate.
FORCED = (
    STOVE,
    "libero_90/KITCHEN_SCENE8_turn_off_the_stove",
    "libero_goal/open_the_middle_drawer_of_the_cabinet",
    "libero_90/KITCHEN_SCENE7_open_the_microwave",
    "libero_object/pick_up_the_alphabet_soup_and_place_it_in_the_basket",
    "libero_spatial/pick_up_the_black_bowl_next_to_the_plate_and_place_it_on_the_plate",
)


@pytest.fixture(scope="module")
def libero() -> Suite:
    """The suite, where it is set up."""
    return sides.set_up("libero", "make suites (it takes its assets from ../shared/libero)")


def ask(suite: Suite, *question: str, timeout: float = 600.0) -> Any:
    """An answer of libero_side.py, under LIBERO's interpreter."""
    return sides.ask(suite, "libero_side.py", *question, timeout=timeout)


def test_reset_that_keeps_the_model_equals_liberos_hard_reset_bit_by_bit(libero: Suite) -> None:
    """Scene, trajectory, success, state and both pictures; after another episode, against a new bare environment."""
    assert ask(libero, "equal", STOVE, "cameras", "1") == {"differing": []}


def test_fixtures_drift_in_the_bare_simulator_and_not_here(libero: Suite) -> None:
    moved = ask(libero, "drift", STOVE, "wooden_cabinet_1_main")
    assert 0.005 < moved["bare"] < 0.05
    assert moved["ours_same_seed"] == 0.0
    assert moved["ours_other_seed"] > 1e-4


def test_goals_that_are_forced_count_as_success(libero: Suite) -> None:
    assert ask(libero, "visit", *FORCED) == dict.fromkeys(FORCED, "forced")


def test_records_do_not_depend_on_slots_or_shards(libero: Suite, tmp_path: Path) -> None:
    whole = evaluate("random", suite=libero, slots=2, out=tmp_path / "whole", **TINY)
    assert len({record.scene_hash for record in whole.records}) == 2
    assert not any(record.error for record in whole.records)
    parts = [evaluate("random", suite=libero, slots=1, shard=(i, 2), out=tmp_path / f"part{i}", **TINY) for i in (1, 2)]
    assert results(merge(tmp_path / "merged", parts)) == results(whole)


def test_two_robosuites_run_in_one_call_and_none_in_the_harness(libero: Suite, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom groot_bench.cli import main\ncode = main()\n"
        "print([name for name in ('robosuite', 'libero', 'mujoco', 'torch') if name in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    words = ["eval", "--suite", "libero", "--suite", "robosuite", "--task", STOVE, "--task", "Lift", "--policy", "zero"]
    words += ["--episodes", "1", "--max-steps", "4", "--cameras", "none", "--out", "runs", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.splitlines()[-1] == "[]"
    versions = {
        page["experiment"]["suite"]["name"]: page["experiment"]["suite"] for page in json.loads(done.stdout)["runs"]
    }
    assert versions["libero"]["packages"]["robosuite"] == "1.4.0"
    assert versions["robosuite"]["packages"]["robosuite"] == "1.5.2"
    assert set(versions["libero"]["settings"]["assets"]) == {"assets"}  # by contents: stand-ins are no LIBERO pictures
    assert Run.load(tmp_path / "runs" / "libero").is_complete


def test_names_that_do_not_exist_say_what_does() -> None:
    suite = load_suite("libero")
    assert len(suite.select(["libero_goal", "libero_10"])) == 20
    assert [task.name for task in suite.select([STOVE])] == [STOVE]
    assert suite.select_one(STOVE).name == STOVE
    with pytest.raises(
        UsageError, match="'libero_goal' stands for 10 tasks of suite 'libero'; name one, as in 'libero_goal/"
    ):
        suite.select_one("libero_goal")
    with pytest.raises(UnknownName, match="did you mean 'libero_goal'"):
        suite.select(["libero_gaol"])
    with pytest.raises(UnknownName, match="did you mean 'libero/oft-50'"):
        suite.protocol("oft-5")


def test_initial_state_that_does_not_exist_is_refused_before_anything_runs(libero: Suite, tmp_path: Path) -> None:
    for out_of_range in ({"episodes": 51}, {"first_episode": 49}):
        with pytest.raises(UsageError, match=r"has 50 of them; episodes \d+ to \d+ .*, or a lower --first"):
            evaluate("zero", suite=libero, out=tmp_path / "run", **{**TINY, **out_of_range})
    assert not (tmp_path / "run").exists()

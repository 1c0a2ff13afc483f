"""LIBERO-plus itself, where it is set up (`groot-bench setup libero_plus`); most of it is slow: `make test-slow`.

Its assets may be the stand-ins of libero_plus_kit.py: what is compared is compared with LIBERO-plus on the same ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from laws import results
from sides import ask, set_up

from groot_bench import Suite, evaluate
from groot_bench.merge import merge
from groot_bench.testing import check_suite
from groot_envs.libero_plus.tasks import BASE_WORDS, CATEGORIES, COUNTS, OFFICIAL, parse

SIDE = "libero_plus_side.py"
MENDED_BY = "groot-bench setup libero_plus, or name an interpreter in GROOT_BENCH_LIBERO_PLUS_PYTHON"
PARTS = [f"{suite}/{category}" for suite in COUNTS for category in CATEGORIES.values()]
EACH_CATEGORY = [f"{suite}/{category}" for suite, category in zip([*COUNTS] * 2, CATEGORIES.values(), strict=False)]


@pytest.fixture(scope="module")
def plus() -> Suite:
    """The suite, where it is set up."""
    return set_up("libero_plus", MENDED_BY)


def middle(suite: Suite, part: str) -> str:
    """The variant in the middle of a part: its name is not among ours."""
    tasks = suite.select(part)
    return tasks[len(tasks) // 2].name


def test_all_variants_are_there_and_each_changes_what_its_category_says(plus: Suite) -> None:
    assert len(plus.tasks) == sum(COUNTS.values()) == 10_030
    changed = {
        "camera": lambda variant: variant.camera != (0, 0, 100, 0, 0),
        "robot": lambda variant: variant.robot > 0,
        "language": lambda variant: variant.reworded,
        "light": lambda variant: variant.scene.startswith("light"),
        "background": lambda variant: variant.scene.startswith(("table", "tb")),
        "noise": lambda variant: variant.noise > 0,
        "layout": lambda variant: variant.starts.startswith("libero_newobj/"),
    }
    for name in plus.tasks:
        variant = parse(name)
        assert {kind for kind, is_changed in changed.items() if is_changed(variant)} == {name.split("/")[1]}


def test_noisy_pictures_equal_upstreams_for_the_same_random_numbers(plus: Suite) -> None:
    assert ask(plus, SIDE, "kinds", "3") == {"differing": [], "plain": []}


@pytest.mark.slow
def test_all_fifty_noises_equal_upstreams(plus: Suite) -> None:
    assert ask(plus, SIDE, "kinds", "1") == {"differing": [], "plain": []}


@pytest.mark.slow
@pytest.mark.parametrize("part", EACH_CATEGORY)
def test_reset_that_keeps_the_model_equals_upstreams_hard_reset_bit_by_bit(part: str, plus: Suite) -> None:
    """Scene, trajectory, success, state and both pictures, noise included; of the same robot class."""
    task = middle(plus, part)
    answer = ask(plus, SIDE, "equal", task)
    assert answer["differing"] == []
    assert parse(task).robot == 0 or answer["robot"].endswith(f"Panda{parse(task).robot}")


@pytest.mark.slow
def test_noise_is_a_function_of_seed_and_step_and_of_the_fixed_camera_alone(plus: Suite) -> None:
    assert ask(plus, SIDE, "noise", middle(plus, "libero_goal/noise")) == {
        "looks change it": False,
        "seed changes it": True,
        "image is noisy": True,
        "wrist is noisy": False,
    }


@pytest.mark.slow
def test_other_first_pose_of_the_arm_acts_through_the_settle_steps(plus: Suite) -> None:
    """All variants have the same initial joints; ten steps of holding still then pull the arm to another pose."""
    moved = ask(plus, SIDE, "settled", middle(plus, "libero_goal/robot"))
    assert moved["before"] == 0.0
    assert moved["after"] > 0.01


@pytest.mark.slow
def test_instruction_is_upstreams_or_the_base_tasks(plus: Suite) -> None:
    reworded, plain = middle(plus, "libero_object/language"), middle(plus, "libero_goal/light")
    words = ask(plus, SIDE, "words", reworded, plain)
    assert words[plain] == [parse(plain).words(OFFICIAL), parse(plain).words(BASE_WORDS)]
    assert words[reworded][0] == words[reworded][1] != parse(reworded).words(BASE_WORDS)


@pytest.mark.slow
def test_every_category_of_every_suite_runs_and_shards_merge_to_the_same(plus: Suite, tmp_path: Path) -> None:
    tiny = {"tasks": [middle(plus, part) for part in PARTS], "max_steps": 2, "cameras": "none", "suite": plus}
    whole = evaluate("random", slots=2, out=tmp_path / "whole", **tiny)
    assert [record.error for record in whole.records] == [None] * 28
    parts = [evaluate("random", slots=1, shard=(i, 2), out=tmp_path / f"part{i}", **tiny) for i in (1, 2)]
    assert results(merge(tmp_path / "merged", parts)) == results(whole)


@pytest.mark.slow
@pytest.mark.parametrize("part", EACH_CATEGORY)
def test_contract_of_suites_holds(part: str, plus: Suite) -> None:
    check_suite(plus, [middle(plus, part)], episodes=1, steps=6)

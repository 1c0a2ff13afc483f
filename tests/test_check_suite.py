"""`check_suite` passes what keeps the contract, and names each law that is broken."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from groot_bench import evaluate, load_suite
from groot_bench.suite import Suite
from groot_bench.testing import CheckFailed, check_suite, fake_suite


def test_toy_and_a_healthy_fake_keep_the_contract() -> None:
    check_suite(load_suite("toy"))
    check_suite(fake_suite(("A", "B"), chance=0.0))


BROKEN = {
    "leak": "the same episode after another episode differs in scene_hash",
    "shared": "state.count, returned by observe(), was written by a later",
    "unseeded": "the same episode in a fresh process differs in",
    "same": "two episodes with different seeds have the same scene hash",
    "mute": "the instruction is empty",
    "wild": "is outside its bounds -2 to 4",
}


@pytest.mark.parametrize("sin", BROKEN)
def test_broken_law_is_named(sin: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        check_suite(fake_suite(chance=0.0, sin=sin), episodes=1)
    assert BROKEN[sin] in str(caught.value) or (sin == "shared" and "same memory twice" in str(caught.value))


def test_task_that_solves_itself_is_named() -> None:
    with pytest.raises(CheckFailed, match="Count: the zero policy succeeded in episode 0"):
        check_suite(fake_suite(success=[1, 3]), episodes=1)


def test_expert_that_never_succeeds_is_named() -> None:
    toy = load_suite("toy")
    short = dataclasses.replace(toy.protocol(), step_caps={"Reach": 3, "Coin50": 3, "Coin90": 3})
    hopeless: Suite = dataclasses.replace(toy, protocols={short.name: short})
    with pytest.raises(CheckFailed, match="Reach: the expert succeeded in none of 2 episodes"):
        check_suite(hopeless, ["Reach"], episodes=2)


def test_environment_that_cannot_be_made_is_named() -> None:
    with pytest.raises(CheckFailed, match="No module named 'no_such_simulator'"):
        check_suite(fake_suite(("Import",)), episodes=1)


@pytest.mark.parametrize("fault", ["segfault", "exit", "raise"])
def test_environment_that_dies_is_named_with_its_words(fault: str) -> None:
    with pytest.raises(CheckFailed, match=f"about to fail: {fault}"):
        check_suite(fake_suite(faults={"0": fault}), episodes=1)


def test_suites_own_folders_and_interpreter_are_used_everywhere(tmp_path: Path) -> None:
    """By the loop, by the checks, and by the gymnasium environment."""
    (tmp_path / "somewhere_else.py").write_text("from groot_envs.fake.env import make_env\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\necho used >> {tmp_path}/used\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    own = {"env": "somewhere_else:make_env", "paths": (str(tmp_path),), "python": str(python)}
    suite = dataclasses.replace(fake_suite(chance=0.0), **own)
    check_suite(suite, episodes=1)
    uses = [(tmp_path / "used").stat().st_size]
    gym = pytest.importorskip("groot_bench.gym", reason="gymnasium is not installed: make test installs it")
    env = gym.BenchEnv(suite, "Count")
    env.reset(seed=0)
    env.close()
    uses.append((tmp_path / "used").stat().st_size)
    assert evaluate("zero", suite=suite, episodes=1, out=tmp_path / "run").records[0].error is None
    uses.append((tmp_path / "used").stat().st_size)
    assert uses == sorted(set(uses))

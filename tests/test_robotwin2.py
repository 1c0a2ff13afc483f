"""RoboTwin 2.0: tasks, seed lists and their maker, without SAPIEN. Its simulator: test_robotwin2_simulator.py."""

from __future__ import annotations

import ast
import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groot_bench import catalog, evaluate, load_suite
from groot_bench.errors import SuiteNotReady
from groot_bench.suite import Suite
from groot_envs.robotwin2 import seeds
from groot_envs.robotwin2.make_seeds import make_seeds
from groot_envs.robotwin2.tasks import BOX_TASKS, COMMIT, EXPERT_ATTRIBUTES, FIRST_SEED, TASKS

TASK, CONFIG = "stack_blocks_two", "demo_clean"
ROW = {"seed": 100000, "info": {"{A}": "red block", "{B}": "024_scanner/base1"}, "attributes": {}}


def listing(*rows: Any, task: str = TASK, **fields: Any) -> bytes:
    content = {"schema": 1, "task": task, "config": CONFIG, "commit": COMMIT, "next": 100100, "seeds": list(rows)}
    return json.dumps({**content, **fields}).encode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where lists are looked for; empty."""
    monkeypatch.setenv(seeds.FOLDER, str(tmp_path / "seeds"))
    return tmp_path / "seeds"


def put(folder: Path, text: bytes, task: str = TASK, config: str = CONFIG) -> Path:
    path = folder / config / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


def test_there_are_50_tasks_with_upstreams_limits_and_5_are_of_boxes() -> None:
    assert len(TASKS) == 50
    assert set(BOX_TASKS) <= set(TASKS)
    assert (TASKS["put_bottles_dustbin"], TASKS["open_microwave"], TASKS["stack_blocks_two"]) == (1700, 1500, 800)
    assert sum(TASKS.values()) == 31_000
    assert load_suite("robotwin2").protocol().step_caps == TASKS


def test_actions_are_14_joint_targets_or_16_numbers_of_two_hands() -> None:
    joints = load_suite("robotwin2").tasks[TASK].action
    hands = load_suite("robotwin2_ee").tasks[TASK].action
    assert [spec.shape[0] for spec in joints.values()] == [6, 1, 6, 1]
    assert [spec.shape[0] for spec in hands.values()] == [7, 1, 7, 1]
    assert hands["action.left_hand"].convention == "position_quat_wxyz"


def test_easy_and_hard_are_upstreams_configurations_and_a_rasterizer_is_another_protocol() -> None:
    suite = load_suite("robotwin2")
    assert suite.settings["configs"] == {
        "robotwin2/easy": "demo_clean",
        "robotwin2/hard": "demo_randomized",
        "robotwin2/easy-raster": "demo_clean",
        "robotwin2/hard-raster": "demo_randomized",
    }
    assert suite.protocol("easy").image["samples"] == 32
    assert suite.protocol("easy-raster").image["shader"] == "default"


def test_list_is_read_in_order() -> None:
    found = seeds.parse_list(listing(ROW, {**ROW, "seed": 100003}), TASK, CONFIG)
    assert [one.seed for one in found] == [100000, 100003]
    assert found[0].info["{B}"] == "024_scanner/base1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "must be an object with schema 1"),
        (listing(ROW, schema=2), "must be an object with schema 1"),
        (listing(ROW, config="demo_randomized"), "config is 'demo_randomized', not 'demo_clean'"),
        (listing(ROW, commit="f" * 40), "commit is"),
        (listing(ROW, task="lift_pot"), "task is 'lift_pot'"),
        (listing(ROW, ROW), "seeds[1] is 100000, not above"),
        (listing({**ROW, "seed": -1}), "seeds[0].seed must be a whole number"),
        (listing({**ROW, "seed": True}), "seeds[0].seed must be a whole number"),
        (listing({**ROW, "seed": 2**32}), "seeds[0].seed must be a whole number"),
        (listing({"seed": 100000}), "seeds[0] must have seed, info and attributes"),
        (listing({**ROW, "info": {"{A}": "../../etc/passwd"}}), "seeds[0].info must map"),
        (listing({**ROW, "info": {"A": "block"}}), "seeds[0].info must map"),
        (listing({**ROW, "attributes": {"arm_tag": "left"}}), "seeds[0].attributes must be empty"),
        (b" " * (1 << 20) + listing(ROW), "is longer than 1048576 bytes"),
    ],
)
def test_malformed_list_is_refused_with_what_is_wrong(text: bytes, problem: str, folder: Path) -> None:
    with pytest.raises(ValueError) as caught:
        seeds.parse_list(text, TASK, CONFIG)
    assert problem in str(caught.value)
    path = put(folder, text)
    with pytest.raises(seeds.SeedListError, match="--make-seeds --task stack_blocks_two --config demo_clean") as told:
        seeds.start_state(str(folder), TASK, CONFIG, 0)
    assert str(path) in str(told.value)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_crash_the_reader(text: bytes) -> None:
    with pytest.raises(ValueError):
        seeds.parse_list(text, TASK, CONFIG)


@pytest.mark.parametrize("task", EXPERT_ATTRIBUTES)
def test_tasks_whose_success_reads_the_expert_need_its_attributes(task: str) -> None:
    whole = {"arm_tag": "left", "origin_z": 0.78}
    given = {name: whole[name] for name in EXPERT_ATTRIBUTES[task]}
    (found,) = seeds.parse_list(listing({**ROW, "attributes": given}, task=task), task, CONFIG)
    assert found.attributes == given
    for wrong in ({}, {**given, "arm_tag": "both"}, {**given, "more": 1.0}):
        with pytest.raises(ValueError, match="attributes"):
            seeds.parse_list(listing({**ROW, "attributes": wrong}, task=task), task, CONFIG)


def ready() -> Suite:
    """The suite as it is where its packages are installed."""
    return dataclasses.replace(load_suite("robotwin2"), missing="", packages=(), pins={})


def test_missing_or_short_list_is_refused_before_anything_runs(folder: Path, tmp_path: Path) -> None:
    suite = ready()
    settings = {"suite": suite, "tasks": [TASK], "out": tmp_path / "run"}
    with pytest.raises(SuiteNotReady, match=f"no seed list of task '{TASK}' under 'demo_clean'.*\n.*--make-seeds"):
        evaluate("zero", **settings)
    put(folder, listing(ROW))
    with pytest.raises(SuiteNotReady, match=r"needs 2 seeds; .* has 1.*\n.*--count 2"):
        evaluate("zero", episodes=2, **settings)
    with pytest.raises(SuiteNotReady, match="under 'demo_randomized'"):
        evaluate("zero", episodes=1, protocol="hard", **settings)
    assert not (tmp_path / "run").exists()


def test_manifest_names_the_lists_by_their_contents(folder: Path) -> None:
    assert load_suite("robotwin2").settings["seed_lists"] == {}
    path = put(folder, listing(ROW))
    before = load_suite("robotwin2").settings["seed_lists"]
    path.write_bytes(listing({**ROW, "seed": 100001}))
    after = load_suite("robotwin2").settings["seed_lists"]
    assert set(before) == set(after) == {"demo_clean/stack_blocks_two"}
    assert before != after


def test_suite_is_not_ready_while_seed_lists_are_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "suite_names", lambda: ("robotwin2",))
    monkeypatch.setattr(catalog, "load_suite", lambda name: ready())

    def said() -> tuple[str, str]:
        (entry,) = catalog.list_suites()
        return entry["state"], entry["fix"]

    none = "demo_clean has those of 0 of 50 tasks"
    hard = "demo_randomized has those of 0 of 50 tasks"
    command = "groot-bench setup robotwin2 --make-seeds"
    assert said() == (f"seed lists are missing: {none}; {hard}", command)
    put(folder, listing(ROW))
    put(folder, b"{", task="lift_pot")
    assert said() == (f"seed lists are missing: {none}, and shorter ones of 1; {hard}", command)
    for task in TASKS:
        for config in ("demo_clean", "demo_randomized"):
            own = dict.fromkeys(EXPERT_ATTRIBUTES.get(task, ()), "left")
            own.update({"origin_z": 0.7} if "origin_z" in own else {})
            rows = [{**ROW, "seed": FIRST_SEED + i, "attributes": own} for i in range(100)]
            put(folder, listing(*rows, task=task, config=config), task, config)
        if task == "lift_pot":
            assert not said()[0].startswith(catalog.READY)
    assert said()[0].startswith(catalog.READY)


# An expert that solves every third seed, crashes on every seventh, and knows which seeds it was asked for.
EXPERT = """
import json, os
class Expert:
    def __init__(self, task, settings):
        self.log = open(os.path.join(os.path.dirname(__file__), "log"), "a")
        if settings["config"] != "demo_clean": raise OSError("no such configuration")
    def reset(self, seed, index):
        self.log.write(str(seed) + "\\n"); self.log.flush()
        if seed % 7 == 0: os._exit(3)
        if seed % 3: return json.dumps({"solved": False, "why": "no plan was found"})
        return json.dumps({"solved": True, "info": {"{A}": "red block", "{a}": "left"}, "attributes": {}})
    def scene(self): return {}
    def observe(self, names): return {}
    def close(self): pass
def make_env(task, settings): return Expert(task, settings)
"""


@pytest.fixture
def expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of seeds that the expert was asked for."""
    (tmp_path / "expert.py").write_text(EXPERT)
    monkeypatch.setattr("groot_envs.robotwin2.make_seeds.EXPERT", f"{tmp_path}/expert.py:make_env")
    return tmp_path / "log"


def test_maker_keeps_the_seeds_that_the_expert_solves_and_goes_on_where_it_was(folder: Path, expert: Path) -> None:
    suite = ready()
    said: list[str] = []
    path = make_seeds(suite, folder, TASK, CONFIG, 2, said.append)
    wanted = [seed for seed in range(FIRST_SEED, FIRST_SEED + 40) if seed % 3 == 0 and seed % 7]
    assert [one.seed for one in seeds.read_list(str(folder), TASK, CONFIG)] == wanted[:2]
    first = [int(line) for line in expert.read_text().split()]
    make_seeds(suite, folder, TASK, CONFIG, 4, said.append)
    assert [one.seed for one in seeds.read_list(str(folder), TASK, CONFIG)] == wanted[:4]
    asked = [int(line) for line in expert.read_text().split()]
    assert asked == list(range(FIRST_SEED, asked[-1] + 1))
    assert asked[: len(first)] == first
    assert any("ended the expert" in line for line in said)
    assert seeds.start_state(str(folder), TASK, CONFIG, 3).info == {"{A}": "red block", "{a}": "left"}
    assert path == folder / CONFIG / f"{TASK}.json"


def test_expert_that_cannot_start_says_why_and_leaves_no_list(folder: Path, expert: Path) -> None:
    with pytest.raises(SuiteNotReady, match=r"cannot be started(.|\n)*no such configuration"):
        make_seeds(ready(), folder, TASK, "demo_randomized", 1)
    assert not folder.exists()


def test_expert_that_never_solves_a_seed_is_given_up_and_what_it_solved_before_is_kept(
    folder: Path, expert: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "expert.py").write_text(EXPERT.replace("if seed % 3:", "if seed > 100005:"))
    monkeypatch.setattr("groot_envs.robotwin2.make_seeds.MOST_UNSOLVED", 5)
    with pytest.raises(
        SuiteNotReady, match=r"solved none of 5 seeds .* because no plan was found; 5 of 9 seeds are kept"
    ):
        make_seeds(ready(), folder, TASK, CONFIG, 9)
    assert len(seeds.read_list(str(folder), TASK, CONFIG)) == 5


def test_expert_that_fails_on_every_seed_is_given_up(
    folder: Path, expert: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "expert.py").write_text(EXPERT.replace("if seed % 7 == 0: os._exit(3)", "raise OSError('no mesh')"))
    monkeypatch.setattr("groot_envs.robotwin2.make_seeds.MOST_FAILURES", 2)
    with pytest.raises(SuiteNotReady, match=r"failed on 2 seeds in a row(.|\n)*no mesh"):
        make_seeds(ready(), folder, TASK, CONFIG, 1)


def test_command_refuses_what_has_no_seed_lists_and_unknown_tasks(
    cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    refused = cli("setup", "toy", "--make-seeds")
    assert (refused.returncode, "has no seed lists to make" in refused.stderr) == (2, True)
    refused = cli("setup", "robotwin2", "--make-seeds", "--task", "stack_blocks")
    assert (refused.returncode, "run: groot-bench setup robotwin2" in refused.stderr) == (2, True)


def test_environment_side_names_upstreams_package_only_by_text() -> None:
    """`envs` is RoboTwin's, and this repository's folder of the same name must never be imported for it."""
    for path in Path(seeds.__file__).parent.glob("*.py"):
        names = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
        assert not [alias.name for node in names for alias in node.names if alias.name.split(".")[0] == "envs"]

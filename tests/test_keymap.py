"""gymnasium environments as suites: the laws hold, success is what the rule says, and a wrong map says where."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from laws import results

pytest.importorskip("gymnasium")

from gymnasium import spaces

from groot_bench import ArraySpec, Run, evaluate
from groot_bench.errors import ManifestMismatch, SuiteNotReady, UsageError
from groot_bench.keymap import KeyMapError, load_keymap
from groot_bench.policies.zero import ZeroPolicy
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.suite import Suite, Task
from groot_bench.testing import check_suite
from groot_envs.gymnasium.env import FOLDER, ActionMap, load_module, make_env
from groot_envs.gymnasium.suite import gymnasium_suite

PAGE = ROOT / "docs" / "gymnasium.md"

# An environment whose truth is known: step n has reward n, the goal holds from step `when` on, it terminates at `ends`.
ARENA = """
import types

import gymnasium
import numpy as np
from gymnasium import spaces


class Arena(gymnasium.Env):
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, when=5, ends=9, render_mode=None, broken=False, lies=False):
        self.render_mode = render_mode
        self.when, self.ends, self.broken, self.lies = when, ends, broken, lies
        box = lambda *shape: spaces.Box(-1, 1, shape, np.float64)
        self.observation_space = spaces.Dict({
            "arm": spaces.Dict({"pos": box(2), "hand.open": spaces.Discrete(3)}),
            "eye": spaces.Box(0, 255, (6, 8, 3), np.uint8),
            "depth": spaces.Box(0, 9, (6, 8), np.float32),
            "pair": spaces.Tuple([box(2, 2), spaces.MultiBinary(2)]),
            "mission": spaces.Text(40),
        })
        self.action_space = spaces.Dict({"move": spaces.Box(-1, 1, (2,)), "grip": spaces.Discrete(3)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.pos = self.np_random.uniform(-0.5, 0.5, 2)
        self.seen = np.random.random()  # as environments do that predate np_random
        self.count, self.grip = 0, 0
        self.eye = np.zeros((6, 8, 3), np.uint8)
        self.data = types.SimpleNamespace(qpos=self.pos, qvel=np.zeros(2))  # as MuJoCo's have
        return self.look(), {"told": "reach %d" % self.when, "number": 3}

    def look(self):
        self.eye[:] = self.count  # the same memory every time, as some do
        arm = {"pos": self.pos.copy(), "hand.open": np.int64(self.grip)}
        pair = (np.full((2, 2), self.seen), np.ones(2, np.int8))
        depth = np.zeros(5 if self.lies else (6, 8), np.float32)
        return {"arm": arm, "eye": self.eye, "depth": depth, "pair": pair, "mission": "go"}

    def step(self, action):
        self.count += 1
        self.grip = int(action["grip"])
        self.pos = np.clip(self.pos + 0.1 * action["move"], -1, 1)
        holds = self.count >= self.when
        info = {"good": holds, "deep": {"good": np.float32(holds)}, "odd": np.zeros(2), "told": "x"}
        if self.count > 2:
            info["late"] = True
        return self.look(), float(self.count), self.count >= self.ends, False, info

    def render(self):
        if self.broken:
            raise gymnasium.error.DependencyNotInstalled("no pygame")
        return np.full((10, 12, 3), 100 + self.count, np.uint8)


gymnasium.register("Arena-v0", "arena:Arena")
gymnasium.register("Arena/Short-v0", "arena:Arena", max_episode_steps=6)
"""

MAP = {
    "name": "arena",
    "env": "Arena-v0",
    "module": "arena.py",
    "instruction": "reach the mark",
    "success": "info.good",
    "control_hz": 10,
    "max_steps": 20,
    "actions_per_query": 3,
    "observation": {
        "state.position": {"from": "arm.pos", "unit": "m", "frame": "base"},
        "state.hand": {"from": ["arm", "hand.open"], "convention": "index"},
        "state.square": {"from": "pair.0", "range": [1, 4]},
        "video.eye": {"from": "eye"},
    },
    "action": {"action.move": {"to": "move", "unit": "m"}, "action.grip": {"to": "grip"}},
}

RENDERED = {"video.front": {"render": True}, "state.position": {"from": "arm.pos"}}


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module that registers the arena."""
    folder = tmp_path_factory.mktemp("arena")
    (folder / "arena.py").write_text(ARENA)
    return folder


def changed(fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The map with some fields replaced; None takes one away, and "a.b" is b in a."""
    fields = dict(fields)
    for name, value in changes.items():
        first, _, rest = name.partition("/")
        if rest:
            fields[first] = changed(fields[first], **{rest: value})
        elif value is None:
            del fields[first]
        else:
            fields[first] = value
    return fields


def suite_of(folder: Path, **changes: Any) -> Suite:
    return gymnasium_suite(folder=folder, **changed(MAP, **changes))


def run(suite: Suite | str, out: Path, policy: Policy | str = "zero", **settings: Any) -> Run:
    return evaluate(policy, suite=suite, out=out, **{"episodes": 2, "slots": 1, **settings})


def classic(env: str, success: str, observation: int, **fields: Any) -> Suite:
    return gymnasium_suite(
        name="classic",
        env=env,
        instruction="do it",
        success=success,
        control_hz=20,
        actions_per_query=4,
        observation={"state.all": {"shape": [observation]}},
        action={"action.all": {"shape": [1]}},
        **fields,
    )


@pytest.fixture(scope="module")
def suites() -> dict[str, Suite]:
    return {
        "CartPole": classic("CartPole-v1", "return >= 20", 4),
        "Pendulum": classic("Pendulum-v1", "reward >= -0.1", 3, max_steps=60),
        "MountainCarContinuous": classic("MountainCarContinuous-v0", "terminated", 2, max_steps=60),
    }


@pytest.mark.parametrize("name", ["CartPole", "Pendulum", "MountainCarContinuous"])
def test_records_do_not_depend_on_slots(name: str, suites: dict[str, Suite], tmp_path: Path) -> None:
    runs = [run(suites[name], tmp_path / str(n), "random", episodes=9, slots=n) for n in (1, 2, 3)]
    assert results(runs[0]) == results(runs[1]) == results(runs[2])
    assert len({record.scene_hash for record in runs[0].records}) == 9
    assert all(record.error is None and record.action_hash for record in runs[0].records)


def test_the_contract_of_suites_holds(suites: dict[str, Suite], arena: Path) -> None:
    check_suite(suites["CartPole"], episodes=1)
    check_suite(suites["MountainCarContinuous"], episodes=1)
    check_suite(
        suite_of(arena, success="info.good", observation={**MAP["observation"], **RENDERED}, kwargs={"when": 99})
    )


def test_return_counts_every_step(suites: dict[str, Suite], tmp_path: Path) -> None:
    """CartPole gives 1 for each step, so a return of 20 is 20 steps of balance, and a fall before that a failure."""
    records = run(suites["CartPole"], tmp_path / "run", "random", episodes=30).records
    assert {record.outcome.value for record in records} == {"success", "failure"}
    for record in records:
        assert (record.steps == 20) if record.success_once else (record.steps < 20)


class Swing(Policy):
    """Pushes the mountain car the way it rolls, which is known to reach the flag."""

    info = PolicyInfo("swing")

    def interface(self, task: Task) -> Interface:
        return Interface(task.observation, task.action, 4)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        speed = np.asarray(observation["state.all"])[:, -1, 1]
        push = np.where(speed >= 0, 1.0, -1.0).astype(np.float32)
        return {"action.all": np.repeat(push[:, None, None], 4, axis=1)}


def test_terminated_is_success_where_the_map_says_so(tmp_path: Path) -> None:
    suite = classic("MountainCarContinuous-v0", "terminated", 2, max_steps=300)
    swung = run(suite, tmp_path / "swing", Swing()).records
    assert [record.outcome.value for record in swung] == ["success"] * 2
    still = run(suite, tmp_path / "zero").records
    assert [(record.outcome.value, record.steps) for record in still] == [("failure", 300)] * 2


@pytest.mark.parametrize(
    ("rule", "outcome", "steps"),
    [
        ("info.good", "success", 5),
        ("info.deep.good", "success", 5),
        ("terminated", "success", 9),
        ("reward >= 7", "success", 7),
        ("reward>=6.5", "success", 7),
        ("reward >= 1e1", "failure", 9),
        ("return >= 10", "success", 4),
        ("return >= -1", "success", 1),
    ],
)
def test_success_rules(rule: str, outcome: str, steps: int, arena: Path, tmp_path: Path) -> None:
    record = run(suite_of(arena, success=rule), tmp_path / "run", episodes=1).records[0]
    assert (record.outcome.value, record.steps) == (outcome, steps)
    assert record.first_success_step == (steps if outcome == "success" else None)
    assert record.instruction == "reach the mark"


@pytest.mark.parametrize("rule", ["terminated", "info.good"])
@pytest.mark.parametrize("cap", [None, 20])
def test_the_own_time_limit_of_an_environment_ends_the_episode(
    rule: str, cap: int | None, arena: Path, tmp_path: Path
) -> None:
    suite = suite_of(arena, env="Arena/Short-v0", success=rule, max_steps=cap, stop_on_success=False)
    assert suite.protocol().step_caps == {"Short": cap or 6}
    record = run(suite, tmp_path / "run", episodes=1).records[0]
    assert (record.steps, record.success_at_end) == (6, rule == "info.good")


@pytest.mark.parametrize(("rule", "words"), [("info.odd", "must be one number or bool"), ("info.told", "one number")])
def test_what_is_no_truth_is_an_error_record(rule: str, words: str, arena: Path, tmp_path: Path) -> None:
    record = run(suite_of(arena, success=rule), tmp_path / "run", episodes=1).records[0]
    assert record.outcome.value == "error"
    assert words in str(record.error)


def test_specs_are_found(arena: Path) -> None:
    task = suite_of(arena).tasks["Arena"]
    assert task.observation == {
        "state.position": ArraySpec((1, 2), unit="m", frame="base", low=-1, high=1),
        "state.hand": ArraySpec((1, 1), convention="index", low=0, high=2),
        "state.square": ArraySpec((1, 3), low=-1, high=1),
        "video.eye": ArraySpec((1, 6, 8, 3), "uint8", "rgb", low=0, high=255),
        "annotation.human.task_description": ArraySpec((), "str", "text"),
    }
    assert task.action == {
        "action.move": ArraySpec((2,), unit="m", low=-1, high=1),
        "action.grip": ArraySpec((1,), convention="rounded", low=-0.5, high=2.5),
    }


def test_declared_bounds_win_and_unbounded_ones_are_none(suites: dict[str, Suite], arena: Path) -> None:
    spec = suites["CartPole"].tasks["CartPole"].observation["state.all"]
    assert (spec.low, spec.high) == (None, None)
    task = suite_of(arena, **{"action/action.grip": {"to": "grip", "low": 0, "high": 1}}).tasks["Arena"]
    assert (task.action["action.grip"].low, task.action["action.grip"].high) == (0, 1)


@pytest.mark.parametrize(
    ("source", "text"), [("info.told", "reach 5"), ("observation.mission", "go")], ids=["info", "observation"]
)
def test_the_instruction_may_come_from_the_environment(source: str, text: str, arena: Path, tmp_path: Path) -> None:
    suite = suite_of(arena, instruction=None, instruction_from=source, language="annotation.human.coarse_action")
    assert "annotation.human.coarse_action" in suite.tasks["Arena"].observation
    assert run(suite, tmp_path / "run", episodes=1).records[0].instruction == text


class Watch(ZeroPolicy):
    """Keeps what it sees."""

    def __init__(self) -> None:
        super().__init__(3)
        self.seen: list[dict[str, np.ndarray]] = []

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        self.seen.append({name: np.array(value) for name, value in observation.items()})
        return super().act(observation, queries)


def test_observations_are_what_the_map_says(arena: Path, tmp_path: Path) -> None:
    policy = Watch()
    suite = suite_of(arena, success="terminated", observation={**MAP["observation"], **RENDERED})
    run(suite, tmp_path / "run", policy, episodes=1)
    first, second = policy.seen[:2]
    assert (first["video.eye"] == 0).all()
    assert (second["video.eye"] == 3).all()
    assert second["video.front"].shape == (1, 1, 10, 12, 3)
    assert (second["video.front"] == 103).all()
    assert (abs(first["state.position"]) <= 0.5).all()
    assert len(np.unique(first["state.square"])) == 1


def test_without_cameras_nothing_renders_and_the_scene_is_the_same(arena: Path, tmp_path: Path) -> None:
    seen = run(suite_of(arena, observation=RENDERED), tmp_path / "seen").records
    # A declared shape is believed, and `broken` fails in render().
    believed = {**RENDERED, "video.front": {"render": True, "shape": [10, 12, 3]}}
    suite = suite_of(arena, observation=believed, kwargs={"broken": True})
    blind = run(suite, tmp_path / "blind", cameras="none").records
    assert [record.scene_hash for record in blind] == [record.scene_hash for record in seen]
    assert [record.action_hash for record in blind] == [record.action_hash for record in seen]
    assert [record.frames_hash is None for record in (*seen, *blind)] == [False, False, True, True]


def test_the_scene_is_the_state_without_its_pictures(arena: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(arena))
    env = make_env("Arena", {**suite_of(arena, observation=RENDERED).settings, "cameras": []})
    env.reset(seed=2**64 - 1, index=0)
    numbers = ["arm.pos", "arm.hand.open", "depth", "pair.0", "pair.1", "mission"]
    assert set(env.scene()) == {*(f"observation.{name}" for name in numbers), "mujoco.qpos", "mujoco.qvel"}
    env._env.unwrapped.data = None
    env._observation = {"eye": np.zeros((6, 8, 3), np.uint8)}
    assert set(env.scene()) == {"observation.eye"}


@pytest.mark.parametrize(("cameras", "mode"), [([], None), (["video.front"], "rgb_array")])
def test_an_environment_can_render_only_where_it_may_be_asked_to(
    cameras: list[str], mode: str | None, arena: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, str(arena))
    env = make_env("Arena", {**suite_of(arena, observation=RENDERED).settings, "cameras": cameras})
    assert env._env.render_mode == mode


def test_a_module_that_changed_since_the_map_was_read_is_refused(arena: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(arena))
    with pytest.raises(ImportError, match="has changed since"):
        load_module("arena.py", "0" * 32)


def test_a_module_that_hides_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("")
    with pytest.raises(KeyMapError, match="another module is named 'json' already"):
        suite_of(tmp_path, module="json.py")


def test_tasks_take_over_what_they_do_not_say(arena: Path, tmp_path: Path) -> None:
    tasks = [
        {"name": "Early", "kwargs": {"when": 2}},
        {"name": "Late", "kwargs": {"when": 8}, "instruction": "wait", "max_steps": 9},
        {"name": "Never", "instruction_from": "info.told", "env": "Arena/Short-v0", "success": "terminated"},
    ]
    suite = suite_of(arena, tasks=tasks, kwargs={"when": 3, "ends": 12})
    records = run(suite, tmp_path / "run", episodes=1).records
    assert [(record.episode.task, record.instruction, record.outcome.value, record.steps) for record in records] == [
        ("Early", "reach the mark", "success", 2),
        ("Late", "wait", "success", 8),
        ("Never", "reach 3", "failure", 6),
    ]
    assert suite.protocol().step_caps == {"Early": 20, "Late": 9, "Never": 20}


@pytest.mark.parametrize(
    ("space", "parts", "action", "native"),
    [
        (spaces.Box(-1, 1, (3,)), {"a": ([], [0, 1]), "b": ([], [1, 3])}, {"a": [0.5], "b": [2, -3]}, [0.5, 1, -1]),
        (spaces.Box(-1, 1, (2, 2)), {"a": ([], None)}, {"a": [0, 0.1, 0.2, 0.3]}, [[0, 0.1], [0.2, 0.3]]),
        (spaces.Box(-5, 5, (2,), np.int32), {"a": ([], None)}, {"a": [1.5, -9]}, [2, -5]),
        (spaces.Box(-np.inf, np.inf, (1,)), {"a": ([], None)}, {"a": [1e6]}, [1e6]),
        (spaces.Discrete(3), {"a": ([], None)}, {"a": [1.49]}, 1),
        (spaces.Discrete(3), {"a": ([], None)}, {"a": [0.5]}, 1),
        (spaces.Discrete(3), {"a": ([], None)}, {"a": [2.5]}, 2),
        (spaces.Discrete(3, start=-1), {"a": ([], None)}, {"a": [-7]}, -1),
        (spaces.MultiDiscrete([2, 5]), {"a": ([], None)}, {"a": [0.6, 3.2]}, [1, 3]),
        (spaces.MultiBinary(2), {"a": ([], [0, 1]), "b": ([], [1, 2])}, {"a": [0.4], "b": [0.6]}, [0, 1]),
    ],
)
def test_parts_make_the_action(space: spaces.Space, parts: dict, action: dict, native: object) -> None:
    places = {name: {"path": path, "entries": entries} for name, (path, entries) in parts.items()}
    made = ActionMap(space, places).native({name: np.array(value, np.float32) for name, value in action.items()})
    assert space.contains(made)
    assert np.allclose(made, native)


def test_parts_make_nested_actions() -> None:
    space = spaces.Dict({"arm": spaces.Tuple([spaces.Box(-1, 1, (2,)), spaces.Discrete(2)])})
    places = {"a": {"path": ["arm", "0"], "entries": None}, "b": {"path": ["arm", "1"], "entries": None}}
    made = ActionMap(space, places).native({"a": np.array([0.25, 3]), "b": np.array([0.9])})
    assert space.contains(made)
    assert (made["arm"][0].tolist(), made["arm"][1]) == ([0.25, 1], 1)


POSE, SQUARE, EYE = 'observation."state.position"', 'observation."state.square"', 'observation."video.eye"'
AT_POSE, AT_SQUARE, AT_EYE = "observation/state.position", "observation/state.square", "observation/video.eye"

WRONG = [
    # what is changed, the field that is named, words
    ({"sucess": "terminated"}, "", "did you mean 'success'"),
    ({"name": None}, "name", "is missing"),
    ({"name": "a/b"}, "name", "letters, digits"),
    ({"name": "toy"}, "name", "installed suite"),
    ({"env": None}, "env", "is missing"),
    ({"env": "Arenna-v0"}, "env", "did you mean 'Arena-v0'"),
    ({"env": "Arena-v7"}, "env", "no environment 'Arena-v7'"),
    ({"env": "Nowhere/Arena-v0"}, "env", "no environment"),
    ({"env": "not an id"}, "env", "Malformed"),
    ({"module": "no_such_module"}, "module", "No module named"),
    ({"module": "missing.py"}, "module", "missing.py cannot be read"),
    ({"kwargs": {"whenn": 1}}, "kwargs", "unexpected keyword argument 'whenn'"),
    ({"kwargs": {"when": object()}}, "kwargs", "plain values"),
    ({"kwargs": {"when": "soon"}}, "env", "TypeError"),
    ({"kwargs": {"lies": True}}, "env", "its space says (6, 8)"),
    ({"kwargs": 3}, "kwargs", "must be a table"),
    ({"instruction": None}, "instruction", "give either"),
    ({"instruction_from": "info.told"}, "instruction", "give either"),
    ({"instruction": None, "instruction_from": "told"}, "instruction_from", "must be 'info.<key>'"),
    ({"instruction": None, "instruction_from": "info.tolt"}, "instruction_from", "did you mean 'told'"),
    ({"instruction": None, "instruction_from": "info.number"}, "instruction_from", "is not text but int"),
    ({"instruction": None, "instruction_from": "observation.eye"}, "instruction_from", "is not text"),
    ({"instruction": 3}, "instruction", "must be text, got 3"),
    ({"success": None}, "success", "is missing"),
    ({"success": "info.god"}, "success", "did you mean 'good'"),
    ({"success": "info.late"}, "success", "no 'late'"),
    ({"success": "reward > 3"}, "success", "'reward >= <number>'"),
    ({"success": "reward >= 1.2.3"}, "success", "'reward >= <number>'"),
    ({"max_steps": 0}, "max_steps", "1 or more, got 0"),
    ({"max_steps": None}, "max_steps", "no time limit of its own"),
    ({"control_hz": None}, "control_hz", "is missing"),
    ({"control_hz": -1}, "control_hz", "above 0 Hz, got -1"),
    ({"control_hz": True}, "control_hz", "must be a number"),
    ({"success_rule": "sometimes"}, "success_rule", "must be one of once, at_end"),
    ({"success_rule": "at_end"}, "success_rule", "needs stop_on_success = false"),
    ({"stop_on_success": "yes"}, "stop_on_success", "true or false"),
    ({"packages": "numpy"}, "packages", "list of texts"),
    ({"variables": {"A": 1}}, "variables.A", "must be text"),
    ({"language": "text"}, "language", "must begin with 'annotation.'"),
    ({"tasks": []}, "tasks", "one or more"),
    ({"tasks": [{"nam": "A"}]}, "tasks[0]", "did you mean 'name'"),
    ({"tasks": [{"name": "A"}, {"name": "A"}]}, "tasks[1].name", "another task"),
    ({"tasks": [{"name": "A"}, {"name": "B", "env": "Arenna-v0"}]}, "tasks[1].env", "did you mean 'Arena-v0'"),
    ({"tasks": [{"name": "A"}, {"name": "B", "kwargs": {"whenn": 1}}]}, "tasks[1].kwargs", "argument 'whenn'"),
    ({"tasks": [{"name": "A", "success": "info.god"}]}, "tasks[0].success", "did you mean 'good'"),
    ({"observation": None}, "observation", "is missing"),
    ({"observation": {}}, "observation", "is empty"),
    ({"observation": {"state": {"position": {}}}}, "observation.state", '[observation."state.<part>"]'),
    ({"observation": {"pose": {}}}, "observation.pose", "'state.' or 'video.'"),
    ({AT_POSE: {"form": "arm.pos"}}, POSE, "did you mean 'from'"),
    ({AT_POSE: {}}, f"{POSE}.from", "name one of its parts"),
    ({AT_POSE: {"from": "arm"}}, f"{POSE}.from", "hand.open, pos"),
    ({AT_POSE: {"from": "arm.pso"}}, f"{POSE}.from", "did you mean 'pos'"),
    ({AT_POSE: {"from": "arm.pos.x"}}, f"{POSE}.from", "has no part 'x'"),
    ({AT_POSE: {"from": "mission"}}, f"{POSE}.from", "not made of numbers"),
    ({AT_SQUARE: {"from": "pair.0", "range": [1, 9]}}, f"{SQUARE}.range", "4 numbers"),
    ({AT_SQUARE: {"from": "pair.0", "range": [2, 2]}}, f"{SQUARE}.range", "start <"),
    ({AT_SQUARE: {"from": "pair.0", "range": [-1, 2]}}, f"{SQUARE}.range", "0 or more"),
    ({AT_SQUARE: {"from": "pair.0", "range": 3}}, f"{SQUARE}.range", "must be a list"),
    ({AT_POSE: {"from": "arm.pos", "shape": [3]}}, f"{POSE}.shape", "has [2]"),
    ({AT_POSE: {"from": "arm.pos", "render": True}}, f"{POSE}.render", "only"),
    ({AT_POSE: {"low": 2, "high": 1}}, f"{POSE}.low", "less than high"),
    ({AT_POSE: {"from": "arm.pos", "low": 3}}, f"{POSE}.low", "3 is above the highest, 1"),
    ({AT_POSE: {"low": float("nan")}}, f"{POSE}.low", "must be a number"),
    ({AT_EYE: {"from": "depth"}}, f"{EYE}.from", "is float32[6, 8]"),
    ({AT_EYE: {"from": "eye", "render": True}}, f"{EYE}.render", "not from both"),
    ({AT_EYE: {"from": "eye", "range": [0, 1]}}, f"{EYE}.range", "cannot have one"),
    ({AT_EYE: {"from": "eye", "shape": [8, 6, 3]}}, f"{EYE}.shape", "has [6, 8, 3]"),
    ({AT_EYE: {"render": True}, "kwargs": {"broken": True}}, f"{EYE}.render", "render() failed: no pygame"),
    ({AT_EYE: {"render": True}, "kwargs": {"render_mode": "human"}}, "kwargs.render_mode", "leave it"),
    ({"action": {"state.move": {}}}, 'action."state.move"', "begin with 'action.'"),
    ({"action/action.grip": None}, "action", "number 0 of the 1 that 'Arena-v0' takes at 'grip'"),
    ({"action/action.move": {"to": "move", "range": [0, 1]}}, "action", "number 1 of the 2"),
    ({"action/action.more": {"to": "move", "range": [1, 2]}}, 'action."action.more".range', "that of action.move too"),
    ({"action/action.move": {"from": "move"}}, 'action."action.move"', "unknown field: 'from'"),
]


@pytest.mark.parametrize(("changes", "field", "words"), WRONG, ids=[f"{i}-{row[1]}" for i, row in enumerate(WRONG)])
def test_a_wrong_map_says_where(changes: dict, field: str, words: str, arena: Path) -> None:
    with pytest.raises(KeyMapError) as caught:
        suite_of(arena, **changes)
    assert caught.value.field == field
    assert words in str(caught.value)
    assert str(caught.value).startswith("gymnasium_suite(): ")
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read: No such file"),
        ("name = ", "is not TOML"),
        (b"\xff", "is not TOML"),
        ("name = 'x'\nenvv = 1", "did you mean 'env'"),
        ("[observation.state.tip]", "name: is missing"),
    ],
)
def test_a_wrong_file_says_where_and_nothing_is_written(text: str | bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(KeyMapError, match=re.escape(words)) as caught:
        run(str(path), tmp_path / "out")
    assert str(caught.value).startswith(str(path))
    assert not (tmp_path / "out").exists()


def test_a_missing_package_or_interpreter_is_not_ready(arena: Path) -> None:
    with pytest.raises(SuiteNotReady, match=r"no-such-package.*pip install"):
        suite_of(arena, packages=["no-such-package"])
    with pytest.raises(SuiteNotReady, match="/no/python"):
        suite_of(arena, python="/no/python")


def test_a_changed_map_is_another_experiment(arena: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(arena, folder)
    first = run(suite_of(folder), tmp_path / "run")
    shutil.copytree(folder, tmp_path / "there")
    assert results(run(suite_of(tmp_path / "there"), tmp_path / "run")) == results(first)
    with pytest.raises(ManifestMismatch, match=r"suite\.settings\.tasks\.Arena\.success\.path"):
        run(suite_of(folder, success="info.deep.good"), tmp_path / "run")
    with pytest.raises(ManifestMismatch, match=r"settings\.action\.action\.move\.low"):
        run(suite_of(folder, **{"action/action.move": {"to": "move", "low": -0.5}}), tmp_path / "run")
    (folder / "arena.py").write_text(ARENA + "# changed\n")
    with pytest.raises(ManifestMismatch, match="digest"):
        run(suite_of(folder), tmp_path / "run")


def test_the_harness_never_imports_gymnasium(arena: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from groot_bench import evaluate\n"
        "evaluate('zero', suite='map.toml', out='run', episodes=1, slots=1)\n"
        "print([name for name in ('gymnasium', 'arena') if name in sys.modules])\n"
    )
    (tmp_path / "map.toml").write_text(toml_block())
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def toml_block() -> str:
    (text,) = blocks("toml")
    return text


def test_the_map_on_the_page_runs(tmp_path: Path, cli: Any) -> None:
    path = tmp_path / "pendulum.toml"
    path.write_text(toml_block())
    suite = load_keymap(path)
    assert suite.protocol().step_caps == {"Earth": 200, "Moon": 150}
    done = cli("eval", "--suite", "pendulum.toml", "--policy", "random", "--episodes", "2", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert len(Run.load(tmp_path / "run").records) == 4


@pytest.mark.parametrize("number", range(3))
def test_the_programs_on_the_page_run(number: int, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", blocks("python")[number]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

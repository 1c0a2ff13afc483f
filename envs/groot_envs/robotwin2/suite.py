"""The suite side of `robotwin2` and `robotwin2_ee`: specs, protocols, names and how it is set up. No simulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from groot_bench.errors import SuiteNotReady, UnknownName
from groot_bench.protocol import Protocol
from groot_bench.setup.recipe import Assets, Recipe, Repository
from groot_bench.setup.state import folder_of, variable_of
from groot_bench.spec import ACTION, STATE, ArraySpec
from groot_bench.suite import Suite, Task
from groot_envs.robotwin2 import seeds
from groot_envs.robotwin2.tasks import (
    ARM_JOINTS,
    ASSETS,
    CAMERAS,
    COMMIT,
    EASY,
    EPISODES,
    FIRST_SEED,
    HARD,
    HEIGHT,
    NOMINAL_HZ,
    TASKS,
    TEXT,
    WIDTH,
)

CONFIGS = {"easy": EASY, "hard": HARD, "easy-raster": EASY, "hard-raster": HARD}

# Upstream's renderer: 32 rays a pixel, eight bounces, Intel's denoiser; it needs a GPU with ray tracing.
TRACED = {"width": WIDTH, "height": HEIGHT, "shader": "rt", "samples": 32, "depth": 8, "denoiser": "oidn"}
RASTER = {"width": WIDTH, "height": HEIGHT, "shader": "default"}


# CuRobo, which plans for the scripted expert and for hand poses, is built from source against the GPU's CUDA; joint
# targets need none of it. pytorch3d is asked for by upstream and not needed.
RECIPE = Recipe(
    requirements="robotwin2.txt",
    check="stack_blocks_two",
    # A set-up comes before its first seed list; this seed is not looked up.
    check_settings={"unlisted": {"seed": FIRST_SEED, "info": {"{A}": "red block", "{B}": "green block"}}},
    python=(11,),
    repositories=(
        Repository(
            name="RoboTwin",
            url="https://github.com/RoboTwin-Platform/RoboTwin.git",
            commit=COMMIT,
            holds={"envs/*.py": 51, "description/task_instruction/*.json": 50},
            about="20 MB; MIT",
        ),
    ),
    assets=(
        Assets(
            name="assets",
            holds={"embodiments/aloha-agilex/**/*": 10, "objects/**/*": 1000, "background_texture/**/*": 1000},
            command=("{python}", str(Path(__file__).with_name("fetch_assets.py")), "{folder}/RoboTwin", "{target}"),
            links={f"{{folder}}/RoboTwin/assets/{name}": name for name in ASSETS},
            about="objects, robots and textures from the Hugging Face hub, about 15 GB; MIT",
        ),
    ),
    seconds=3600,
)


def make_suite() -> Suite:
    """Joint targets, 14 numbers; the entry point of group `groot_bench.suites`."""
    return _suite("robotwin2", "qpos", _joint_actions(), "groot-bench setup robotwin2", RECIPE)


def make_ee_suite() -> Suite:
    """The same tasks driven by hand poses, 16 numbers; upstream's motion planner answers them, on a GPU."""
    install = f"build CuRobo into an interpreter that has RoboTwin, and name it in {variable_of('robotwin2_ee')}"
    return _suite("robotwin2_ee", "ee", _hand_actions(), f"{install} (docs/robotwin.md)", None)


def _suite(name: str, kind: str, action: dict[str, ArraySpec], install: str, recipe: Recipe | None) -> Suite:
    folder = seeds_folder()
    lists = {f"{config}/{task}": seeds.digest(folder, task, config) for config in (EASY, HARD) for task in TASKS}
    return Suite(
        name=name,
        version=1,
        tasks={task: Task(task, _observation(), action, about=f"{cap} actions at most") for task, cap in TASKS.items()},
        protocols={protocol.name: protocol for protocol in _protocols(name)},
        env="groot_envs.robotwin2.env:make_env",
        packages=("sapien", "mplib", "torch", "numpy"),
        pins={"sapien": "3.0.0b1", "mplib": "0.2.1", "torch": "2.4.1"},
        install=install,
        variables={
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            seeds.FOLDER: folder,
        },
        settings={
            "actions": kind,
            "configs": {f"{name}/{protocol}": config for protocol, config in CONFIGS.items()},
            "seed_lists": {key: digest for key, digest in lists.items() if digest is not None},
        },
        recipe=recipe,
        require_starts=require_starts,
        make_starts=make_lists,
        lacking_starts=lacking_lists,
    )


def seeds_folder() -> str:
    """Where seed lists that were made here lie."""
    return os.environ.get(seeds.FOLDER) or str(folder_of("robotwin2") / "seeds")


def require_starts(protocol: Protocol, task: str, end: int) -> None:
    """Raises SuiteNotReady unless the task's seed list has the episodes below `end`."""
    try:
        seeds.start_state(seeds_folder(), task, CONFIGS[protocol.name.rpartition("/")[2]], end - 1)
    except seeds.SeedListError as problem:
        raise SuiteNotReady(str(problem)) from None


def lacking_lists() -> str:
    """Which seed lists are not there or not whole, in words; "" when every task has both of its own."""
    told = []
    for config in (EASY, HARD):
        lengths = [_length(task, config) for task in TASKS]
        whole, begun = sum(length >= EPISODES for length in lengths), sum(0 < length < EPISODES for length in lengths)
        if whole < len(TASKS):
            shorter = f", and shorter ones of {begun}" if begun else ""
            told.append(f"{config} has those of {whole} of {len(TASKS)} tasks{shorter}")
    return f"seed lists are missing: {'; '.join(told)}" if told else ""


def _length(task: str, config: str) -> int:
    """How many seeds that list has; 0 where it is absent or malformed."""
    try:
        return len(seeds.read_list(seeds_folder(), task, config))
    except seeds.SeedListError:
        return 0


def make_lists(suite: Suite, tasks: Sequence[str], config: str, count: int, say: Callable[[str], None]) -> list[Path]:
    """Makes the seed lists of these tasks; see `groot_envs.robotwin2.make_seeds`.

    Args:
        config: "demo_clean" or "demo_randomized".
        count: how many seeds each list shall have.
    """
    from groot_envs.robotwin2.make_seeds import make_seeds

    if config not in (EASY, HARD):
        raise UnknownName("configuration of RoboTwin", config, (EASY, HARD))
    chosen = suite.select(tasks or None)
    return [make_seeds(suite, Path(seeds_folder()), task.name, config, count, say) for task in chosen]


def _protocols(name: str) -> tuple[Protocol, ...]:
    """Upstream's two configurations, and both with a rasterizer, for machines without ray tracing."""
    easy = Protocol(
        name=f"{name}/easy",
        start_states="fixed",
        step_caps=TASKS,
        actions_per_query=16,
        episodes_per_task=EPISODES,
        control_hz=NOMINAL_HZ,
        success_rule="once",
        stop_on_success=True,
        image=TRACED,
        language="generated, 'unseen' templates and descriptions, drawn by the episode's seed",
        source=f"RoboTwin stable_2.0 @ {COMMIT[:7]}, script/eval_policy.py, {EASY}",
    )
    hard = replace(easy, name=f"{name}/hard", source=easy.source.replace(EASY, HARD))
    return easy, hard, *(replace(one, name=f"{one.name}-raster", image=RASTER) for one in (easy, hard))


def _observation() -> dict[str, ArraySpec]:
    frame = ArraySpec((1, HEIGHT, WIDTH, 3), "uint8", unit="rgb", convention="upright", low=0, high=255)
    arms = {STATE + part: replace(spec, shape=(1, *spec.shape)) for part, spec in _both_sides(_hand()).items()}
    joints = {STATE + part: replace(spec, shape=(1, *spec.shape)) for part, spec in _both_sides(_arm()).items()}
    return {**dict.fromkeys(CAMERAS, frame), **joints, **arms, TEXT: ArraySpec((), "str", unit="text")}


def _joint_actions() -> dict[str, ArraySpec]:
    return {ACTION + part: spec for part, spec in _both_sides({**_arm()}).items()}


def _hand_actions() -> dict[str, ArraySpec]:
    gripper = {name: spec for name, spec in _arm().items() if name == "gripper"}
    return {ACTION + part: spec for part, spec in _both_sides({**_hand(), **gripper}).items()}


def _both_sides(parts: dict[str, ArraySpec]) -> dict[str, ArraySpec]:
    return {f"{side}_{part}": spec for side in ("left", "right") for part, spec in parts.items()}


def _arm() -> dict[str, ArraySpec]:
    """Joint targets, in state as in action; the gripper is 0 closed, 1 open."""
    return {
        "joints": ArraySpec((ARM_JOINTS,), unit="rad", convention="joints_absolute"),
        "gripper": ArraySpec((1,), convention="open_is_1", low=0.0, high=1.0),
    }


def _hand() -> dict[str, ArraySpec]:
    """Position [m] and rotation in one vector, as upstream has it: x, y, z, and the quaternion w first."""
    return {"hand": ArraySpec((7,), unit="m", frame="world", convention="position_quat_wxyz")}

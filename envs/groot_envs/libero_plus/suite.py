"""The suite side of `libero_plus`: protocols, the recipe of its environment, and its tasks, once that is made.

LIBERO-plus states no license: nothing of it is part of this package, its list of variants neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from groot_bench.protocol import Protocol
from groot_bench.setup.recipe import Assets, Recipe, Repository
from groot_bench.suite import Suite, Task
from groot_envs.libero.specs import CAPS_OFT, IMAGE, VARIABLES, config_files, gym_edit, libero_task
from groot_envs.libero.tasks import instruction
from groot_envs.libero_plus.tasks import BASE_WORDS, OFFICIAL
from groot_envs.libero_plus.variants import CLASSIFICATION, find, read

PACKAGE = "{folder}/LIBERO-plus/libero/libero"

RECIPE = Recipe(
    requirements="libero_plus.txt",
    check="libero_goal/layout/turn_on_the_stove_add_1",  # it has an object that LIBERO does not have
    repositories=(
        Repository(
            name="LIBERO-plus",
            url="https://github.com/sylvestf/LIBERO-plus.git",
            commit="4976dc30028e805ff8094b55501d532c48fec182",
            sparse=("libero/libero",),
            holds={
                f"libero/libero/{CLASSIFICATION.as_posix()}": 1,
                "libero/libero/bddl_files/libero_*/*.bddl": 8000,
                "libero/libero/init_files/libero_newobj/*/*.pruned_init": 1500,
            },
            about="100 MB; states no license",
        ),
    ),
    assets=(
        Assets(
            name="assets",
            holds={
                "scenes/**/*.xml": 1000,
                "new_objects/**/*.xml": 100,
                "textures/*": 100,
                "stable_hope_objects/**/*.xml": 10,
            },
            command=("{python}", str(Path(__file__).with_name("fetch_assets.py")), "{target}"),
            links={f"{PACKAGE}/assets": ""},
            about="LIBERO's, and hundreds of objects and thousands of scenes; several GB; states no license",
        ),
    ),
    edits=(gym_edit("LIBERO-plus/libero/libero"),),
    files=config_files(PACKAGE),
    seconds=900,
)


def make_suite() -> Suite:
    """The suite; the entry point of group `groot_bench.suites`."""
    return Suite(
        name="libero_plus",
        version=1,
        tasks={},
        protocols=_protocols({}),
        env="groot_envs.libero_plus.env:make_env",
        packages=("robosuite", "mujoco", "numpy", "bddl", "scikit-image", "scipy", "opencv-python-headless", "Wand"),
        # Pictures with noise are as exact as the packages that blur them.
        pins={"robosuite": "1.4.0", "mujoco": "3.8.1", "bddl": "1.0.1", "numpy": "1.26.4", "scikit-image": "0.25.2"},
        install="groot-bench setup libero_plus",
        recipe=RECIPE,
        variables={**VARIABLES, "PYTHONUTF8": "1"},  # bddl reads files in the locale's encoding
        complete=_complete,
    )


def _complete(suite: Suite) -> Suite:
    """The suite with the variants that are installed; ImageMagick's version goes into the manifest."""
    assert suite.python is not None
    installed = find(suite.python, suite.paths)
    template = libero_task("", "", 1)
    tasks: dict[str, Task] = {}
    for name, (variant, difficulty) in read(installed.package / CLASSIFICATION).items():
        about = instruction(variant.base) + (f"; difficulty {difficulty}" if difficulty else "")
        tasks[name] = replace(template, name=name, about=about, starts=variant.fixed_starts)
    settings = {**suite.settings, "imagemagick": installed.magick}
    return replace(suite, tasks=tasks, protocols=_protocols(tasks), settings=settings)


def _protocols(tasks: Mapping[str, Task]) -> dict[str, Protocol]:
    """Upstream's rules, and the same without the parameters that upstream's instructions have as words."""
    official = Protocol(
        name=OFFICIAL,
        start_states="fixed",
        step_caps={task: CAPS_OFT[task.partition("/")[0]] for task in tasks},
        actions_per_query=8,
        episodes_per_task=1,
        control_hz=20.0,
        settle_steps=10,
        image=IMAGE,
        language="the words of the variant's file name, its parameters among them; reworded ones from their BDDL file",
        source="LIBERO-plus (sylvestf/LIBERO-plus @ 4976dc3) under the rules of OpenVLA-OFT's client, one episode each",
    )
    base = replace(
        official,
        name=BASE_WORDS,
        language="the words of the LIBERO task's file name; reworded ones from their BDDL file",
        source=f"{OFFICIAL}, with the instruction that the variant's task has in LIBERO",
    )
    return {protocol.name: protocol for protocol in (official, base)}

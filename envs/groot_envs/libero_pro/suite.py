"""The suite side of `libero_pro`: its tasks are those that were set up. Imports neither LIBERO nor MuJoCo."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from groot_bench.errors import SuiteNotReady
from groot_bench.protocol import Protocol
from groot_bench.setup.recipe import Assets, Recipe, Repository
from groot_bench.suite import Suite
from groot_envs.libero.specs import CAPS_OFT, VARIABLES, gym_edit, libero_task
from groot_envs.libero.starts import read_states
from groot_envs.libero.suite import make_suite as make_libero
from groot_envs.libero.tasks import FIXED_STARTS, task_names
from groot_envs.libero_pro import places
from groot_envs.libero_pro.problem import read_instruction
from groot_envs.libero_pro.tasks import FILE_NAMES, OFFICIAL, cell, find_parts, published_names, task_files

# Upstream's commit of 2026-01-09: the one of October 2025 has the classes of the new objects, but not their models.
SOURCE = Repository(
    name=places.SOURCE,
    url="https://github.com/Zxy-MLlab/LIBERO-PRO.git",
    commit="13613f0cc90e3869b157d34f7a88e7d6041cd423",
    sparse=("libero/libero", "libero_ood"),
    holds={
        "libero/libero/envs/**/*.py": 30,
        "libero/libero/assets/**/*.xml": 130,
        "libero/libero/bddl_files/**/*.bddl": 40,
    },
    about="350 MB; code MIT, assets CC BY 4.0",
)

TASKS = Assets(
    name=places.TASKS,
    holds={"bddl_files/libero_*/*.bddl": 1, "init_files/libero_*/*.pruned_init": 1},
    command=("{python}", str(Path(__file__).with_name("fetch_tasks.py")), "{target}"),
    about="the perturbed tasks and their initial states, 2 MB",
)

RECIPE = Recipe(
    requirements="libero_pro.txt",
    check="libero_goal/turn_on_the_stove",
    repositories=(SOURCE,),
    assets=(TASKS,),
    edits=(gym_edit(f"{places.SOURCE}/libero/libero"),),
    files={
        "venv/libero_config/config.yaml": f"benchmark_root: {{folder}}/{places.SOURCE}/libero/libero\n"
        f"bddl_files: {{folder}}/{places.TASKS}/bddl_files\n"
        f"init_states: {{folder}}/{places.TASKS}/init_files\n"
        "datasets: {folder}/datasets\n"
        f"assets: {{folder}}/{places.SOURCE}/libero/libero/assets\n",
    },
    seconds=180,
)


def make_suite() -> Suite:
    """The suite; the entry point of group `groot_bench.suites`. Until it is set up, its tasks are upstream's 200."""
    libero = make_libero()
    suite = Suite(
        name=places.NAME,
        version=1,
        tasks={},
        protocols={},
        env="groot_envs.libero_pro.env:make_env",
        packages=("robosuite", "mujoco", "numpy", "bddl"),
        pins={name: pin for name, pin in libero.pins.items() if name != "hf-libero"},
        install="groot-bench setup libero_pro",
        recipe=RECIPE,
        # Some of the instructions have characters that are not ASCII, and bddl reads files in the locale's encoding.
        variables={**VARIABLES, "PYTHONUTF8": "1"},
        complete=_complete,
    )
    return _with_tasks(suite, {name: "" for name in published_names()})


def _complete(suite: Suite) -> Suite:
    """The suite with the tasks whose files are there, each of which has been read.

    Raises:
        SuiteNotReady: a file is missing, or is not what it should be.
    """
    assert suite.python is not None
    try:
        parts = find_parts(places.roots(suite.python, suite.paths))
        instructions = {}
        for name, part in parts.items():
            for task in part.tasks:
                bddl, starts = task_files(part, f"{name}/{task}")
                instructions[f"{name}/{task}"] = read_instruction(bddl)
                count = len(read_states(starts))
                if count != FIXED_STARTS:
                    raise ValueError(f"{starts} has {count} initial states, not {FIXED_STARTS}")
    except (OSError, ValueError) as problem:
        raise SuiteNotReady(f"not all of its tasks can be read: {problem}") from None
    made = _with_tasks(suite, {name: instructions[name] for name in _in_order(instructions)})
    # All of it goes into the manifest: numbers of other tasks, objects or pictures are other numbers.
    files = {name: part.digest for name, part in parts.items()}
    return replace(made, settings={**suite.settings, **places.source(suite.paths), "files": files})


def _in_order(names: Collection[str]) -> list[str]:
    """By part as they come, and in a part as in LIBERO's benchmark; what LIBERO does not have comes last."""
    order = {name.partition("/")[2]: number for number, name in enumerate(task_names())}
    parts = {name: number for number, name in enumerate(dict.fromkeys(name.partition("/")[0] for name in names))}

    def place(name: str) -> tuple[int, int, str]:
        part, _, task = name.partition("/")
        return parts[part], order.get(task, len(order)), task

    return sorted(names, key=place)


def _with_tasks(suite: Suite, instructions: Mapping[str, str]) -> Suite:
    """The suite with these tasks -> their definitions' instructions, and protocols with their caps."""
    tasks = {name: libero_task(name, _about(name, words), FIXED_STARTS) for name, words in instructions.items()}
    protocols = {protocol.name: protocol for protocol in _protocols(tasks)}
    return replace(suite, tasks=tasks, protocols=protocols)


def _about(name: str, words: str) -> str:
    base, column = cell(name)
    return f"{column} of {base}: {words}" if words else f"{column} of {base}"


def _protocols(tasks: Iterable[str]) -> tuple[Protocol, ...]:
    """OpenVLA-OFT's rules, and two sources of the instruction; see docs/libero_pro.md."""
    official = replace(
        make_libero().protocol("libero/oft-50"),
        name=OFFICIAL,
        step_caps={name: CAPS_OFT[cell(name)[0]] for name in tasks},
        language="the :language of the task's definition, in lower case",
        source="LIBERO-PRO's README (2b910b5: TASK_MAX_STEPS) and libero/evaluation/runner.py (8af465d)",
    )
    file_names = replace(
        official,
        name=FILE_NAMES,
        language="the words of the task's file name, which perturbations do not change",
        source="LIBERO-PRO's libero/benchmark/__init__.py, whose Task.language OpenVLA-OFT's client passes on",
    )
    return official, file_names

"""The suite side of `libero`: specs, protocols and the recipe of its environment. Imports neither LIBERO nor MuJoCo."""

from __future__ import annotations

from groot_bench.protocol import Protocol
from groot_bench.setup.recipe import Assets, Recipe, Repository
from groot_bench.suite import Suite
from groot_envs.libero.specs import CAPS_OFT, IMAGE, VARIABLES, config_files, libero_task
from groot_envs.libero.tasks import FIXED_STARTS, instruction, task_names

CAPS_N15 = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 600, "libero_10": 1000, "libero_90": 400}
CAPS_N16 = dict.fromkeys(CAPS_OFT, 720)

LIBERO = Repository(
    name="LIBERO",
    url="https://github.com/Lifelong-Robot-Learning/LIBERO.git",
    commit="8f1084e3132a39270c3a13ebe37270a43ece2a01",
    sparse=("libero/libero/assets",),
    path=None,
    about="206 MB; code MIT, assets CC BY 4.0",
)

# The code, the task files and the initial states are in the wheel hf-libero; the assets are not. Its environment is a
# whole one of its own, without torch (2 GB, which LIBERO needs only to load the initial states; `starts.py` reads
# them): a folder laid over the harness's packages would tie robosuite 1.4 to whatever mujoco and numpy those have, and
# the pinned versions are part of what is measured.
RECIPE = Recipe(
    requirements="libero.txt",
    check="libero_goal/turn_on_the_stove",
    assets=(
        Assets(
            name="assets",
            holds={"**/*.xml": 100, "scenes/*.xml": 5, "textures/*": 10, "**/*.stl": 10},
            repository=LIBERO,
            inside="libero/libero/assets",
            links={"{site}/libero/libero/assets": ""},
            about="206 MB; CC BY 4.0",
        ),
    ),
    files=config_files("{site}/libero/libero"),
    seconds=120,
)


def make_suite() -> Suite:
    """The suite; the entry point of group `groot_bench.suites`."""
    return Suite(
        name="libero",
        version=1,
        tasks={name: libero_task(name, instruction(name), FIXED_STARTS) for name in task_names()},
        protocols={protocol.name: protocol for protocol in _protocols()},
        env="groot_envs.libero.env:make_env",
        packages=("hf-libero", "robosuite", "mujoco", "numpy", "bddl"),
        pins={"hf-libero": "0.1.4", "robosuite": "1.4.0", "mujoco": "3.8.1", "bddl": "1.0.1"},
        install="groot-bench setup libero",
        recipe=RECIPE,
        variables=VARIABLES,
    )


def _protocols() -> tuple[Protocol, ...]:
    return (
        _protocol(
            "libero/oft-50",
            CAPS_OFT,
            start_states="fixed",
            settle_steps=10,
            actions_per_query=8,
            episodes_per_task=50,
            source="OpenVLA-OFT (moojink/openvla-oft @ 213c5ff); also openpi (5 actions a query), starVLA, Being-H",
        ),
        _protocol(
            "libero/groot-n16",
            CAPS_N16,
            start_states="sampled",
            settle_steps=0,
            actions_per_query=8,
            episodes_per_task=20,
            source="Isaac-GR00T N1.6 and N1.7: gr00t/eval/sim/LIBERO/libero_env.py, README",
        ),
        _protocol(
            "libero/groot-n15",
            CAPS_N15,
            start_states="fixed",
            settle_steps=10,
            actions_per_query=1,
            episodes_per_task=5,
            source="Isaac-GR00T N1.5: examples/Libero/eval/run_libero_eval.py",
        ),
    )


def _protocol(
    name: str,
    caps: dict[str, int],
    *,
    start_states: str,
    settle_steps: int,
    actions_per_query: int,
    episodes_per_task: int,
    source: str,
) -> Protocol:
    """What the three have in common: 20 Hz, success at any step ends the episode, 256 px, file-name language."""
    return Protocol(
        name=name,
        start_states=start_states,
        step_caps={task: caps[task.partition("/")[0]] for task in task_names()},
        actions_per_query=actions_per_query,
        episodes_per_task=episodes_per_task,
        control_hz=20.0,
        settle_steps=settle_steps,
        image=IMAGE,
        language="the words of the task's file name",
        source=source,
    )

"""What the suites of LIBERO's family share: what a task observes and takes, caps, pictures, and where its files lie."""

from __future__ import annotations

from groot_bench.spec import ACTION, STATE, ArraySpec
from groot_bench.suite import Task
from groot_envs.libero.tasks import CAMERAS, LANGUAGE, POSE

# robosuite's own picture at the size that every client asks for: shadow maps, reflections, four samples per pixel.
IMAGE = {"width": 256, "height": 256, "shadows": True, "samples": 4}

# Most control steps of an episode after the settle steps, by LIBERO's suite; reference/protocols.md 2.5. OpenVLA's are
# the longest demonstrations, rounded up.
CAPS_OFT = {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520, "libero_90": 400}

VARIABLES = {
    "MUJOCO_GL": "egl",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def config_files(package: str) -> dict[str, str]:
    """For `Recipe.files`: the file that tells LIBERO where it lies, without which it asks at the terminal.

    Args:
        package: the folder `libero/libero`; may name the recipe's places.
    """
    lines = (
        f"benchmark_root: {package}",
        f"bddl_files: {package}/bddl_files",
        f"init_states: {package}/init_files",
        "datasets: {folder}/datasets",
        f"assets: {package}/assets",
    )
    return {"venv/libero_config/config.yaml": "".join(f"{line}\n" for line in lines)}


def gym_edit(package: str) -> tuple[str, str, str]:
    """For `Recipe.edits`: without it a package that descends from LIBERO cannot be imported.

    The module of vectorized environments, which nothing here uses, is imported with all others; gym has no version for
    these Pythons and this NumPy, and gymnasium is what hf-libero takes in its place.

    Args:
        package: the folder `libero/libero`, seen from the suite's folder.
    """
    return f"{package}/envs/venv.py", "import gym\n", "import gymnasium as gym\n"


def libero_task(name: str, about: str, starts: int) -> Task:
    """The task of that name: the same robot, cameras and controller in all of them.

    Args:
        name, about, starts: see `Task`.
    """
    frame = ArraySpec(
        (1, int(IMAGE["height"]), int(IMAGE["width"]), 3),
        "uint8",
        unit="rgb",
        convention="half_turned",
        low=0,
        high=255,
    )
    observation = {key: frame for key in CAMERAS}
    observation.update({STATE + part: _coordinate(part) for part in POSE})
    observation[STATE + "gripper"] = ArraySpec((1, 2), unit="m", convention="finger_joints")
    observation[STATE + "joint_position"] = ArraySpec((1, 7), unit="rad")
    observation[LANGUAGE] = ArraySpec((), "str", unit="text")
    action = {ACTION + part: _command(part) for part in POSE}
    action[ACTION + "gripper"] = ArraySpec((1,), convention="open_is_1", low=0.0, high=1.0)
    return Task(name, observation, action, about=about, starts=starts)


def _coordinate(part: str) -> ArraySpec:
    """Of the hand in the world; roll, pitch and yaw are really the components of an axis-angle vector."""
    if part in POSE[:3]:
        return ArraySpec((1, 1), unit="m", frame="world")
    return ArraySpec((1, 1), unit="rad", frame="world", convention=f"axis_angle_{'xyz'[POSE.index(part) - 3]}")


def _command(part: str) -> ArraySpec:
    """+-1 is 0.05 m or 0.5 rad (axis-angle) from where the hand is now, along the axes of the robot's base."""
    what = "osc_delta_0.05m" if part in POSE[:3] else "osc_delta_axis_angle_0.5rad"
    return ArraySpec((1,), frame="base", convention=what, low=-1.0, high=1.0)

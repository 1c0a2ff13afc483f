"""RoboTwin's task object as upstream's evaluation makes it, and what its episodes would leave behind for the next ones.

Importing this module imports SAPIEN, torch and RoboTwin's package `envs`, and goes to its folder: upstream opens its
assets by relative paths.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.util
import io
import os
import sys
from typing import Any, Iterator, Mapping

import numpy as np


def find_root() -> str:
    """The folder of RoboTwin's source: the parent of the `envs` that this interpreter finds.

    Raises:
        ImportError: there is none, or it is another package of that name.
    """
    spec = importlib.util.find_spec("envs")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if os.path.isfile(os.path.join(folder, "_base_task.py")):
            return os.path.dirname(os.path.abspath(folder))
    raise ImportError("no RoboTwin in this interpreter: `envs/_base_task.py` of its stable_2.0 is not on sys.path")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """For imports: SAPIEN and upstream print there which optional packages they did not find, tracebacks included, and
    would hide what an error really says."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


ROOT = find_root()
os.chdir(ROOT)

import yaml  # noqa: E402

with silence():
    import sapien.core as sapien


class FingerPlanner:
    """The planner of an evaluation with joint targets, which only opens and closes fingers.

    Upstream plans nothing else then, and its own planner would take a GPU and half a minute to warm up.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        del arguments, settings

    def plan_path(self, *arguments: Any, **settings: Any) -> Any:
        raise RuntimeError("this environment takes joint targets and has no motion planner")

    plan_batch = plan_path


def _load_robots() -> Any:
    """Upstream's module of the robot. It imports its planner CuRobo whether or not anything is planned; where CuRobo
    is absent, `FingerPlanner` has its place."""
    with silence():
        try:
            importlib.import_module("envs.robot")
        except ImportError:
            planner = sys.modules.get("envs.robot.planner")
            if planner is None or hasattr(planner, "CuroboPlanner"):
                raise
            planner.CuroboPlanner = FingerPlanner
        robots = importlib.import_module("envs.robot.robot")
    FingerPlanner.plan_grippers = robots.MplibPlanner.plan_grippers  # the same numbers as CuRobo's class has
    return robots


robots = _load_robots()
with silence():
    BASE = importlib.import_module("envs._base_task").Base_Task
CLUTTER_LIMITS = copy.deepcopy(BASE.get_cluttered_table.__defaults__)


def use_no_planner() -> None:
    """Joint targets need no motion planner."""
    robots.CuroboPlanner = FingerPlanner


def require_planner() -> None:
    """Raises ImportError where CuRobo, which answers hand poses and drives the scripted expert, is not installed."""
    if robots.CuroboPlanner is FingerPlanner:
        raise ImportError("CuRobo v0.7.8 is not installed in this interpreter; see docs/robotwin.md")


def read_configuration(config: str, task: str) -> dict[str, Any]:
    """Upstream's task configuration with its robot, as `script/eval_policy.py` puts it together."""
    arguments = _read("task_config/%s.yml" % config)
    robot_files = _read("task_config/_embodiment_config.yml")
    camera = _read("task_config/_camera_config.yml")[arguments["camera"]["head_camera_type"]]
    names = arguments["embodiment"]
    folders = [robot_files[name]["file_path"] for name in names[:2]]
    arguments.update(
        task_name=task,
        task_config=config,
        eval_mode=True,
        eval_video_log=False,
        render_freq=0,
        head_camera_h=camera["h"],
        head_camera_w=camera["w"],
        left_robot_file=folders[0],
        right_robot_file=folders[-1],
        dual_arm_embodied=len(names) == 1,
    )
    if len(names) == 3:
        arguments["embodiment_dis"] = names[2]
    for side in ("left", "right"):
        arguments[side + "_embodiment_config"] = _read(os.path.join(arguments[side + "_robot_file"], "config.yml"))
    return arguments


def _read(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def make_task(name: str, picture: Mapping[str, Any]) -> Any:
    """A new object of upstream's task class that renders as `picture` says.

    Args:
        picture: "shader" ("rt" or "default"), and for "rt" "samples" per pixel, "depth" of paths, "denoiser".
    """
    base = getattr(importlib.import_module("envs." + name), name)

    class Pictured(base):
        def setup_scene(self, **settings: Any) -> None:
            super().setup_scene(**settings)
            sapien.render.set_camera_shader_dir(picture["shader"])  # of the cameras, which come later
            if picture["shader"] == "rt":
                sapien.render.set_ray_tracing_samples_per_pixel(picture["samples"])
                sapien.render.set_ray_tracing_path_depth(picture["depth"])
                sapien.render.set_ray_tracing_denoiser(picture["denoiser"])

    return Pictured()


def require_denoiser(picture: Mapping[str, Any]) -> None:
    """Raises RuntimeError where the denoiser cannot run: SAPIEN prints a line and goes on with noisy pictures."""
    if picture.get("denoiser") != "oidn":
        return
    try:
        sapien.Device("cuda")
    except (RuntimeError, AttributeError) as problem:
        raise RuntimeError(
            "the protocol's pictures are denoised by OIDN, which needs a CUDA device (%s); without one, use a protocol "
            "that ends in -raster, which is not comparable with published numbers" % problem
        ) from None


def forget_history() -> None:
    """Upstream's clutter adds to the limits that are its default arguments, so that they drift from episode to
    episode (its pull request 509); they are put back."""
    BASE.get_cluttered_table.__defaults__ = copy.deepcopy(CLUTTER_LIMITS)


def scene(task: Any) -> dict[str, np.ndarray]:
    """The physical scene: poses [m, wxyz] of all actors, joints of the robot, colors of the lights."""
    actors = sorted(task.scene.get_all_actors(), key=lambda actor: actor.get_name())
    names = "\n".join(actor.get_name() for actor in actors)
    entities = {id(entity): entity for entity in (task.robot.left_entity, task.robot.right_entity)}
    lights = [light.get_color() for light in [*task.direction_light_lst, *task.point_light_lst]]
    return {
        "actors": np.array([[*actor.get_pose().p, *actor.get_pose().q] for actor in actors], dtype=np.float64),
        "names": np.frombuffer(names.encode("utf-8"), dtype=np.uint8).copy(),
        "qpos": np.concatenate([np.asarray(entity.get_qpos()) for entity in entities.values()]),
        "qvel": np.concatenate([np.asarray(entity.get_qvel()) for entity in entities.values()]),
        "lights": np.array(lights, dtype=np.float64),
        "textures": np.frombuffer(str(task.info["texture_info"]).encode("utf-8"), dtype=np.uint8).copy(),
    }


def instructions(task: str, info: Mapping[str, str], split: str) -> list[str]:
    """Upstream's instructions for what the expert said of the scene; draws from `random`, which the caller seeds.

    Args:
        split: "seen" or "unseen".

    Raises:
        ValueError: none fits.
    """
    folder = os.path.join(ROOT, "description", "utils")
    if folder not in sys.path:
        sys.path.append(folder)
    generator = importlib.import_module("generate_episode_instructions")
    results = generator.generate_episode_descriptions(task, [dict(info)], 100)
    found = results[0][split] if results else []
    if not found:
        raise ValueError("no %s instruction of task %r fits %r" % (split, task, dict(info)))
    return list(found)


def unstable_error() -> type:
    """What upstream raises where a scene does not come to rest."""
    return importlib.import_module("envs.utils.create_actor").UnStableError

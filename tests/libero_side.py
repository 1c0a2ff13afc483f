"""What tests ask of LIBERO itself; run by LIBERO's own interpreter, where groot_bench and pytest need not be.

    python libero_side.py ENVS QUESTION [ARGUMENT ...]

prints one JSON value on its last line. ENVS is the folder that holds groot_envs. "Bare" means LIBERO as its own
documentation uses it: OffScreenRenderEnv, hard resets, its observables.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import sys
from typing import Any

import numpy as np

sys.path.insert(0, sys.argv[1])

from groot_envs.libero import simulator
from groot_envs.libero.env import HOLD, make_env
from groot_envs.libero.starts import read_states
from groot_envs.libero.tasks import CAMERAS, POSE
from groot_envs.physics import scene

IMAGE = {"width": 128, "height": 128, "shadows": True, "samples": 4}
STATE = [*("state." + part for part in POSE), "state.gripper"]


def ours(task: str, cameras: bool = False, start_states: str = "fixed", settle_steps: int = 10) -> Any:
    cameras_ = list(CAMERAS) if cameras else []
    settings = {"image": IMAGE, "cameras": cameras_, "settle_steps": settle_steps, "start_states": start_states}
    return make_env(task, settings)


def bare(task: str, cameras: bool = False) -> Any:
    from libero.libero.envs.env_wrapper import ControlEnv

    return ControlEnv(
        bddl_file_name=f"{simulator.folders('libero')[0]}/{task}.bddl",
        has_offscreen_renderer=cameras,
        use_camera_obs=cameras,
        camera_heights=IMAGE["height"],
        camera_widths=IMAGE["width"],
    )


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed([number >> 32, number & 0xFFFFFFFF])


def modality(native: np.ndarray) -> dict[str, np.ndarray]:
    """A native action as the harness sends it."""
    action = {"action." + part: native[i : i + 1].astype(np.float32) for i, part in enumerate(POSE)}
    return {**action, "action.gripper": np.array([0.5 * (1.0 - native[6])], np.float32)}


def drawn_actions(count: int) -> np.ndarray:
    actions = np.random.default_rng(0).uniform(-1, 1, (count, 7)).astype(np.float32).astype(float)
    actions[:, 6] = np.sign(actions[:, 6])
    return actions


def equal(task: str, cameras: str, pairs: str) -> dict[str, Any]:
    """What differs, bit by bit, between a reset of ours after a history and a bare hard reset in a new environment."""
    with_cameras, actions, differing = cameras == "cameras", drawn_actions(4), set()
    env = ours(task, with_cameras)
    env.reset(5, 7)
    for action in 10 * [np.array([0.3, 0.1, -1.0, 0.0, 0.0, 0.2, 1.0])]:
        env.step(modality(action))
    for number, index in ((2**63 + 12345, 3), (77, 4))[: int(pairs)]:
        env.reset(number, index)
        lived = []
        for action in actions:
            success = env.step(modality(action)).success
            lived.append((env.observe([*STATE, *env._cameras]), success, env._env.sim.data.qpos.copy()))
        # Only now: bare, it draws into whichever GL context is current, and that is its own from here on.
        other = bare(task, with_cameras)
        seed(number)
        other.reset()
        other.set_init_state(read_states(f"{simulator.folders('libero')[1]}/{task}.pruned_init")[index])
        for _ in range(10):
            other.step(HOLD)
        theirs = scene(other.env.sim.model, other.env.sim.data)
        differing |= {name for name, values in env.scene().items() if values.tobytes() != theirs[name].tobytes()}
        for action, (seen, success, positions) in zip(actions, lived, strict=True):
            observed, _, done, _ = other.step(action)
            differing |= _differing(seen, observed)
            if success != done or (positions != other.env.sim.data.qpos).any():
                differing.add("trajectory")
        other.close()
    return {"differing": sorted(differing)}


def _differing(seen: dict[str, np.ndarray], observed: dict[str, np.ndarray]) -> set[str]:
    from robosuite.utils.transform_utils import quat2axisangle

    rotation = quat2axisangle(np.array(observed["robot0_eef_quat"]))
    vector = np.concatenate([observed["robot0_eef_pos"], rotation, observed["robot0_gripper_qpos"]])
    found = set()
    if not np.array_equal(np.concatenate([seen[name][0] for name in STATE]), vector.astype(np.float32)):
        found.add("state")
    for key, camera in CAMERAS.items():
        if key in seen and not np.array_equal(seen[key][0], observed[camera + "_image"][::-1, ::-1]):
            found.add(key)
    return found


def drift(task: str, fixture: str) -> dict[str, Any]:
    """How far a fixture moves [m] between resets to one initial state: bare, seeded once; and ours."""
    other = bare(task)
    other.seed(0)
    state = read_states(f"{simulator.folders('libero')[1]}/{task}.pruned_init")[0]
    places = []
    for _ in range(4):
        other.reset()
        other.set_init_state(state)
        places.append(other.env.sim.data.get_body_xpos(fixture).copy())
    env, own = ours(task, settle_steps=0), []
    for number in (1, 2, 1):
        env.reset(number, 0)
        own.append(env._env.sim.data.get_body_xpos(fixture).copy())
    return {
        "bare": float(max(np.linalg.norm(a - b) for a in places for b in places)),
        "ours_same_seed": float(np.linalg.norm(own[0] - own[2])),
        "ours_other_seed": float(np.linalg.norm(own[0] - own[1])),
    }


def stale_goal(task: str) -> dict[str, float]:
    """How far [m, rad] ten settle steps pull the hand from the initial state's pose, though they command no motion."""
    env = ours(task, settle_steps=0)
    env.reset(1, 3)
    data, site = env._env.sim.data, env._env.robots[0].eef_site_id
    before, turned = data.site_xpos[site].copy(), data.site_xmat[site].reshape(3, 3).copy()
    for _ in range(10):
        env._execute(HOLD)
    angle = np.arccos(np.clip((np.trace(turned.T @ data.site_xmat[site].reshape(3, 3)) - 1) / 2, -1, 1))
    return {"position": float(np.linalg.norm(data.site_xpos[site] - before)), "rotation": float(angle)}


def untouched(task: str) -> dict[str, Any]:
    """Fields of the model that a history has changed for good, that is, beyond what a reset puts back."""
    env, fresh = ours(task), ours(task)
    for number in range(3):
        env.reset(number, number)
        for action in drawn_actions(30):
            env.step(modality(action))
    env.reset(9, 9), fresh.reset(9, 9)
    one, two = env._env.sim.model._model, fresh._env.sim.model._model
    names = [name for name in dir(one) if isinstance(getattr(one, name), np.ndarray)]
    return {"changed": [name for name in names if getattr(one, name).tobytes() != getattr(two, name).tobytes()]}


def visit(*tasks: str) -> dict[str, str]:
    """Builds, resets and steps each task, and forces its goal; task -> "forced", "not forced", or what went wrong."""
    found = {}
    for task in tasks:
        try:
            found[task] = _visit(task)
        except Exception as problem:  # noqa: BLE001  # the test names every task that failed
            found[task] = f"{type(problem).__name__}: {problem}"
        gc.collect()
    return found


def _visit(task: str) -> str:
    env = ours(task)
    env.reset(1, 49)
    for action in drawn_actions(3):
        if env.step(modality(action)).success:
            return "succeeds at once"
    if not all(np.isfinite(values).all() for values in env.observe(STATE).values()):
        return "state is not finite"
    done = any(_forced(env, height, gap) for gap in (0.06, 0.0) for height in (0.0, 0.03, 0.08, 0.15, -0.03))
    env.close()
    return "forced" if done else "not forced"


def _forced(env: Any, height: float, gap: float) -> bool:
    """Puts everything where the goal wants it, lets it fall for two seconds, and asks the environment.

    Args:
        height: above the place [m].
        gap: between two things in one place [m].
    """
    env.reset(1, 0)
    inner = env._env
    goals = inner.parsed_problem["goal_state"]
    for kind, name in (goal for goal in goals if len(goal) == 2):
        thing = inner.get_object(name)
        parent = inner.get_object(getattr(thing, "parent_name", name))
        low, high = parent.object_properties["articulation"][f"default_{kind}_ranges"]
        ends = {"close": high, "turnoff": low}  # LIBERO's own tests ask for beyond the middle of these two
        inner.object_states_dict[name].set_joint(ends.get(kind, 0.5 * (low + high)))
    inner.sim.forward()  # what is put into a drawer goes to where the drawer is now
    # What something is put on is put first.
    places = sorted((goal for goal in goals if len(goal) == 3), key=lambda goal: goal[2] in inner.objects_dict)
    for number, (_, name, where) in enumerate(places):
        aside = gap * (number - 0.5 * (len(places) - 1)) if len({goal[2] for goal in places}) < len(places) else 0.0
        joint = inner.get_object(name).joints[-1]
        pose = np.array(inner.sim.data.get_joint_qpos(joint))
        pose[:3] = inner.object_states_dict[where].get_geom_state()["pos"] + np.array([aside, 0.0, height])
        inner.sim.data.set_joint_qpos(joint, pose)
        inner.sim.forward()
    try:
        return any(env.step(modality(HOLD)).success for _ in range(40))
    except FloatingPointError:  # put into each other, things can fly apart
        return False


def memory(task: str, resets: str) -> dict[str, float]:
    """Resident memory [MiB] after the first reset and after many more, with both cameras rendered at each."""
    env, sizes = ours(task, cameras=True), []
    for number in range(int(resets) + 1):
        env.reset(number, number % 50)
        env.observe(list(CAMERAS))
        if number in (5, int(resets)):
            with open("/proc/self/statm") as file:
                sizes.append(int(file.read().split()[1]) * resource.getpagesize() / 2**20)
    return {"before": sizes[0], "after": sizes[1]}


if __name__ == "__main__":
    questions = {function.__name__: function for function in (equal, drift, stale_goal, untouched, visit, memory)}
    print(json.dumps(questions[sys.argv[2]](*sys.argv[3:])))  # noqa: T201

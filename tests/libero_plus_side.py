"""What tests ask of LIBERO-plus itself; run by its own interpreter, where groot_bench and pytest need not be.

    python libero_plus_side.py ENVS QUESTION [ARGUMENT ...]

prints one JSON value on its last line. "Bare" means LIBERO-plus as its README uses it: `OffScreenRenderEnv` of the
variant's file name, hard resets, its observables, noise from the global generator.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
from libero_side import IMAGE, STATE, _differing, drawn_actions, modality, seed

from groot_envs.libero import simulator
from groot_envs.libero.env import HOLD
from groot_envs.libero.starts import read_states
from groot_envs.libero_plus.env import make_env
from groot_envs.libero_plus.tasks import BASE_WORDS, OFFICIAL, parse
from groot_envs.physics import scene


def ours(task: str, protocol: str = OFFICIAL, settle_steps: int = 10) -> Any:
    cameras = ["video.image", "video.wrist_image"]
    settings = {"image": IMAGE, "cameras": cameras, "settle_steps": settle_steps, "start_states": "fixed"}
    return make_env(task, {**settings, "protocol": protocol})


def bare(task: str) -> Any:
    from libero.libero.envs import OffScreenRenderEnv

    # As `Benchmark.get_task_bddl_file_path` makes it; the environment itself reads the parameters out of the name.
    suite, _, name = task.split("/")
    path = os.path.join(simulator.folders("libero_plus")[0], suite, name + ".bddl")
    size = {"camera_heights": IMAGE["height"], "camera_widths": IMAGE["width"]}
    if not os.path.exists(path):  # upstream asks for the file of the part before "_view_"
        assert "_view_" in name
    return OffScreenRenderEnv(bddl_file_name=path, **size)


def equal(task: str) -> dict[str, Any]:
    """What differs, bit by bit, between a reset of ours after a history and a bare hard reset in a new environment,
    whose generator is set before each step to what ours has for its noise then."""
    env, actions, number, differing = ours(task), drawn_actions(3), 2**63 + 12345, set()
    env.reset(5, 0)
    for action in 5 * [np.array([0.3, 0.1, -1.0, 0.0, 0.0, 0.2, 1.0])]:
        env.step(modality(action))
    instruction = env.reset(number, 0)
    lived = []
    for action in actions:
        success = env.step(modality(action)).success
        lived.append((env.observe([*STATE, *env._cameras]), success, env._env.sim.data.qpos.copy()))
    other = bare(task)
    seed(number)
    other.reset()
    other.set_init_state(read_states(f"{simulator.folders('libero_plus')[1]}/{parse(task).starts}")[0])
    for _ in range(10):
        other.step(HOLD)
    theirs = scene(other.env.sim.model, other.env.sim.data)
    differing |= {name for name, values in env.scene().items() if values.tobytes() != theirs[name].tobytes()}
    for count, (action, (seen, success, positions)) in enumerate(zip(actions, lived, strict=True), 11):
        np.random.seed([number >> 32, number & 0xFFFFFFFF, count])
        observed, _, done, _ = other.step(action)
        differing |= _differing(seen, observed)
        if success != done or (positions != other.env.sim.data.qpos).any():
            differing.add("trajectory")
    robot = type(other.env.robots[0].robot_model).__name__
    return {"differing": sorted(differing), "robot": robot, "instruction": instruction}


def noise(task: str) -> dict[str, Any]:
    """Whether the fixed camera's picture depends on how often, and after what, one looks; and what is noisy at all."""
    env = ours(task)
    action = modality(drawn_actions(1)[0])
    pictures = []
    for looks, number in ((0, 7), (3, 7), (0, 8)):
        env.reset(number, 0)
        for _ in range(looks):
            env.observe(["video.image"])
        np.random.uniform(size=looks)
        env.step(action)
        before = np.random.get_state()[1].copy()
        pictures.append(env.observe(["video.image", "video.wrist_image"]))
        assert (before == np.random.get_state()[1]).all()
    env._noise = 0
    plain = env.observe(["video.image", "video.wrist_image"])
    one, two, three = (picture["video.image"] for picture in pictures)
    return {
        "looks change it": not np.array_equal(one, two),
        "seed changes it": not np.array_equal(one, three),
        "image is noisy": not np.array_equal(three, plain["video.image"]),
        "wrist is noisy": not np.array_equal(pictures[-1]["video.wrist_image"], plain["video.wrist_image"]),
    }


def kinds(count: str) -> dict[str, list[int]]:
    """Of the noises 1 to 50, those whose picture is not upstream's for the same random numbers, or not noisy."""
    from libero.libero.envs.env_wrapper import ControlEnv

    from groot_envs.conventions import half_turned
    from groot_envs.libero_plus.sensors import noisy

    class Camera:
        def step(self, action: Any) -> Any:
            return [{"agentview_image": raw.copy()}]

    raw = np.random.RandomState(0).randint(0, 255, (64, 64, 3)).astype(np.uint8)
    raw[16:40, 8:56] = (200, 30, 60)
    found: dict[str, list[int]] = {"differing": [], "plain": []}
    for number in range(1, 51, int(count)):
        theirs = ControlEnv.__new__(ControlEnv)
        theirs.env, theirs.noise = Camera(), number
        np.random.seed([1, 2, number])
        wanted = theirs.step(None)[0]["agentview_image"]
        got = noisy(half_turned(raw), number, (1, 2, number))
        if not np.array_equal(half_turned(wanted), got):
            found["differing"].append(number)
        if np.array_equal(half_turned(raw), got):
            found["plain"].append(number)
    return found


def words(*tasks: str) -> dict[str, list[str]]:
    """What the policy is told under each protocol."""
    found = {}
    for task in tasks:
        found[task] = [ours(task, protocol)._instruction for protocol in (OFFICIAL, BASE_WORDS)]
    return found


def settled(task: str) -> dict[str, float]:
    """How far [m] the hand is from where LIBERO's own arm is, in the initial state and after the settle steps."""
    base = task.partition("_view_")[0] + "_view_0_0_100_0_0_initstate_0"
    places = {}
    for name in (task, base):
        for steps in (0, 10):
            env = ours(name, settle_steps=steps)
            env.reset(1, 0)
            places[name, steps] = env._env.sim.data.site_xpos[env._env.robots[0].eef_site_id].copy()
    before, after = (float(np.linalg.norm(places[task, steps] - places[base, steps])) for steps in (0, 10))
    return {"before": before, "after": after}


if __name__ == "__main__":
    questions = {function.__name__: function for function in (equal, noise, kinds, settled, words)}
    print(json.dumps(questions[sys.argv[2]](*sys.argv[3:])))  # noqa: T201

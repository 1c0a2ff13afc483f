"""`groot-bench doctor SUITE --deep`: whether a suite really does what it declares, found out from its own simulator.

Nothing is held against constants: the hand is commanded along and about an axis, and the state must show that motion in
the convention that its spec names; fingers are commanded, and must move so; things are painted, and must show up in the
picture where the simulator's camera sees them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from groot_bench import graphics
from groot_bench.doctor import Finding
from groot_bench.episode import Episode
from groot_bench.errors import SuiteNotReady, WorkerError
from groot_bench.evaluation import without_cameras
from groot_bench.ready import require_ready
from groot_bench.setup.state import Ready, contents_of, folder_of
from groot_bench.spec import PRIVILEGED, STATE, VIDEO, ArraySpec, Spec
from groot_bench.suite import Suite, Task
from groot_bench.testing import Bench, CheckFailed, check_suite

STEPS = 10
ALONG = 0.6  # the least part of a motion that must be along, or about, the commanded axis
MOVED = 0.005  # [m], the least that a command must move the hand or the fingers
TURNED = 0.02  # [rad]
PLACED = 0.15  # picture widths: how far a painted thing, half of it perhaps hidden, may be from where it should be seen
ORIENTATIONS = ("upright", "half_turned", "bottom_up", "bottom_up_and_half_turned")


def examine(suite: Suite, task: str | None = None) -> Iterator[Finding]:
    """Looks at one suite, one finding after the other; each takes seconds to minutes.

    Args:
        suite: which.
        task: the task that is run; None for the one that its set-up checks, or the first.
    """
    python = suite.python or sys.executable
    try:
        versions = require_ready(suite, python)
    except SuiteNotReady as problem:
        yield Finding(f"suite {suite.name}", "missing", str(problem), suite.install)
        return
    seen = ", ".join(f"{name} {versions[name]}" for name in suite.packages)
    yield Finding(f"suite {suite.name}", "ok", f"{seen or 'no packages'}; {python}", "")
    yield from _assets(suite)
    name = task or (suite.recipe.check if suite.recipe else next(iter(suite.tasks)))
    chosen = suite.select_one(name)
    renders = chosen.cameras and graphics.is_present(graphics.backend(suite.variables) or "")
    laws = "one scene for one episode in every process, its own picture and instruction; zero policy fails"
    yield _finding("contract", laws, lambda: _contract(suite, name, bool(renders)))
    yield _finding("commands", "hand and fingers go where they are sent", lambda: _motions(suite, chosen))
    if renders:
        yield _finding("pictures", "things are where the cameras see them", lambda: _pictures(suite, chosen))


def _finding(what: str, promise: str, check: Callable[[], list[str]]) -> Finding:
    """Runs a check, which returns what does not hold; a text that begins with "not " says what could not be asked."""
    try:
        problems = check()
    except WorkerError as error:
        problems = [str(error)]
    state = "ok" if not problems else "unknown" if all(text.startswith("not ") for text in problems) else "broken"
    return Finding(what, state, "; ".join(problems) or promise, "")


def _assets(suite: Suite) -> Iterator[Finding]:
    ready = Ready.load(folder_of(suite.name)) if suite.recipe is not None else None
    for name, entry in ready.assets.items() if ready is not None and ready.python == suite.python else ():
        same = contents_of(folder_of(suite.name) / name) == entry["digest"]
        state, fix = ("ok", "") if same else ("broken", suite.install)
        seen = f"{entry['files']} files, {entry['origin']}" if same else "changed since they were verified"
        yield Finding(f"assets {name}", state, seen, fix)


def _contract(suite: Suite, task: str, cameras: bool) -> list[str]:
    try:
        check_suite(suite, [task], episodes=2, steps=STEPS, cameras=cameras)
    except CheckFailed as failed:
        return [line.strip() for line in str(failed).splitlines()[1:]]
    return []


def _motions(suite: Suite, task: Task) -> list[str]:
    """What a commanded motion does not do."""
    blind = without_cameras(task)
    protocol = suite.protocol()
    (episode,) = suite.episodes(protocol.with_changes(episodes_per_task=1), [task], seed=0)
    bench = Bench(suite, blind, protocol, STEPS, None)
    try:
        return [*_hand_motions(bench, blind, episode), *_finger_motions(bench, blind, episode)]
    finally:
        bench.close()


def _hand_motions(bench: Bench, task: Task, episode: Episode) -> list[str]:
    found = []
    places = {kind: _axes(task.action, f"osc_delta_{kind}") for kind in ("0.05m", "axis_angle_0.5rad")}
    if not all(places.values()):
        return ["not asked about the hand: its command is no OSC delta"]
    for kind, axes in places.items():
        for number, (key, index) in enumerate(axes):
            actions = _neutral(task.action)
            actions[key][index] = 1.0
            experience = bench.drive(episode, actions)
            before, after = (_pose(task.observation, row) for row in (experience.first, _last(experience.later)))
            if before is None or after is None:
                return ["not asked about the hand: its state has no position and rotation that are known here"]
            motion = after[0] - before[0] if kind == "0.05m" else _rotation_vector(after[1] @ before[1].T)
            size, least = float(np.linalg.norm(motion)), MOVED if kind == "0.05m" else TURNED
            if size < least or motion[number] < ALONG * size:
                what = "moves" if kind == "0.05m" else "turns"
                found.append(
                    f"{key}[{index}] = 1 {what} the hand by {np.round(motion, 4).tolist()}, not along {number}"
                )
    return found


def _finger_motions(bench: Bench, task: Task, episode: Episode) -> list[str]:
    grippers = [name for name, spec in task.action.items() if spec.convention in ("open_is_1", "closed_is_1")]
    fingers = [name for name, spec in task.observation.items() if spec.convention == "finger_joints"]
    if len(grippers) != 1 or len(fingers) != 1:
        return ["not asked about fingers: there is not one gripper command and one finger state"]
    widths = []
    for value in (0.0, 1.0):
        actions = {**_neutral(task.action), grippers[0]: np.array([value])}
        widths.append(float(np.abs(_last(bench.drive(episode, actions).later)[fingers[0]]).sum()))
    opened = widths[::-1] if task.action[grippers[0]].convention == "open_is_1" else widths
    if opened[0] - opened[1] < MOVED:
        return [f"{grippers[0]} = 0 and 1 leave the fingers {widths[0]:.4f} and {widths[1]:.4f} m apart"]
    return []


def _pictures(suite: Suite, task: Task) -> list[str]:
    """What is not where the simulator's cameras see it."""
    found = []
    asked = {
        f"{PRIVILEGED}orientation.{name[len(VIDEO) :]}": task.observation[name].convention for name in task.cameras
    }
    spec = ArraySpec((1, 1 + len(ORIENTATIONS)), "float64")
    watched = replace(task, privileged=dict.fromkeys(asked, spec))
    inner = {**suite.settings, "inner": suite.env}
    wrapped = replace(suite, env="groot_envs.pictures:make_env", settings=inner, tasks={task.name: watched})
    (episode,) = suite.episodes(suite.protocol().with_changes(episodes_per_task=1), [task], seed=0)
    try:
        bench = Bench(wrapped, watched, suite.protocol(), 1, None)
        try:
            first = bench.drive(episode, _neutral(task.action)).first
        finally:
            bench.close()
    except WorkerError as error:
        if "has no attribute 'physics'" in str(error):
            return ["not asked about pictures: this suite does not show its simulator"]
        raise
    for key, convention in asked.items():
        name = VIDEO + key[len(PRIVILEGED + "orientation.") :]
        count, *distances = first[key][0].tolist()
        found_as = ORIENTATIONS[int(np.argmin(distances))]
        if count < 2:
            found.append(f"not asked about {name}: nothing that could be painted is seen")
        elif found_as != convention or min(distances) > PLACED:
            texts = ", ".join(f"{way} {far:.2f}" for way, far in zip(ORIENTATIONS, distances, strict=True))
            found.append(f"{name} is declared {convention!r}; painted things are off by {texts} of its width")
    return found


def _neutral(action: Spec) -> dict[str, np.ndarray]:
    """No motion, and an open gripper."""
    return {
        name: np.full([size or 0 for size in spec.shape], 1.0 if spec.convention == "open_is_1" else 0.0)
        for name, spec in action.items()
    }


def _axes(action: Spec, convention: str) -> list[tuple[str, int]]:
    """Where the three numbers of that convention are: in one array, or in one array each."""
    places = [
        (name, index)
        for name, spec in action.items()
        if spec.convention == convention
        for index in range(spec.shape[0] or 0)
    ]
    return places if len(places) == 3 else []


def _pose(observation: Spec, row: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Position (3,) [m] and rotation (3, 3) of the hand, read as the specs say."""
    parts = {axis: row.get(f"{STATE}{axis}") for axis in ("x", "y", "z", "roll", "pitch", "yaw")}
    if all(part is not None for part in parts.values()):
        numbers = np.concatenate([np.ravel(part) for part in parts.values() if part is not None]).astype(float)
        return numbers[:3], _matrix(numbers[3:])
    for suffix in ("", "_relative"):
        position, rotation = (row.get(f"{STATE}end_effector_{kind}{suffix}") for kind in ("position", "rotation"))
        if position is not None and rotation is not None:
            if observation[f"{STATE}end_effector_rotation{suffix}"].convention != "quat_xyzw":
                return None
            x, y, z, w = np.ravel(rotation).astype(float)
            angle = 2.0 * np.arctan2(np.linalg.norm([x, y, z]), w)
            axis = np.array([x, y, z]) / max(float(np.linalg.norm([x, y, z])), 1e-12)
            return np.ravel(position).astype(float), _matrix(angle * axis)
    return None


def _last(later: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array[-1] for name, array in later.items()}


def _matrix(vector: np.ndarray) -> np.ndarray:
    """(3, 3) of an axis-angle vector [rad], by Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle else vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * cross @ cross


def _rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle [rad] of a rotation of less than half a turn."""
    skew = 0.5 * np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    sine = float(np.linalg.norm(skew))
    angle = float(np.arctan2(sine, 0.5 * (np.trace(matrix) - 1.0)))
    return skew * (angle / sine) if sine else skew

"""The environment side of a key map; runs in a process of its own, without groot_bench.

`gymnasium.make` builds the environment with its own wrappers. Nothing resets by itself: the harness ends the episode
when the environment terminates or truncates (its TimeLimit included), and says which one comes next.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import random
import sys
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import gymnasium
import numpy as np
from gymnasium import spaces

FOLDER = "GROOT_BENCH_KEYMAP_FOLDER"  # where a map's module files are; a folder's place is no part of an experiment


class Step(NamedTuple):
    """What one control step did: whether the goal holds now, and whether the environment itself is over."""

    success: bool
    ended: bool


class KeymapEnv:
    """One task of a key map; meets `groot_bench.suite.Env`.

    Args:
        task: its name.
        settings: "tasks" {name: {"env", "module", "digest", "kwargs", "instruction", "source", "success"}};
            "observation" and "action" {key: {"path", "entries", "render"}}; "cameras", the video keys that may ever be
            asked for, without which nothing renders.
    """

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        self._task = settings["tasks"][task]
        self._sources = settings["observation"]
        renders = any(self._sources[name]["render"] for name in settings["cameras"])
        self._env = build(self._task, renders)
        self._action = ActionMap(self._env.action_space, settings["action"])
        self._observation: Any = None
        self._return = 0.0

    def reset(self, seed: int, index: int) -> str:
        """Starts the episode of that 64-bit seed and returns the instruction; `index` says nothing more."""
        del index
        seed_generators(seed)
        # gymnasium takes seeds of any size, but hands them on to what may want 31 bits.
        small = seed % 2**31
        self._env.action_space.seed(small)
        self._observation, info = self._env.reset(seed=small)
        self._return = 0.0
        if self._task["instruction"] is not None:
            return str(self._task["instruction"])
        root, steps = self._task["source"][0], self._task["source"][1:]
        return text_at(info if root == "info" else self._observation, steps)

    def scene(self) -> Mapping[str, np.ndarray]:
        """The first observation, and MuJoCo's positions and velocities where the environment has them.

        Pictures are left out where anything else is known, so that a scene does not depend on the renderer.
        """
        arrays = {"observation" + name: np.array(value) for name, value in leaves(self._observation)}
        arrays.update(_mujoco_state(self._env.unwrapped))
        numbers = {name: array for name, array in arrays.items() if not is_picture(array)}
        return numbers or arrays

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """These arrays now, fresh copies: frames uint8 (1, H, W, 3), state float32 (1, D)."""
        found = {}
        for name in names:
            source = self._sources[name]
            if source["render"]:
                found[name] = np.array(self._env.render())[None]
            elif name.startswith("video."):
                found[name] = np.array(follow(self._observation, source["path"]))[None]
            else:
                values = np.array(follow(self._observation, source["path"]), dtype=np.float32).reshape(1, -1)
                found[name] = values if source["entries"] is None else values[:, slice(*source["entries"])]
        return found

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        """One control step. Raises KeyError where the success rule reads what `info` does not have."""
        native = self._action.native(action)
        self._observation, reward, terminated, truncated, info = self._env.step(native)
        self._return += float(reward)
        if self._return != self._return:
            raise FloatingPointError("the environment's reward is not a number")
        return Step(self._holds(float(reward), bool(terminated), info), bool(terminated or truncated))

    def _holds(self, reward: float, terminated: bool, info: Mapping[str, Any]) -> bool:
        rule = self._task["success"]
        if rule["kind"] == "terminated":
            return terminated
        if rule["kind"] == "info":
            return truth(follow(info, rule["path"]), ".".join(["info"] + rule["path"]))
        return bool((reward if rule["kind"] == "reward" else self._return) >= rule["least"])

    def close(self) -> None:
        self._env.close()


class ActionMap:
    """How the parts of an action make the environment's own.

    Each part fills its entries of the Box, Discrete, MultiDiscrete or MultiBinary space at its path. Numbers are
    clipped to the space's bounds. Where the space wants whole numbers they are rounded to the nearest, halves up.
    """

    def __init__(self, space: spaces.Space[Any], parts: Mapping[str, Mapping[str, Any]]) -> None:
        self._space = space
        self._parts: Dict[Tuple[str, ...], List[Tuple[str, slice]]] = {}
        for name, part in parts.items():
            entries = slice(None) if part["entries"] is None else slice(*part["entries"])
            self._parts.setdefault(tuple(part["path"]), []).append((name, entries))

    def native(self, action: Mapping[str, np.ndarray]) -> Any:
        """The environment's action; `action` has one array (D,) for each part."""
        return self._fill(self._space, (), action)

    def _fill(self, space: spaces.Space[Any], path: Tuple[str, ...], action: Mapping[str, np.ndarray]) -> Any:
        if isinstance(space, spaces.Dict):
            return {name: self._fill(part, path + (name,), action) for name, part in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            return tuple(self._fill(part, path + (str(i),), action) for i, part in enumerate(space.spaces))
        low, high, whole = bounds(space)
        values = np.zeros(low.shape)
        for name, entries in self._parts[path]:
            values[entries] = action[name]
        if whole:
            values = np.floor(values + 0.5)
        values = np.clip(values, low, high)
        if isinstance(space, spaces.Discrete):
            return np.int64(values[0])
        return values.astype(space.dtype).reshape(space.shape)


def make_env(task: str, settings: Mapping[str, Any]) -> KeymapEnv:
    """The environment of a task; see `KeymapEnv`."""
    return KeymapEnv(task, settings)


def build(task: Mapping[str, Any], renders: bool) -> gymnasium.Env[Any, Any]:
    """Imports what registers the environment, and makes it; with a `render()` that returns pictures where wanted."""
    load_module(task["module"], task["digest"])
    seed_generators(0)  # what is drawn here stays for every episode, so it must not depend on the process
    kwargs = dict(task["kwargs"])
    if renders:
        kwargs["render_mode"] = "rgb_array"
    # The checker only warns, and what it would say is checked when the map is read.
    kwargs.setdefault("disable_env_checker", True)
    return gymnasium.make(task["env"], **kwargs)


def load_module(module: Any, digest: Any) -> None:
    """Imports a module by name, or by file, once.

    Raises:
        ImportError: it cannot be imported, or the file is no longer the one whose digest is given.
    """
    if not module:
        return
    if digest is None:
        importlib.import_module(module)
        return
    path = os.path.join(os.environ.get(FOLDER, ""), module)
    with open(path, "rb") as file:
        if hashlib.blake2b(file.read(), digest_size=16).hexdigest() != digest:
            raise ImportError(f"{path} has changed since the key map was read")
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        if getattr(sys.modules[name], "__file__", None) != path:
            raise ImportError(f"another module is named {name!r} already; rename {path}")
    else:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[name] = loaded  # gymnasium finds an entry point "<name>:Class" there
        spec.loader.exec_module(loaded)


def seed_generators(seed: int) -> None:
    """The process's own generators, which environments that predate `np_random` read; nothing else runs here."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002


def bounds(space: spaces.Space[Any]) -> Tuple[np.ndarray, np.ndarray, bool]:
    """Lowest and highest value of each number of a space, float64 (D,) in C order, and whether they are whole.

    Raises TypeError for a space that is not made of numbers.
    """
    if isinstance(space, spaces.Discrete):
        start = int(getattr(space, "start", 0))
        return np.array([start], float), np.array([start + int(space.n) - 1], float), True
    if isinstance(space, spaces.MultiDiscrete):
        count = np.asarray(space.nvec, float).ravel()
        start = np.zeros(count.shape) + np.asarray(getattr(space, "start", 0), float).ravel()
        return start, start + count - 1, True
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return np.zeros(size), np.ones(size), True
    if isinstance(space, spaces.Box):
        low, high = np.asarray(space.low, float).ravel(), np.asarray(space.high, float).ravel()
        return low, high, np.dtype(space.dtype).kind in "iub"
    raise TypeError(f"a {type(space).__name__} space is not made of numbers")


def follow(value: Any, path: Sequence[str]) -> Any:
    """What lies at a path into dicts and tuples."""
    for step in path:
        if isinstance(value, Mapping):
            if step not in value:
                raise KeyError(f"no {step!r} here (there is: {', '.join(map(str, value)) or 'nothing'})")
            value = value[step]
        else:
            value = value[int(step)]
    return value


def leaves(value: Any, name: str = "") -> Iterator[Tuple[str, Any]]:
    """Every value in nested dicts and tuples, with its dotted name."""
    if isinstance(value, Mapping):
        for key in value:
            yield from leaves(value[key], f"{name}.{key}")
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from leaves(part, f"{name}.{i}")
    else:
        yield name, value


def is_picture(array: np.ndarray) -> bool:
    """Whether it looks like one: uint8, with two axes or more."""
    return array.dtype == np.uint8 and array.ndim >= 2


def text_at(value: Any, path: Sequence[str]) -> str:
    """The text at a path; anything else there is a TypeError."""
    text = follow(value, path)
    if not isinstance(text, str):
        raise TypeError(f"the instruction at {'.'.join(path)} is not text but {type(text).__name__}")
    return text


def truth(value: Any, name: str) -> bool:
    """One number or bool as a bool; anything else, and NaN, is a TypeError."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf" or array.item() != array.item():
        raise TypeError(f"{name} must be one number or bool to be a success rule, got {value!r}")
    return bool(array.item())


def _mujoco_state(env: Any) -> Dict[str, np.ndarray]:
    data = getattr(env, "data", None)
    return {"mujoco." + name: np.array(getattr(data, name)) for name in ("qpos", "qvel") if hasattr(data, name)}

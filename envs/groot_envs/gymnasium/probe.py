"""Looks at an environment once, in a worker process, so that a key map can be checked before anything is written.

It meets `groot_bench.suite.Env` as far as that is needed: what `reset` returns for the instruction is what was found,
as JSON. So the probe sees the interpreter, the paths and the variables that the environment itself will have.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from groot_envs.gymnasium.env import bounds, build, leaves, load_module

MAX_BOUNDS = 4096  # numbers; larger arrays, such as pictures, share one bound


class Problem(Exception):
    """What is wrong with the map: a field of the task ("" for `render()`), and words for the user."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class Probe:
    """What `reset` finds: {"observation", "action"} spaces, {"reset", "step"} names of info -> type, "frame", "cap".

    Where the map is wrong it finds {"field", "problem"} instead.
    """

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        self._task = settings["tasks"][task]
        self._renders = bool(settings["renders"])

    def reset(self, seed: int, index: int) -> str:
        del seed, index
        try:
            found = look(self._task, self._renders)
        except Problem as problem:
            found = {"field": problem.field, "problem": str(problem)}
        return json.dumps(found)

    def scene(self) -> Mapping[str, np.ndarray]:
        return {}

    def close(self) -> None:
        pass


def make_probe(task: str, settings: Mapping[str, Any]) -> Probe:
    """The probe of a task; `settings` as for `KeymapEnv`, and "renders", whether `render()` has to be tried."""
    return Probe(task, settings)


def look(task: Mapping[str, Any], renders: bool) -> dict[str, Any]:
    """Makes the environment, resets it, takes one step and perhaps a picture; see `Probe`. Raises Problem."""
    env = _make(task, renders)
    try:
        observation, before = env.reset(seed=0)
        tree = describe(env.observation_space, observation)
        env.action_space.seed(0)
        after = env.step(env.action_space.sample())[-1]
        spec = env.spec
        return {
            "observation": tree,
            "action": describe(env.action_space),
            "reset": _types(before),
            "step": _types(after),
            "frame": _frame(env) if renders else None,
            "cap": None if spec is None else spec.max_episode_steps,
        }
    finally:
        env.close()


def _make(task: Mapping[str, Any], renders: bool) -> gymnasium.Env[Any, Any]:
    try:
        load_module(task["module"], task["digest"])
    except (ImportError, OSError, SyntaxError) as problem:
        raise Problem("module", f"{task['module']!r} cannot be imported: {problem}") from None
    try:
        return build(task, renders)
    except gymnasium.error.UnregisteredEnv:
        raise Problem("env", _unknown(task["env"])) from None
    except ModuleNotFoundError as problem:
        raise Problem("env", f"{task['env']!r} needs a module that is missing: {problem}") from None
    except gymnasium.error.Error as problem:
        raise Problem("env", f"{task['env']!r} cannot be made: {problem}") from None
    except TypeError as problem:
        raise Problem("kwargs", str(problem)) from None


def _unknown(env: str) -> str:
    known = sorted(gymnasium.registry)
    nearest = difflib.get_close_matches(env, known, n=1, cutoff=0.4)
    text = f"no environment {env!r} is registered"
    if nearest:
        text += f"; did you mean {nearest[0]!r}?"
    return text + " (`module` names what registers others)"


def _frame(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    try:
        frame: Any = env.render()
    except gymnasium.error.Error as problem:
        raise Problem("", f"render() failed: {problem}") from None
    return {"dtype": str(getattr(frame, "dtype", type(frame).__name__)), "shape": list(np.shape(frame))}


def describe(space: spaces.Space[Any], value: Any = None) -> dict[str, Any]:
    """A space as plain values: {"kind", "parts"} of a Dict or Tuple; {"kind", "shape", "dtype", "low", "high", "whole"}
    of numbers, with bounds in C order and None for infinity; {"kind"} of anything else.

    Args:
        value: an observation of that space, whose arrays must have the shapes that the space says; None: not checked.
    """
    kind = type(space).__name__
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        named = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        parts = {str(key): describe(part, None if value is None else value[key]) for key, part in named}
        return {"kind": "Dict" if isinstance(space, spaces.Dict) else "Tuple", "parts": parts}
    try:
        low, high, whole = bounds(space)
    except TypeError:
        return {"kind": "Text" if isinstance(value, str) else kind}
    if value is not None and np.shape(value) != space.shape:
        raise Problem("env", f"its observation has shape {np.shape(value)} where its space says {space.shape}")
    if low.size > MAX_BOUNDS:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    shape = [1] if isinstance(space, spaces.Discrete) else list(space.shape or ())
    ends = {"low": _finite(low), "high": _finite(high), "whole": whole}
    return {"kind": kind, "shape": shape, "dtype": np.dtype(space.dtype).name, **ends}


def _finite(values: np.ndarray) -> Any:
    return [float(value) if np.isfinite(value) else None for value in values]


def _types(info: Mapping[str, Any]) -> dict[str, str]:
    """The dotted names in an info dict, and the type of each."""
    return {name[1:]: type(value).__name__ for name, value in leaves(dict(info))}

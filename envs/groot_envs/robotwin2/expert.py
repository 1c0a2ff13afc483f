"""The scripted expert as an environment whose reset tries one simulator seed; what makes seed lists runs it.

It runs in a worker like any environment, so that a seed on which it crashes or hangs costs that seed and nothing else.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groot_envs.robotwin2 import simulator
from groot_envs.robotwin2.tasks import EXPERT_ATTRIBUTES


class ExpertEnv:
    """Meets as much of `groot_bench.suite.Env` as trying seeds needs."""

    def __init__(self, task: str, settings: Mapping[str, Any]) -> None:
        simulator.require_planner()
        self._name = task
        self._arguments = simulator.read_configuration(settings["config"], task)
        self._task = simulator.make_task(task, settings["image"])
        self._unstable = simulator.unstable_error()

    def reset(self, seed: int, index: int) -> str:
        """Tries that simulator seed as upstream's evaluation does.

        Returns:
            JSON: "solved"; where it was, "info" and "attributes" as in a seed list; else "why".
        """
        del index
        simulator.forget_history()
        random.seed(seed)
        try:
            self._task.setup_demo(now_ep_num=0, seed=seed, is_test=True, **copy.deepcopy(self._arguments))
        except self._unstable:
            self._task.close_env()
            return json.dumps({"solved": False, "why": "the scene is not stable"})
        try:
            info = self._task.play_once()
        except AssertionError:  # of upstream's Action: no grasp could be planned at all
            self._task.plan_success = False
        self._task.close_env(clear_cache=seed % 5 == 0)
        if not self._task.plan_success:
            return json.dumps({"solved": False, "why": "no plan was found"})
        if not self._task.check_success():
            return json.dumps({"solved": False, "why": "the expert did not reach the goal"})
        found = {name: _plain(getattr(self._task, name)) for name in EXPERT_ATTRIBUTES.get(self._name, ())}
        words = {key: str(value) for key, value in info["info"].items()}
        return json.dumps({"solved": True, "info": words, "attributes": found})

    def scene(self) -> Mapping[str, np.ndarray]:
        return {}

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        return {}

    def close(self) -> None:
        self._task.close_env(clear_cache=True)


def _plain(value: Any) -> Any:
    """A number, or the name of an arm."""
    return float(value) if isinstance(value, (float, np.floating)) else str(value)


def make_env(task: str, settings: Mapping[str, Any]) -> ExpertEnv:
    """The expert of that task.

    Args:
        settings: "config", upstream's task configuration; "image", how pictures would be rendered.
    """
    return ExpertEnv(task, settings)

"""The policy that does nothing: every action is zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.suite import Task


class ZeroPolicy(Policy):
    """Reads all that the suite gives, so that it also exercises cameras, and returns zeros.

    Args:
        horizon: actions in a chunk.
    """

    def __init__(self, horizon: int) -> None:
        self.info = PolicyInfo("zero")
        self._horizon = horizon
        self._dims: dict[str, dict[str, int]] = {}

    def interface(self, task: Task) -> Interface:
        self._dims[task.name] = {name: int(spec.shape[0] or 0) for name, spec in task.action.items()}
        return Interface(task.observation, task.action, self._horizon)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        dims = self._dims[queries[0].episode.task]
        return {name: np.zeros((len(queries), self._horizon, size), np.float32) for name, size in dims.items()}

"""Uniform random actions, keyed per episode and query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groot_bench.noise import uniform
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.spec import ArraySpec, Spec
from groot_bench.suite import Task


class RandomPolicy(Policy):
    """Reads all that the suite gives, and draws each action uniformly between its bounds (-1 and 1 without any).

    Args:
        seed: of its noise.
        horizon: actions in a chunk.
    """

    def __init__(self, seed: int, horizon: int) -> None:
        self.info = PolicyInfo("random", seed=seed)
        self._seed = seed
        self._horizon = horizon
        self._specs: dict[str, Spec] = {}

    def interface(self, task: Task) -> Interface:
        self._specs[task.name] = task.action
        return Interface(task.observation, task.action, self._horizon)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        chunks = [self._chunk(query) for query in queries]
        return {name: np.stack([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def _chunk(self, query: Query) -> dict[str, np.ndarray]:
        spec = self._specs[query.episode.task]
        sizes = {name: int(array.shape[0] or 0) for name, array in spec.items()}
        numbers = uniform(self._seed, query.episode, query.index, (self._horizon, sum(sizes.values())))
        chunk, start = {}, 0
        for name, size in sizes.items():
            chunk[name] = _between(spec[name], numbers[:, start : start + size])
            start += size
        return chunk


def _between(spec: ArraySpec, numbers: np.ndarray) -> np.ndarray:
    low = -1.0 if spec.low is None else spec.low
    high = 1.0 if spec.high is None else spec.high
    return (low + (high - low) * numbers).astype(np.float32)

"""The chunks that a policy returned in the episodes that run, kept under the episode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from groot_bench.episode import Episode
from groot_bench.errors import PolicyError
from groot_bench.policy import Action, Query


@dataclass(frozen=True)
class Past:
    """A chunk, float32 (H, D), that was computed from the observation after `step` executed control steps."""

    step: int
    chunk: np.ndarray


class ChunkHistory:
    """Past chunks of every running episode. What is no longer needed is deleted by whoever uses it."""

    def __init__(self) -> None:
        self._kept: dict[Episode, list[Past]] = {}

    def __len__(self) -> int:
        """How many episodes it keeps something for."""
        return len(self._kept)

    def reset(self, episodes: Sequence[Episode]) -> None:
        """These begin, perhaps for the second time."""
        for episode in episodes:
            self._kept[episode] = []

    def forget(self, episodes: Sequence[Episode]) -> None:
        """These are over."""
        for episode in episodes:
            self._kept.pop(episode, None)

    def add(self, query: Query, chunk: np.ndarray) -> list[Past]:
        """Keeps a copy of the chunk (H, D) that answers `query`.

        A query that is asked again takes the place of its first answer.

        Returns:
            All that is kept of the episode, oldest first, as a list from which the caller may delete.

        Raises:
            PolicyError: the episode was never announced with `reset`.
        """
        kept = self._kept.get(query.episode)
        if kept is None:
            raise PolicyError(f"episode {query.episode} is queried, but was not announced with reset()")
        while kept and kept[-1].step >= query.step:
            kept.pop()
        kept.append(Past(query.step, chunk.copy()))
        return kept


def change_rows(
    action: Action, queries: Sequence[Query], change: Callable[[Query, np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Each query's chunk, changed by itself.

    Args:
        action: name -> float32 (B, H, D), one row for each query and perhaps padding, which is dropped.
        change: (query, chunk) -> chunk, both float32 (H, sum of all D), the arrays of `action` side by side.

    Returns:
        name -> float32 (len(queries), H, D).
    """
    joined = np.concatenate(list(action.values()), axis=2)
    changed = np.stack([change(query, joined[row]) for row, query in enumerate(queries)])
    ends = np.cumsum([array.shape[2] for array in action.values()])
    return dict(zip(action, np.split(changed, ends[:-1], axis=2), strict=True))

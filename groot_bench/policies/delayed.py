"""Latency: chunks that arrive some control steps late.

With a latency of L control steps, the chunk that is computed from the observation of step t is executed from step
t + L on, beginning with its first action. Until it arrives, what arrived before it goes on. So the executed actions are
those of the undelayed policy on the same observations, L steps later; what a policy loses is that they are out of date.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from groot_bench.episode import Episode
from groot_bench.policies.history import ChunkHistory
from groot_bench.policy import Query

# What is executed before an episode's first chunk has arrived. Its first action, repeated, is safe where actions are
# positions (a zero could be far away); zeros stand still where they are differences.
HOLDS = ("first", "zero")


class Delay:
    """Delays the chunks of each episode by the same number of control steps.

    Args:
        steps: L, 0 or more; may be longer than a chunk.
        hold: one of `HOLDS`.
    """

    def __init__(self, steps: int, hold: str) -> None:
        self._steps = steps
        self._hold = hold
        self._history = ChunkHistory()

    def reset(self, episodes: Sequence[Episode]) -> None:
        self._history.reset(episodes)

    def forget(self, episodes: Sequence[Episode]) -> None:
        self._history.forget(episodes)

    def chunk(self, query: Query, chunk: np.ndarray) -> np.ndarray:
        """What is executed from `query.step` on, if no query follows.

        Args:
            query: which one `chunk` answers.
            chunk: float32 (H, D).

        Returns:
            float32 (H, D), in new memory.
        """
        kept = self._history.add(query, chunk)
        while len(kept) > 1 and kept[1].step + self._steps <= query.step:
            del kept[0]  # the next one has arrived
        # As long as nothing has arrived, nothing was deleted: kept[0] is the episode's first chunk.
        late = np.empty_like(chunk)
        late[:] = 0.0 if self._hold == "zero" else kept[0].chunk[0]
        for past in kept:
            start = past.step + self._steps - query.step  # steps from now; negative: it has been running for a while
            place = late[max(start, 0) :]
            running = past.chunk[max(-start, 0) :][: len(place)]
            place[: len(running)] = running
        return late

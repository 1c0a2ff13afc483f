"""Which episode a free slot runs next. The order has no meaning for results, only for how long the run takes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from groot_bench.episode import Episode


class Attempt(NamedTuple):
    """An episode, and whether this is its first or second try (1, 2)."""

    episode: Episode
    number: int


class EpisodeQueue:
    """The episodes that still have to run, by task.

    A slot keeps its task while that has episodes left, since building another task's environment costs seconds;
    then it goes to the task with the most episodes left for each slot that works on it.
    """

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self._waiting: dict[str, deque[Attempt]] = {}
        self._slots: Counter[str] = Counter()
        self._length = 0
        for episode in episodes:
            self._waiting.setdefault(episode.task, deque()).append(Attempt(episode, 1))
            self._length += 1

    def __len__(self) -> int:
        return self._length

    def take(self, task: str | None) -> Attempt | None:
        """The next episode for a slot whose environment is built for `task`; None when there is none left."""
        if not self._length:
            return None
        if task is None or not self._waiting.get(task):
            self.leave(task)
            task = self._neediest()
            self._slots[task] += 1
        self._length -= 1
        return self._waiting[task].popleft()

    def put_back(self, attempt: Attempt) -> None:
        """Queues an episode again, before all others of its task."""
        self._waiting[attempt.episode.task].appendleft(attempt)
        self._length += 1

    def leave(self, task: str | None) -> None:
        """A slot that worked on `task` has lost its environment."""
        if task is not None:
            assert self._slots[task] > 0, f"more slots left task {task!r} than ever took it"
            self._slots[task] -= 1

    def _neediest(self) -> str:
        # max() keeps the first of equals, so tasks are started in the order in which they were listed.
        return max(
            (task for task, waiting in self._waiting.items() if waiting),
            key=lambda task: len(self._waiting[task]) / (self._slots[task] + 1),
        )

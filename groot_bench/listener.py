"""What may watch a run while it happens: videos, per-step logs, progress bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groot_bench.episode import Episode, EpisodeRecord, Outcome
from groot_bench.suite import Task
from groot_bench.trial import Trial


class Listener:
    """Told of everything that happens in a run; it can change nothing but add fields to a record.

    Arrays handed over are only valid during the call.
    """

    def traces(self, task: Task, episode: Episode | None = None) -> tuple[str, ...]:
        """The observations it wants of every control step; each camera named is rendered every step.

        Args:
            task: which.
            episode: one of the task's; None asks for all that it may want of any of them.
        """
        del task, episode
        return ()

    def open(self, folder: Path, done: Sequence[Outcome], missing: int) -> None:
        """The run begins.

        Args:
            folder: the run's.
            done: outcomes of the episodes that are recorded already.
            missing: how many are about to run.
        """

    def begin(self, trial: Trial, first: Mapping[str, np.ndarray]) -> None:
        """The environment has been reset; `first` holds the traced observations before any action, (T, ...)."""

    def chunk(
        self, trial: Trial, actions: Mapping[str, np.ndarray], success: str, traced: Mapping[str, np.ndarray]
    ) -> None:
        """n control steps were executed: actions (n, D), success n characters, traced (n, T, ...) after each step."""

    def end(self, trial: Trial, outcome: Outcome) -> Mapping[str, Any]:
        """The trial is over; returns fields of the record that this listener knows, such as `video`."""
        del trial, outcome
        return {}

    def drop(self, trial: Trial) -> None:
        """The trial failed and will be run again, or recorded as an error."""

    def record(self, record: EpisodeRecord) -> None:
        """This record has been written."""

    def close(self) -> None:
        """The run is over."""

"""The progress bar on stderr: episodes done, success so far, control steps a second, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from groot_bench.episode import EpisodeRecord, Outcome
from groot_bench.listener import Listener
from groot_bench.trial import Trial


class ProgressBar(Listener):
    """One line on a terminal; without one, a line every half minute, so that log files stay readable."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._counts = dict.fromkeys(Outcome, 0)
        self._steps = 0
        self._started = 0.0

    def open(self, folder: Path, done: Sequence[Outcome], missing: int) -> None:
        for outcome in done:
            self._counts[outcome] += 1
        self._started = time.monotonic()
        self._bar = tqdm(
            total=len(done) + missing,
            initial=len(done),
            unit="ep",
            file=sys.stderr,
            mininterval=0.2 if sys.stderr.isatty() else 30.0,
            dynamic_ncols=True,
            smoothing=0.0,  # episodes end in bursts; the mean over the run gives the steadier estimate
            bar_format="{n_fmt}/{total_fmt} episodes |{bar}| {desc} [{elapsed}<{remaining}]",
        )
        self._show()

    def chunk(
        self, trial: Trial, actions: Mapping[str, np.ndarray], success: str, traced: Mapping[str, np.ndarray]
    ) -> None:
        self._steps += len(success)
        if self._bar is not None:
            self._show(refresh=False)
            self._bar.update(0)

    def record(self, record: EpisodeRecord) -> None:
        self._counts[record.outcome] += 1
        if self._bar is not None:
            self._show(refresh=False)
            self._bar.update(1)

    def close(self) -> None:
        if self._bar is not None:
            self._show()
            self._bar.close()

    def _show(self, refresh: bool = True) -> None:
        assert self._bar is not None
        success, errors = self._counts[Outcome.SUCCESS], self._counts[Outcome.ERROR]
        measured = success + self._counts[Outcome.FAILURE]
        rate = self._steps / max(time.monotonic() - self._started, 1e-9)
        text = f"success {success}/{measured}" + (f", {errors} errors" if errors else "") + f", {rate:.0f} steps/s"
        self._bar.set_description_str(text, refresh=refresh)

"""What a comparison needs of two runs: how often each pair of outcomes occurs, task by task."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from groot_bench.analysis.columns import OUTCOMES
from groot_bench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

SUCCESS, FAILURE, ERROR, MISSING = range(len(OUTCOMES))


@dataclass(frozen=True)
class Contingency:
    """Numbers of episodes of the tasks that both runs have.

    Attributes:
        tasks: names, in the order of the first run.
        a, b: int64 (tasks, 4): outcomes of each run, in the order of `OUTCOMES`.
        pairs: int64 (tasks, 4, 4): outcome in a, outcome in b; None for independent samples.
        left_out: episodes of a, and of b, that the other run does not have.
        unproven: pairs of measured episodes of which a scene hash is not recorded.
    """

    tasks: tuple[str, ...]
    a: np.ndarray
    b: np.ndarray
    pairs: np.ndarray | None
    left_out: tuple[int, int]
    unproven: int = 0

    def of(self, places: Sequence[int]) -> Contingency:
        """The same of the tasks in these places."""
        chosen = np.array(places, np.int64)
        pairs = None if self.pairs is None else self.pairs[chosen]
        return Contingency(tuple(self.tasks[place] for place in places), self.a[chosen], self.b[chosen], pairs, (0, 0))

    def without_missing(self) -> Contingency:
        """The same of episodes that are recorded; of pairs, in both runs."""
        if self.pairs is None:
            a, b = self.a.copy(), self.b.copy()
            a[:, MISSING], b[:, MISSING] = 0, 0
            return dataclasses.replace(self, a=a, b=b)
        pairs = self.pairs.copy()
        pairs[:, MISSING, :], pairs[:, :, MISSING] = 0, 0
        return dataclasses.replace(self, a=pairs.sum(axis=2), b=pairs.sum(axis=1), pairs=pairs)


def pair(a: pd.DataFrame, b: pd.DataFrame, names: Sequence[str]) -> Contingency:
    """Pairs the episodes of two runs by task and index, and proves by seed and scene hash that they are the same.

    Args:
        a, b: episode frames of one run each, see `frame.load`.
        names: of the runs, for errors.

    Raises:
        UsageError: no common episode, or episodes of one key that are not the same.
    """
    tasks, codes_a, codes_b = _common_tasks(a, b)
    in_a, in_b = _matches(codes_a, a["index"].to_numpy(), codes_b, b["index"].to_numpy())
    if not len(in_a):
        raise UsageError(f"{names[0]} and {names[1]} have no episode in common: nothing to pair")
    differ = a["seed"].to_numpy()[in_a] != b["seed"].to_numpy()[in_b]
    if differ.any():
        what = _example(a, in_a[differ])
        raise UsageError(
            f"{int(differ.sum())} of {len(in_a)} common episodes have another seed in {names[0]} than in {names[1]}, "
            f"{what} first: they are other episodes. --unpaired compares the runs as independent samples"
        )
    outcomes_a, outcomes_b = (frame["outcome"].cat.codes.to_numpy(np.int64) for frame in (a, b))
    oa, ob = outcomes_a[in_a], outcomes_b[in_b]
    unproven = _check_scenes(a, b, in_a, in_b, (oa <= FAILURE) & (ob <= FAILURE), names)
    cells = codes_a[in_a] * 16 + oa * 4 + ob
    pairs = np.bincount(cells, minlength=16 * len(tasks)).reshape(len(tasks), 4, 4)
    left_out = (len(a) - len(in_a), len(b) - len(in_b))
    return Contingency(tasks, pairs.sum(axis=2), pairs.sum(axis=1), pairs, left_out, unproven)


def separate(a: pd.DataFrame, b: pd.DataFrame, names: Sequence[str]) -> Contingency:
    """The same without pairs: two independent samples of the tasks that both runs have.

    Raises:
        UsageError: no common task.
    """
    tasks, codes_a, codes_b = _common_tasks(a, b)
    if not tasks:
        raise UsageError(f"{names[0]} and {names[1]} have no task in common: nothing to compare")
    counts = []
    for frame, codes in ((a, codes_a), (b, codes_b)):
        ours = codes >= 0
        cells = codes[ours] * 4 + frame["outcome"].cat.codes.to_numpy(np.int64)[ours]
        counts.append(np.bincount(cells, minlength=4 * len(tasks)).reshape(len(tasks), 4))
    left_out = (int((codes_a < 0).sum()), int((codes_b < 0).sum()))
    return Contingency(tasks, counts[0], counts[1], None, left_out)


def _common_tasks(a: pd.DataFrame, b: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Tasks that both have, and each episode's place in them, int64; -1 for a task that the other run lacks."""
    theirs = set(b["task"].unique())
    ours = set(a["task"].unique())
    tasks = tuple(task for task in a["task"].cat.categories if task in theirs and task in ours)
    place = {task: code for code, task in enumerate(tasks)}
    codes = [
        np.array([*(place.get(task, -1) for task in frame["task"].cat.categories), -1], np.int64)[
            frame["task"].cat.codes.to_numpy()
        ]
        for frame in (a, b)
    ]
    return tasks, codes[0], codes[1]


def _matches(
    codes_a: np.ndarray, index_a: np.ndarray, codes_b: np.ndarray, index_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a and of b that are the same task and index; within a run no key occurs twice."""
    if np.array_equal(codes_a, codes_b) and np.array_equal(index_a, index_b):
        same = np.flatnonzero(codes_a >= 0)
        return same, same
    import pandas as pd

    frames = [
        pd.DataFrame({"task": codes, "index": index, "row": np.arange(len(codes))})[codes >= 0]
        for codes, index in ((codes_a, index_a), (codes_b, index_b))
    ]
    both = frames[0].merge(frames[1], on=["task", "index"])
    return both["row_x"].to_numpy(np.int64), both["row_y"].to_numpy(np.int64)


def _check_scenes(
    a: pd.DataFrame,
    b: pd.DataFrame,
    in_a: np.ndarray,
    in_b: np.ndarray,
    measured: np.ndarray,
    names: Sequence[str],
) -> int:
    """Raises UsageError where one episode has two scenes; how many measured pairs lack a hash."""
    one, two = a["scene_hash"].to_numpy(object)[in_a], b["scene_hash"].to_numpy(object)[in_b]
    known = a["scene_hash"].notna().to_numpy()[in_a] & b["scene_hash"].notna().to_numpy()[in_b]
    differ = known & (one != two)
    if differ.any():
        raise UsageError(
            f"{int(differ.sum())} of {len(in_a)} pairs have equal seeds and different scenes, "
            f"{_example(a, in_a[differ])} first (scene {one[differ][0]!r} in {names[0]}, {two[differ][0]!r} in "
            f"{names[1]}): the simulators differ. --unpaired compares the runs as independent samples"
        )
    return int((measured & ~known).sum())


def _example(frame: pd.DataFrame, rows: np.ndarray) -> str:
    return f"task {frame['task'].iat[rows[0]]!r} index {frame['index'].iat[rows[0]]}"

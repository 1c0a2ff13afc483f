"""A log of every control step, one Parquet file an episode: `steps/<task>-<index>.parquet`.

Row i holds what was known before step i and what it did: `step` (0-based), `query`, the robot's state before the step
(`state.*`, float32 lists), the action as it was sent (`action.*`, float32 lists), and `success` after it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from groot_bench.episode import Episode, Outcome
from groot_bench.errors import RecordError, UsageError
from groot_bench.listener import Listener
from groot_bench.record import file_stem
from groot_bench.spec import STATE
from groot_bench.suite import Task
from groot_bench.trial import Trial

FOLDER = "steps"


class StepLog(Listener):
    """Writes the log of each episode when it is over.

    Raises:
        UsageError: pyarrow is not installed.
        RecordError: a file cannot be written.
    """

    def __init__(self) -> None:
        try:
            import pyarrow.parquet  # noqa: F401  (asked for here, so that its absence stops the run before it begins)
        except ImportError:
            raise UsageError("--log-steps needs pyarrow: pip install 'pyarrow>=17'") from None
        self._folder: Path | None = None
        self._logs: dict[tuple[str, int], _Log] = {}

    def traces(self, task: Task, episode: Episode | None = None) -> tuple[str, ...]:
        return tuple(name for name in task.observation if name.startswith(STATE))

    def open(self, folder: Path, done: Sequence[Outcome], missing: int) -> None:
        self._folder = folder / FOLDER
        try:
            self._folder.mkdir(exist_ok=True)
            for stale in self._folder.glob(".*.tmp"):  # left by a kill
                stale.unlink()
        except OSError as problem:
            raise RecordError(f"{self._folder} cannot be made: {problem.strerror}") from None

    def begin(self, trial: Trial, first: Mapping[str, np.ndarray]) -> None:
        self._logs[trial.episode.key] = _Log(first)

    def chunk(
        self, trial: Trial, actions: Mapping[str, np.ndarray], success: str, traced: Mapping[str, np.ndarray]
    ) -> None:
        self._logs[trial.episode.key].add(trial.queries - 1, actions, success, traced)

    def end(self, trial: Trial, outcome: Outcome) -> Mapping[str, object]:
        log = self._logs.pop(trial.episode.key)
        assert self._folder is not None
        log.write(self._folder / f"{file_stem(trial.episode)}.parquet", trial.episode)
        return {}

    def drop(self, trial: Trial) -> None:
        self._logs.pop(trial.episode.key, None)


class _Log:
    """The rows of one episode."""

    def __init__(self, first: Mapping[str, np.ndarray]) -> None:
        self._states = {name: [array[-1].copy()[None]] for name, array in first.items() if name.startswith(STATE)}
        self._actions: dict[str, list[np.ndarray]] = {}
        self._queries: list[int] = []
        self._success: list[bool] = []

    def add(
        self, query: int, actions: Mapping[str, np.ndarray], success: str, traced: Mapping[str, np.ndarray]
    ) -> None:
        for name, parts in self._states.items():
            parts.append(traced[name][:, -1].copy())
        for name, array in actions.items():
            self._actions.setdefault(name, []).append(array.copy())
        self._queries += [query] * len(success)
        self._success += [held == "1" for held in success]

    def write(self, path: Path, episode: Episode) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        count = len(self._success)
        columns = {
            "step": pa.array(np.arange(count, dtype=np.int32)),
            "query": pa.array(np.asarray(self._queries, np.int32)),
            "success": pa.array(self._success),
        }
        # The state after the last step belongs to no row.
        arrays = {name: np.concatenate(parts)[:count] for name, parts in self._states.items()}
        arrays.update({name: np.concatenate(parts) for name, parts in self._actions.items()})
        for name, array in arrays.items():
            flat = pa.array(np.ascontiguousarray(array, np.float32).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
        table = pa.table(columns).replace_schema_metadata({"episode": str(episode), "seed": str(episode.seed)})
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, temporary)
            temporary.replace(path)
        except OSError as problem:
            temporary.unlink(missing_ok=True)
            raise RecordError(f"{path}: cannot be written: {problem}") from None


def read_actions(run_folder: Path, episode: Episode, steps: int) -> dict[str, np.ndarray]:
    """The executed actions of a logged episode, name -> float32 (steps, D).

    Raises:
        RecordError: the log is missing, malformed, of another episode, or not as long as the record says.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run_folder / FOLDER / f"{file_stem(episode)}.parquet"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as problem:
        raise RecordError(f"{path}: cannot be read: {problem}") from None
    metadata = table.schema.metadata or {}
    if metadata.get(b"seed") != str(episode.seed).encode():
        raise RecordError(f"{path}: is the log of another episode than {episode}")
    if table.num_rows != steps:
        raise RecordError(f"{path}: has {table.num_rows} steps, the record says {steps}")
    actions = {}
    for name in table.column_names:
        if name.startswith("action."):
            try:
                values = table.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
                actions[name] = values.reshape(steps, -1).astype(np.float32)
            except (ValueError, TypeError, AttributeError, pa.ArrowException) as problem:
                raise RecordError(f"{path}: {name} is not a list of numbers for each step: {problem}") from None
    return actions

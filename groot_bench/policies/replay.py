"""The actions of a recorded run, played again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from groot_bench.episode import Episode
from groot_bench.errors import PolicyError, UsageError
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.provenance import fingerprint
from groot_bench.record import Run
from groot_bench.steplog import read_actions
from groot_bench.suite import Task
from groot_bench.trial import action_bytes


class ReplayPolicy(Policy):
    """Returns what was executed in the same episode of `run`, which must have been made with --log-steps.

    Args:
        run: the recorded run.
        horizon: actions in a chunk.
        start: names of suite and protocol, and the run seed, of what is going to run.

    Raises:
        UsageError: the run has no step log, or began from other start states.
    """

    def __init__(self, run: Run, horizon: int, start: tuple[str, str, int]) -> None:
        experiment = run.experiment
        recorded = (experiment["suite"]["name"], experiment["protocol"]["name"], experiment["seed"])
        if recorded != start:
            raise UsageError(
                f"{run.folder} is a run of {recorded[1]} with --seed {recorded[2]}; it cannot be replayed in {start[1]}"
                f" with --seed {start[2]}"
            )
        if not (run.folder / "steps").is_dir():
            raise UsageError(f"{run.folder} has no step log to replay; record it with --log-steps")
        self._run = run
        self._horizon = horizon
        self._records = {record.episode.key: record for record in run.records if record.action_hash}
        self._actions: dict[tuple[str, int], dict[str, np.ndarray]] = {}
        self.info = PolicyInfo("replay", settings={"run": fingerprint(run.experiment, (1, 1))})

    def interface(self, task: Task) -> Interface:
        return Interface({}, task.action, self._horizon)

    def reset(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            record = self._records.get(episode.key)
            if record is None or record.episode != episode or record.episode.seed != episode.seed:
                raise PolicyError(
                    f"{self._run.folder} has no measured episode {episode} with seed {episode.seed} to replay; it must"
                    f" be a run of the same suite, protocol, task and --seed"
                )
            actions = read_actions(self._run.folder, episode, record.steps)
            if hashlib.blake2b(action_bytes(actions, record.steps), digest_size=16).hexdigest() != record.action_hash:
                raise PolicyError(f"{self._run.folder}: the step log of {episode} is not what its record was made of")
            self._actions[episode.key] = actions

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        chunks = [self._chunk(query) for query in queries]
        return {name: np.stack([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def forget(self, episodes: Sequence[Episode]) -> None:
        for episode in episodes:
            self._actions.pop(episode.key, None)

    def _chunk(self, query: Query) -> dict[str, np.ndarray]:
        recorded = self._actions[query.episode.key]
        length = self._records[query.episode.key].steps
        if query.step >= length:
            raise PolicyError(
                f"episode {query.episode} has {length} recorded steps and did not end there this time: the protocol or "
                f"the simulator is another one"
            )
        # The record ends where the episode ended; what lies beyond was never executed, and repeats the last action.
        rows = np.minimum(np.arange(query.step, query.step + self._horizon), length - 1)
        return {name: actions[rows] for name, actions in recorded.items()}

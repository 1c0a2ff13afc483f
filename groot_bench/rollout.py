"""The one loop: a fixed list of episodes -> slots -> padded batches -> records.

No slot waits for another, and the policy never waits for a full batch: whoever is ready when the policy is free is
served, first come, first served. Every episode of the list is run to its end and recorded exactly once; there is no
auto-reset and no counting of the first N to finish, which favors short (successful) episodes.
"""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groot_bench.batch import BatchMemory, check_action, not_finite, stack
from groot_bench.episode import Episode, EpisodeRecord
from groot_bench.errors import GrootBenchError, PolicyError, RunAborted, WorkerError
from groot_bench.listener import Listener
from groot_bench.policy import Policy
from groot_bench.protocol import Protocol
from groot_bench.schedule import Attempt, EpisodeQueue
from groot_bench.slots import Phase, Slot, Station
from groot_bench.trial import Trial
from groot_bench.workers import WorkerSettings

MAX_ATTEMPTS = 2
MAX_FAILURES_IN_A_ROW = 10
WAKE_UP = 1.0  # seconds; how late a worker's timeout may be noticed


@dataclass(frozen=True)
class Job:
    """What to run.

    Attributes:
        protocol: the rules. stations: task name -> set-up.
        episodes: which, in the order in which they should be started.
        slots: how many environments at once.
        worker: how to start their processes.
    """

    protocol: Protocol
    stations: Mapping[str, Station]
    episodes: Sequence[Episode]
    slots: int
    worker: WorkerSettings


class Rollout:
    """Runs a job once; see `run`."""

    def __init__(
        self, job: Job, policy: Policy, on_record: Callable[[EpisodeRecord], None], listeners: Sequence[Listener] = ()
    ) -> None:
        self._job, self._policy, self._on_record, self._listeners = job, policy, on_record, listeners
        self._queue = EpisodeQueue(job.episodes)
        self._slots = [Slot(job.worker) for _ in range(max(1, min(job.slots, len(job.episodes))))]
        self._waiting: deque[Slot] = deque()
        self._unseen: list[Episode] = []  # reset in a worker, not yet announced to the policy
        self._announced: set[Episode] = set()  # announced to the policy, and not over
        self._failures_in_a_row = 0
        self._memory = BatchMemory()
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Runs every episode of the job; each record is handed over as soon as its episode is over.

        Raises:
            RunAborted: ten workers failed in a row.
            PolicyError: the policy raised, or returned something of another shape.
            KeyboardInterrupt: as it came; the workers are ended first.
        """
        try:
            for slot in self._slots:
                self._assign(slot)
            while any(slot.trial is not None for slot in self._slots):
                if self._waiting:
                    self._query()
                    self._collect(0.0)
                else:
                    self._collect(WAKE_UP)
        finally:
            for slot in self._slots:
                slot.kill()
            self._selector.close()

    def _assign(self, slot: Slot) -> None:
        """Gives a free slot the next episode, if there is one."""
        while (attempt := self._queue.take(slot.task)) is not None:
            if attempt.number > 1:  # the second try is made in a fresh process, whoever makes it
                self._end_process(slot)
            trial, station = Trial(attempt, self._job.protocol), self._job.stations[attempt.episode.task]
            fresh = slot.worker is None
            try:
                slot.assign(trial, station, dict.fromkeys(self._traces(station, attempt.episode)))
            except WorkerError as error:
                self._fail(slot, error)
                continue
            if fresh and slot.worker is not None:
                self._selector.register(slot.worker.socket, selectors.EVENT_READ, slot)
                self._selector.register(slot.worker.output, selectors.EVENT_READ, slot)
            return
        if slot.worker is not None:
            slot.phase = Phase.IDLE

    def _traces(self, station: Station, episode: Episode) -> Iterator[str]:
        for listener in self._listeners:
            yield from listener.traces(station.task, episode)

    def _collect(self, timeout: float) -> None:
        """Takes what the workers have to say, waiting for it at most `timeout` seconds."""
        for key, _ in self._selector.select(timeout):
            slot: Slot = key.data
            worker = slot.worker
            if worker is None or key.fd not in (worker.socket.fileno(), worker.output):
                continue  # this worker was ended while an earlier event was handled
            if key.fd == worker.output:
                if not worker.drain():
                    self._selector.unregister(worker.output)
                continue
            if slot.trial is None:  # nothing was asked of it, so it can only have died; it is replaced when needed
                self._discard(slot)
                continue
            try:
                if slot.advance():
                    self._take_reply(slot)
            except WorkerError as error:
                self._fail(slot, error)
                self._assign(slot)
        self._check_deadlines()

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            worker = slot.worker
            if worker is None or slot.trial is None or worker.deadline is None or now <= worker.deadline:
                continue
            try:
                if slot.advance():  # the answer came while the policy was busy: in time, only not yet read
                    self._take_reply(slot)
                elif worker.deadline is not None:
                    worker.check_deadline()
            except WorkerError as error:
                self._fail(slot, error)
                self._assign(slot)

    def _take_reply(self, slot: Slot) -> None:
        trial = slot.trial
        assert trial is not None
        try:
            if slot.phase is Phase.RESETTING:
                trial.begin(slot.reply)
            else:
                trial.execute(slot.sent_actions(), str(slot.reply["success"]), bool(slot.reply["ended"]))
        except (KeyError, ValueError) as problem:
            raise WorkerError("exception", f"the worker's reply makes no sense: {problem!r}") from None
        if slot.phase is Phase.RESETTING:
            self._unseen.append(trial.episode)
            first = {name: array[0] for name, array in slot.traced(1).items()}
            for listener in self._listeners:
                listener.begin(trial, first)
        elif self._listeners:
            n = len(str(slot.reply["success"]))
            actions = {name: array[:n] for name, array in slot.sent_actions().items()}
            for listener in self._listeners:
                listener.chunk(trial, actions, str(slot.reply["success"]), slot.traced(n))
        if trial.over:
            self._finish(slot)
        else:
            slot.phase = Phase.WAITING
            self._waiting.append(slot)

    def _query(self) -> None:
        """One policy call for the slots that wait, oldest first, as far as they fit into one batch."""
        size = self._policy.info.batch_size
        batch = self._next_batch(size)
        station = batch[0].station
        assert station is not None
        if self._unseen:
            self._ask("reset", self._unseen)
            self._announced.update(self._unseen)
            self._unseen = []
        observation = stack(
            station.interface,
            [slot.worker.observed for slot in batch],  # type: ignore[union-attr]
            [slot.trial.instruction for slot in batch],  # type: ignore[union-attr, misc]
            size,
            self._memory,
        )
        queries = [slot.trial.query for slot in batch]  # type: ignore[union-attr]
        action = self._ask("act", observation, queries)
        check_action(action, station.interface, len(batch), size, self._policy.info.name)
        for row, slot in enumerate(batch):
            trial = slot.trial
            assert trial is not None
            problem = not_finite(action, row)
            if problem:
                self._give_up(slot, f"{problem} at query {trial.queries}")
                continue
            try:
                slot.run({name: array[row] for name, array in action.items()}, trial.next_steps)
            except WorkerError as error:
                self._fail(slot, error)
                self._assign(slot)

    def _next_batch(self, size: int | None) -> list[Slot]:
        first = self._waiting[0].station
        assert first is not None
        batch: list[Slot] = []
        others: deque[Slot] = deque()
        while self._waiting:
            slot = self._waiting.popleft()
            assert slot.station is not None
            fits = slot.station is first or slot.station.signature == first.signature
            (batch if fits and (size is None or len(batch) < size) else others).append(slot)
        self._waiting = others
        return batch

    def _finish(self, slot: Slot) -> None:
        trial = slot.trial
        assert trial is not None
        outcome = trial.record({}).outcome
        extra: dict[str, Any] = {}
        for listener in self._listeners:
            extra.update(listener.end(trial, outcome))
        extra["retarget"] = dict(self._ask("report", trial.episode)) if trial.episode in self._announced else {}
        self._failures_in_a_row = 0
        slot.trial = None
        self._record(trial.record(extra))
        self._assign(slot)

    def _give_up(self, slot: Slot, error: str) -> None:
        """Records an error that is not the worker's fault, so that trying again could not help."""
        trial = slot.trial
        assert trial is not None
        slot.trial = None
        self._drop(trial)
        self._record(trial.error_record(error))
        self._assign(slot)

    def _fail(self, slot: Slot, error: WorkerError) -> None:
        """A worker failed: end it, and try its episode once more or record the error."""
        trial = slot.trial
        assert trial is not None
        self._discard(slot)
        self._drop(trial)
        self._failures_in_a_row += 1
        if trial.attempt < MAX_ATTEMPTS:
            self._queue.put_back(Attempt(trial.episode, trial.attempt + 1))
        else:
            self._record(trial.error_record(str(error)))
        if self._failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
            raise RunAborted(
                f"{MAX_FAILURES_IN_A_ROW} environment processes failed in a row, with no episode finished in between; "
                f"the last one, on {trial.episode}: {error}"
            )

    def _discard(self, slot: Slot) -> None:
        """The slot's environment is lost, and with it the slot's place among those that work on its task."""
        self._queue.leave(slot.task)
        self._end_process(slot)

    def _end_process(self, slot: Slot) -> None:
        if slot in self._waiting:
            self._waiting.remove(slot)
        worker = slot.worker
        if worker is not None:
            for watched in (worker.socket, worker.output):
                if watched in self._selector.get_map():
                    self._selector.unregister(watched)
        slot.kill()

    def _drop(self, trial: Trial) -> None:
        if trial.episode in self._unseen:
            self._unseen.remove(trial.episode)
        for listener in self._listeners:
            listener.drop(trial)

    def _record(self, record: EpisodeRecord) -> None:
        if record.episode in self._announced:
            self._announced.remove(record.episode)
            self._ask("forget", [record.episode])
        self._on_record(record)
        for listener in self._listeners:
            listener.record(record)

    def _ask(self, method: str, *arguments: object) -> Any:
        """Calls the policy; whatever it raises stops the run, since it cannot be blamed on one episode."""
        try:
            return getattr(self._policy, method)(*arguments)
        except GrootBenchError:
            raise
        except Exception as problem:
            name = self._policy.info.name
            raise PolicyError(f"policy {name!r} failed in {method}: {type(problem).__name__}: {problem}") from problem

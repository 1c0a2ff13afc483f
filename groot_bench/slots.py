"""One slot: an environment process and the trial that it runs. Slots have no meaning for results."""

from __future__ import annotations

import enum
import functools
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from groot_bench.errors import WorkerError
from groot_bench.layout import Layout
from groot_bench.policy import Interface
from groot_bench.protocol import Protocol
from groot_bench.spec import Spec
from groot_bench.suite import Suite, Task
from groot_bench.trial import Trial
from groot_bench.workers import Worker, WorkerSettings


class Phase(enum.Enum):
    """What a slot's worker is doing."""

    EMPTY = "no process"
    STARTING = "start"
    MAKING = "make"
    RESETTING = "reset"
    WAITING = "waits for the policy"
    RUNNING = "run"
    IDLE = "has no episode"


EXPECTING = (Phase.STARTING, Phase.MAKING, Phase.RESETTING, Phase.RUNNING)


@dataclass(frozen=True)
class Station:
    """How one task is set up in every slot: its interface, its memory, its settings."""

    task: Task
    interface: Interface
    layout: Layout
    settings: Mapping[str, Any] = field(repr=False)

    @functools.cached_property
    def signature(self) -> tuple[object, ...]:
        """Equal for tasks whose rows may share a batch."""
        interface = self.interface
        return (interface.horizon, *sorted(interface.observation.items()), *sorted(interface.action.items()))


def make_station(
    suite: Suite, task: Task, protocol: Protocol, interface: Interface, traces: Mapping[str, None]
) -> Station:
    """The set-up of one task: lays out its memory, and names the cameras that may ever be rendered."""
    given = {**task.observation, **task.privileged}
    # The sizes are the suite's: a reader may leave some open.
    observed: Spec = {name: given[name] for name in interface.observation}
    traced = {name: task.observation[name] for name in traces}
    cameras = [name for name in task.cameras if name in observed or name in traced]
    layout = Layout.of(observed, traced, task.action, protocol.actions_per_query)
    settings = {
        **suite.settings,
        "protocol": protocol.name,
        "image": dict(protocol.image),
        "settle_steps": protocol.settle_steps,
        "start_states": protocol.start_states,
        "control_hz": protocol.control_hz,
        "cameras": cameras,
    }
    return Station(task, interface, layout, settings)


class Slot:
    """An environment process, started when first needed and again after a failure.

    Attributes:
        phase: what it is doing. trial: what it runs, or None.
        station: the set-up of the trial's task.
        reply: the last one of its worker.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.worker: Worker | None = None
        self.phase = Phase.EMPTY
        self.trial: Trial | None = None
        self.station: Station | None = None
        self.reply: Mapping[str, Any] = {}
        self._trace: list[str] = []

    @property
    def task(self) -> str | None:
        """What its process works on."""
        return None if self.worker is None or self.station is None else self.station.task.name

    def assign(self, trial: Trial, station: Station, trace: Iterable[str] = ()) -> None:
        """Gives it a trial; it starts, builds or resets, whichever comes first.

        Args:
            trace: the observations to keep of each of its control steps.
        """
        self.trial, self.station, self._trace = trial, station, list(trace)
        if self.worker is None:
            self.worker = Worker(self._settings)
            self.phase = Phase.STARTING
        else:
            self._make_or_reset()

    def advance(self) -> bool:
        """Takes the reply that its worker may have; True when the reply was that of the trial's reset or chunk.

        Raises:
            WorkerError: the worker failed.
        """
        assert self.worker is not None and self.trial is not None
        reply = self.worker.poll()
        if reply is None:
            return False
        if self.phase not in EXPECTING:
            raise WorkerError("exception", f"the worker sent a reply although nothing was asked ({self.phase.value})")
        self.reply = reply
        if self.phase is Phase.STARTING:
            self._make_or_reset()
            return False
        if self.phase is Phase.MAKING:
            self._reset()
            return False
        return True

    def run(self, chunk: Mapping[str, np.ndarray], steps: int) -> None:
        """Sends the first `steps` actions of a chunk, name -> (H, D)."""
        assert self.worker is not None and self.trial is not None
        for name, place in self.worker.actions.items():
            place[:steps] = chunk[name][:steps]
        self.worker.send(
            "run",
            steps=steps,
            stop_on_success=self.trial.protocol.stop_on_success,
            observe=self.trial.steps + steps < self.trial.cap,
            trace=self._trace,
        )
        self.phase = Phase.RUNNING

    def traced(self, steps: int) -> Mapping[str, np.ndarray]:
        """What was kept of the last `steps` control steps, name -> (steps, T, ...)."""
        assert self.worker is not None
        return {name: self.worker.traced[name][:steps] for name in self._trace}

    def sent_actions(self) -> Mapping[str, np.ndarray]:
        """The chunk that was last sent, name -> (k, D)."""
        assert self.worker is not None
        return self.worker.actions

    def kill(self) -> None:
        """Ends the process; the slot starts another one when it is given a trial."""
        if self.worker is not None:
            self.worker.kill()
        self.worker, self.trial, self.phase = None, None, Phase.EMPTY

    def _make_or_reset(self) -> None:
        assert self.worker is not None and self.station is not None
        if self.worker.task == self.station.task.name:
            self._reset()
            return
        self.worker.send_make(self.station.task.name, self.station.settings, self.station.layout)
        self.phase = Phase.MAKING

    def _reset(self) -> None:
        assert self.worker is not None and self.trial is not None
        episode = self.trial.episode
        self.worker.send("reset", seed=episode.seed, index=episode.index, observe=True, trace=self._trace)
        self.phase = Phase.RESETTING


def worker_settings(
    suite: Suite, python: str | None = None, *, timeout: float = 300.0, audit: bool = False
) -> WorkerSettings:
    """How to start the processes of a suite; `python` None means the suite's own interpreter, or this one."""
    return WorkerSettings(
        env=suite.env,
        python=python or suite.python or sys.executable,
        variables=suite.variables,
        paths=suite.paths,
        timeout=timeout,
        audit=audit,
    )


def default_slots() -> int:
    """One slot for each core this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""The Policy contract: a batch of observations in, a batch of action chunks out.

A wrapper (chunking, ablation, retargeting, a remote policy) is a Policy that holds a Policy. A policy may keep state
for an episode (a history, a queue, a plan) only under that episode's key: slots and batch rows have no meaning.
"""

from __future__ import annotations

import abc
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from groot_bench.episode import Episode
from groot_bench.errors import SpecMismatch, UsageError
from groot_bench.protocol import Protocol
from groot_bench.spec import PRIVILEGED, Spec, require_equal, require_readable

if TYPE_CHECKING:
    from groot_bench.suite import Task

Observation = Mapping[str, "np.ndarray | Sequence[str]"]
Action = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PolicyInfo:
    """What a policy is; it goes into the run's manifest, and a change of any field is another experiment.

    Attributes:
        name, version: shown in tables.
        seed: of the policy's own randomness; None for a policy that has none.
        settings: everything else that changes its actions, as plain JSON values.
        checkpoint: digest of its weights, or None.
        batch_size: rows of every batch it is given, the last ones padding; with a fixed shape a row's result cannot
            depend on its neighbours. None for a policy that computes each row by itself: it gets the rows there are.
        privileged: whether it reads the simulator's hidden state, which no real policy could.
        retarget: configuration and model digest of a retargeting layer, as plain JSON values; None without one.

    Raises:
        UsageError: a batch size below 1, or settings that are no plain JSON values.
    """

    name: str
    version: str = "1"
    seed: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    batch_size: int | None = None
    privileged: bool = False
    retarget: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and (type(self.batch_size) is not int or self.batch_size < 1):
            raise UsageError(f"policy {self.name!r}: batch_size must be None or 1 or more, got {self.batch_size!r}")
        for name in ("settings", "retarget"):
            try:
                json.dumps(getattr(self, name), allow_nan=False)
            except (TypeError, ValueError) as problem:
                raise UsageError(f"policy {self.name!r}: {name} must be plain JSON values: {problem}") from None


@dataclass(frozen=True)
class Interface:
    """What a policy reads and returns on one task.

    Attributes:
        observation: the arrays that it reads, each with its time axis; the suite renders and sends nothing else.
        action: the arrays that it returns, of one control step, without the horizon axis.
        horizon: how many control steps a returned chunk has (H).
    """

    observation: Spec
    action: Spec
    horizon: int


@dataclass(frozen=True)
class Query:
    """One row of a batch: the `index`-th policy call of `episode`, after `step` executed control steps."""

    episode: Episode
    index: int
    step: int


class Policy(abc.ABC):
    """Maps observations to action chunks. Row b belongs to `queries[b]`."""

    info: PolicyInfo

    @abc.abstractmethod
    def interface(self, task: Task) -> Interface:
        """What this policy reads and returns on `task`; raises SpecMismatch where it cannot do it."""

    def reset(self, episodes: Sequence[Episode]) -> None:
        """These episodes begin, perhaps for the second time: nothing kept for them may survive."""
        del episodes

    @abc.abstractmethod
    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        """One chunk for each query.

        Args:
            observation: name -> (B, *shape), read-only; text is a list of B strings.
                B is `info.batch_size` where that is set, else len(queries). All rows are of tasks with one interface.
            queries: at most B; rows beyond are padding, and what is returned for them is ignored.

        Returns:
            name -> float32 (B or len(queries), H, D).
        """

    def report(self, episode: Episode) -> Mapping[str, int]:
        """Counters of this episode for its record (`retarget`), asked for once when it is over, before `forget`."""
        del episode
        return {}

    def forget(self, episodes: Sequence[Episode]) -> None:
        """These episodes are over: what was kept for them can go. Comes once for each that `reset` was called for."""
        del episodes

    def close(self) -> None:
        """Frees what it holds. Whoever made the policy calls this: `evaluate` does for policies given by name."""


def require_fit(policy: Policy, task: Task, protocol: Protocol) -> Interface:
    """The policy's interface on `task`, checked against what the suite gives and takes.

    Raises:
        SpecMismatch: an array is missing or differs in shape, dtype, unit, frame or convention.
        UsageError: the protocol executes more actions per query than the policy returns.
    """
    interface = policy.interface(task)
    name = policy.info.name
    given = {**task.observation, **(task.privileged if policy.info.privileged else {})}
    if not policy.info.privileged and any(key.startswith(PRIVILEGED) for key in interface.observation):
        raise SpecMismatch(f"policy {name!r} reads privileged state but does not say so in its info")
    require_readable(given, interface.observation, f"policy {name!r} does not fit task {task.name!r} (observation)")
    require_equal(interface.action, task.action, f"policy {name!r} does not fit task {task.name!r} (action)")
    if interface.horizon < 1:
        raise SpecMismatch(f"policy {name!r}: horizon must be 1 or more, got {interface.horizon}")
    if protocol.actions_per_query > interface.horizon:
        raise UsageError(
            f"protocol {protocol.name!r} executes {protocol.actions_per_query} actions per query, but policy {name!r} "
            f"returns {interface.horizon}; use --actions-per-query {interface.horizon} or less"
        )
    return interface

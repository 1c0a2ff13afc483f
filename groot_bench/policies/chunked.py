"""Which of a policy's predictions are executed: the first k of a chunk, or an average over overlapping chunks.

Temporal ensembling as in ACT (Zhao et al., "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware", RSS
2023, section IV-B): where several chunks predict the action of one control step, the weighted average of all of them is
executed, with weights exp(-m i) for the i-th prediction, i = 0 the oldest, divided by their sum. The i counts the
predictions that there are for that step, however many steps lie between them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groot_bench.batch import check_action
from groot_bench.episode import Episode
from groot_bench.errors import SpecMismatch, UnknownName, UsageError
from groot_bench.policies.history import ChunkHistory, change_rows
from groot_bench.policies.wrapped import WrappedPolicy
from groot_bench.policy import Action, Interface, Observation, Policy, Query
from groot_bench.suite import Task

# Numbers whose average is no average: q and -q are one rotation, and angles begin again after a turn.
NO_AVERAGE = re.compile(r"^(?!delta).*(quat|euler|rpy|axis_?angle|rotvec)", re.IGNORECASE)

MAX_TEMPERATURE = 1e6  # far beyond it, every weight but one is 0


@dataclass(frozen=True)
class Chunking:
    """How chunks are executed.

    Attributes:
        horizon: how many actions of a chunk are returned (k), 1 or more; None for all.
        ensemble: m of the weights exp(-m i): 0 is the plain average, above 0 older predictions count more (ACT has
            0.01), below 0 newer ones. None for no ensembling.
    """

    horizon: int | None = None
    ensemble: float | None = None

    def __post_init__(self) -> None:
        if self.horizon is not None and (type(self.horizon) is not int or self.horizon < 1):
            raise UsageError(f"the execution horizon must be a whole number, 1 or more, got {self.horizon!r}")
        m = self.ensemble
        if m is not None and (type(m) not in (int, float) or not -MAX_TEMPERATURE <= m <= MAX_TEMPERATURE):
            raise UsageError(
                f"the temperature of the ensemble must be a number between {-MAX_TEMPERATURE:g} and "
                f"{MAX_TEMPERATURE:g}, got {m!r}"
            )


def parse_chunking(text: str) -> Chunking:
    """Chunking in its text form: "horizon=8", "ensemble=0.01" or "horizon=8,ensemble=0.01".

    Raises:
        UnknownName: no such setting.
        UsageError: one is given twice, or its value is no number.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name not in ("horizon", "ensemble"):
            raise UnknownName("setting of chunking", name, ("horizon", "ensemble"))
        if name in found:
            raise UsageError(f"chunking {text!r} gives {name} twice")
        found[name] = value
    try:
        horizon = int(found["horizon"]) if "horizon" in found else None
        ensemble = float(found["ensemble"]) if "ensemble" in found else None
    except ValueError:
        raise UsageError(f"chunking {text!r} has no numbers; it looks like horizon=8,ensemble=0.01") from None
    return Chunking(horizon, ensemble)


class ChunkedPolicy(WrappedPolicy):
    """Returns the first k actions of each chunk, averaged over the chunks of the episode that overlap.

    The whole chunk of the inner policy takes part in the average, also what lies beyond k. How many of the k actions
    are executed before the next query is the protocol's business (`actions_per_query`); where chunks do not overlap,
    because they are executed to their end, ensembling changes nothing. Averages are taken over the plain numbers of
    the action, in float64, oldest first; action arrays whose convention names a quaternion, Euler angles or an axis
    angle are refused, unless it begins with "delta". Two-valued parts (a gripper) may come out in between.

    Args:
        policy: the inner one.
        horizon, ensemble: see `Chunking`.

    Raises:
        UsageError: a value out of its range.
    """

    def __init__(self, policy: Policy, horizon: int | None = None, ensemble: float | None = None) -> None:
        self.chunking = Chunking(horizon, ensemble)
        self._history = ChunkHistory()
        super().__init__(
            policy, "chunked", {"horizon": horizon, "ensemble": None if ensemble is None else float(ensemble)}
        )

    def changed(self, interface: Interface, task: Task) -> Interface:
        """The inner interface with horizon k.

        Raises:
            UsageError: k is more than the inner policy returns.
            SpecMismatch: an action array cannot be averaged.
        """
        horizon = self.chunking.horizon or interface.horizon
        inner = self.policy.info.name
        if horizon > interface.horizon:
            raise UsageError(
                f"the execution horizon is {horizon}, but policy {inner!r} returns {interface.horizon} actions on task "
                f"{task.name!r}; give {interface.horizon} or less"
            )
        if self.chunking.ensemble is not None:
            for name, spec in interface.action.items():
                if NO_AVERAGE.match(spec.convention or ""):
                    raise SpecMismatch(
                        f"temporal ensembling cannot average {name} of policy {inner!r}, whose convention is "
                        f"{spec.convention!r}; leave the ensemble out"
                    )
        return Interface(interface.observation, interface.action, horizon)

    def reset(self, episodes: Sequence[Episode]) -> None:
        if self.chunking.ensemble is not None:
            self._history.reset(episodes)
        super().reset(episodes)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        action = self.policy.act(observation, queries)
        horizon, m = self.chunking.horizon, self.chunking.ensemble
        if horizon is None and m is None:
            return action
        check_action(action, self.inner_interface(queries), len(queries), self.info.batch_size, self.policy.info.name)
        if m is None:
            return {name: array[:, :horizon] for name, array in action.items()}
        averaged = change_rows(action, queries, self._averaged)
        return {name: array[:, :horizon] for name, array in averaged.items()}

    def forget(self, episodes: Sequence[Episode]) -> None:
        self._history.forget(episodes)
        super().forget(episodes)

    def _averaged(self, query: Query, chunk: np.ndarray) -> np.ndarray:
        """The chunk that answers `query`, averaged with the episode's earlier ones; both float32 (H, D)."""
        assert self.chunking.ensemble is not None
        kept = self._history.add(query, chunk)
        horizon = len(chunk)
        while kept[0].step + horizon <= query.step:
            del kept[0]
        spans = [past.step + horizon - query.step for past in kept]  # how many of the next steps each one predicts
        total = np.zeros(chunk.shape, np.float64)
        divisor = np.zeros((horizon, 1), np.float64)
        with np.errstate(invalid="ignore"):  # what is not finite is noticed by whoever executes it
            for past, span, weight in zip(kept, spans, ensemble_weights(spans, self.chunking.ensemble), strict=True):
                total[:span] += weight[:, None] * past.chunk[horizon - span :]
                divisor[:span] += weight[:, None]
        return (total / divisor).astype(np.float32)


def ensemble_weights(spans: Sequence[int], m: float) -> list[np.ndarray]:
    """The weight of each prediction, before they are divided by their sum.

    Args:
        spans: for each chunk, oldest first, how many of the next control steps it predicts; rising.
        m: see `Chunking`.

    Returns:
        For each chunk float64 (span,): exp(-m i), i = 0 for the oldest prediction of that step. With m below 0 they are
        scaled so that the newest has weight 1, which is the same average and cannot overflow.
    """
    fading = np.array([math.exp(-abs(m) * i) for i in range(len(spans))])
    weights = []
    for number, span in enumerate(spans):
        if m < 0:
            weights.append(np.full(span, fading[len(spans) - 1 - number]))
        else:
            oldest = np.searchsorted(spans, np.arange(span), side="right")  # the first chunk that reaches this step
            weights.append(fading[number - oldest])
    return weights

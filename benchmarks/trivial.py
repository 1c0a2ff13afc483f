"""The suite and the policy of the overhead and scheduling benchmarks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from groot_bench import Action, ArraySpec, Interface, Observation, Policy, PolicyInfo, Protocol, Query, Suite, Task


def trivial_suite(*, tasks: int, steps: int, chunk: int, images: int, var: bool = False, step_ms: float = 0.0) -> Suite:
    """Tasks t0, t1, ... with `images` frames of 256x256 and an 8-d state."""
    observation = {f"video.cam{i}": ArraySpec((1, 256, 256, 3), "uint8", "rgb") for i in range(images)}
    observation["state.pose"] = ArraySpec((1, 8))
    names = [f"t{i}" for i in range(tasks)]
    protocol = Protocol("trivial/v1", "sampled", dict.fromkeys(names, 1_000_000), chunk, 1, 20.0)
    return Suite(
        name="trivial",
        version=1,
        tasks={name: Task(name, observation, {"action.arm": ArraySpec((7,))}) for name in names},
        protocols={protocol.name: protocol},
        env=f"{Path(__file__).with_name('trivial_env.py')}:make_env",
        settings={"steps": steps, "var": var, "step_ms": step_ms, "frame": 256},
    )


class EchoPolicy(Policy):
    """Zeros after a stated time: `latency_ms` for a call and `per_ms` more for each real row."""

    def __init__(
        self, horizon: int, latency_ms: float = 0.0, per_ms: float = 0.0, batch_size: int | None = None
    ) -> None:
        self.info = PolicyInfo("echo", batch_size=batch_size)
        self._horizon, self._latency, self._per = horizon, latency_ms, per_ms

    def interface(self, task: Task) -> Interface:
        return Interface(task.observation, task.action, self._horizon)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        delay = self._latency + self._per * len(queries)
        if delay:
            time.sleep(delay / 1e3)
        return {"action.arm": np.zeros((len(queries), self._horizon, 7), np.float32)}

"""One attempt at an episode while it runs: what has been executed, and what its record will say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from groot_bench.episode import EpisodeRecord, Outcome
from groot_bench.policy import Query
from groot_bench.protocol import Protocol
from groot_bench.schedule import Attempt

MAX_INSTRUCTION = 10_000  # characters
MAX_ERROR = 20_000  # characters of an error that are kept, so that its line can be read again


class Trial:
    """Accumulates an episode's record.

    Attributes:
        episode: which one. attempt: 1 or 2.
        steps: control steps executed so far. queries: policy calls answered so far.
        over: whether it has ended, by success, by its cap, or because the environment said so.
    """

    def __init__(self, attempt: Attempt, protocol: Protocol) -> None:
        self.episode, self.attempt = attempt
        self.protocol = protocol
        self.cap = protocol.cap(self.episode.task)
        self.steps = 0
        self.queries = 0
        self.over = False
        self.instruction: str | None = None
        self._scene_hash: str | None = None
        self._frames_hash: str | None = None
        self._spans: list[tuple[int, int]] = []
        self._held = False
        self._chunk_end: bool | None = False
        self._actions = hashlib.blake2b(digest_size=16)
        self._started = time.perf_counter()

    def begin(self, reply: Mapping[str, Any]) -> None:
        """The environment has been reset."""
        instruction = reply["instruction"]
        if not isinstance(instruction, str) or len(instruction) > MAX_INSTRUCTION:
            raise ValueError(f"the instruction must be a text of at most {MAX_INSTRUCTION} characters")
        self.instruction = instruction
        self._scene_hash = str(reply["scene_hash"])
        frames = reply["frames_hash"]
        self._frames_hash = None if frames is None else str(frames)

    @property
    def query(self) -> Query:
        """The policy call that comes next."""
        return Query(self.episode, self.queries, self.steps)

    @property
    def next_steps(self) -> int:
        """How many actions of the next chunk are executed: the protocol's number, or what the cap leaves."""
        return min(self.protocol.actions_per_query, self.cap - self.steps)

    def execute(self, actions: Mapping[str, np.ndarray], success: str, ended: bool) -> None:
        """A chunk was executed.

        Args:
            actions: what was sent, name -> (n, D).
            success: one character for each executed step, "1" where the goal held; may be shorter than n.
            ended: whether the environment said that it is over.
        """
        asked, executed = self.next_steps, len(success)
        if not 1 <= executed <= asked or set(success) - {"0", "1"}:
            raise ValueError(f"the worker reports steps {success!r} for a chunk of {asked}")
        self._actions.update(action_bytes(actions, executed))
        for held in success:
            self.steps += 1
            if held == "1":
                self._extend_spans()
        self._held = success[-1] == "1"
        self.queries += 1
        stopped = self._held and self.protocol.stop_on_success
        self.over = ended or stopped or self.steps >= self.cap
        if self._held and (executed == asked or ended):
            self._chunk_end = True
        elif stopped and not self._chunk_end:
            self._chunk_end = None  # the rest of the chunk was not executed, so its end was never seen

    def _extend_spans(self) -> None:
        if self._spans and self._spans[-1][1] == self.steps - 1:
            self._spans[-1] = (self._spans[-1][0], self.steps)
        else:
            self._spans.append((self.steps, self.steps))

    def record(self, extra: Mapping[str, Any]) -> EpisodeRecord:
        """The record of a finished trial; `extra` holds fields that others fill in, such as the video's path."""
        once = bool(self._spans)
        decided = {"once": once, "at_end": self._held, "at_chunk_end": bool(self._chunk_end)}
        return EpisodeRecord(
            episode=self.episode,
            outcome=Outcome.SUCCESS if decided[self.protocol.success_rule] else Outcome.FAILURE,
            success_once=once,
            success_at_end=self._held,
            success_at_chunk_end=self._chunk_end,
            first_success_step=self._spans[0][0] if once else None,
            success_spans=tuple(self._spans),
            instruction=self.instruction,
            scene_hash=self._scene_hash,
            frames_hash=self._frames_hash,
            action_hash=self._actions.hexdigest(),
            **self._effort(),
            **extra,
        )

    def error_record(self, error: str) -> EpisodeRecord:
        """The record of a trial that could not be measured."""
        return EpisodeRecord(episode=self.episode, outcome=Outcome.ERROR, error=_shortened(error), **self._effort())

    def _effort(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "queries": self.queries,
            "sim_seconds": round(self.steps / self.protocol.control_hz, 6),
            "wall_seconds": round(time.perf_counter() - self._started, 4),
            "attempts": self.attempt,
        }


def action_bytes(actions: Mapping[str, np.ndarray], steps: int) -> bytes:
    """What `action_hash` digests: float32 rows, one a step, so that it does not matter how steps are chunked.

    Args:
        actions: name -> (n, D).
        steps: how many of the n.
    """
    rows = np.concatenate([actions[name][:steps] for name in sorted(actions)], axis=1)
    return np.ascontiguousarray(rows, np.float32).tobytes()


def _shortened(text: str) -> str:
    """A long text without its middle: what failed stands at the beginning, why at the end."""
    if len(text) <= MAX_ERROR:
        return text
    half = MAX_ERROR // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"

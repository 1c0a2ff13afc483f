"""An episode is one fixed experiment: its identity, fixed before anything runs, and the record of its result."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Outcome(str, enum.Enum):
    """How an episode ended. ERROR means that it could not be measured; it is never counted as a failure silently."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, order=True)
class Episode:
    """One trial, fully named before anything runs.

    Attributes:
        suite, protocol, task: names. `protocol` is the published name, without this run's changes to it, so that runs
            which differ in, say, the actions per query still meet the same scenes and can be paired.
        index: 0, 1, 2, ... within the task.
        seed: 64 bits; it alone decides the start state (see `derive_seed`).
    """

    suite: str
    protocol: str
    task: str
    index: int
    seed: int = field(compare=False)

    @property
    def key(self) -> tuple[str, int]:
        """What tells this episode from the others of its run."""
        return (self.task, self.index)

    def __str__(self) -> str:
        return f"{self.protocol}:{self.task}:{self.index}"


def derive_seed(suite: str, protocol: str, task: str, index: int, run_seed: int) -> int:
    """The 64-bit seed of an episode: a hash of its key and the run's seed.

    It depends on nothing else: not on the number of episodes, on slots, shards, or the order in which they run.
    """
    return task_seeds(suite, protocol, task, run_seed)(index)


def task_seeds(suite: str, protocol: str, task: str, run_seed: int) -> Callable[[int], int]:
    """index -> seed, as of `derive_seed`; what the episodes of a task share is hashed once."""
    key = json.dumps([suite, protocol, task], separators=(",", ":"), ensure_ascii=True)
    shared = hashlib.blake2b(key[:-1].encode(), digest_size=8, person=b"groot-episode")

    def seed(index: int) -> int:
        digest = shared.copy()
        digest.update(f",{index},{run_seed}]".encode())
        return int.from_bytes(digest.digest(), "little")

    return seed


def make_episode(suite: str, protocol: str, task: str, index: int, run_seed: int) -> Episode:
    """The episode with its seed filled in."""
    return Episode(suite, protocol, task, index, derive_seed(suite, protocol, task, index, run_seed))


@dataclass(frozen=True)
class EpisodeRecord:
    """What is known of one finished episode; one line of `episodes.jsonl`.

    Attributes:
        episode: which one.
        outcome: success, failure or error, by the protocol's success rule.
        success_once: the goal held at some control step.
        success_at_end: it held at the last executed control step.
        success_at_chunk_end: it held at the end of some chunk; None when the episode stopped on success inside a
            chunk, so that it cannot be known.
        first_success_step: the 1-based control step at which it first held, or None.
        success_spans: the control steps at which it held, as inclusive [first, last] pairs.
        steps: control steps executed, settle steps not counted.
        queries: policy calls of this episode.
        instruction: what the policy was told, read after reset.
        scene_hash: digest of the physical scene after reset (model, positions, poses). It does not depend on the
            renderer, so runs with and without cameras can be paired.
        frames_hash: digest of the first frames the policy saw, or None where it saw none.
        action_hash: digest of every executed action, in order.
        retarget: counters of the retargeting layer; empty without one.
        sim_seconds: steps / control rate [s].
        wall_seconds: time the episode took here, reset included [s].
        attempts: 1, or 2 when a worker failed and the episode was run again.
        error: what went wrong, when the outcome is error.
        video: path of the episode's video relative to the run folder, or None.
    All `success_*` fields, hashes and the instruction are None when the episode could not be measured.
    """

    episode: Episode
    outcome: Outcome
    success_once: bool | None = None
    success_at_end: bool | None = None
    success_at_chunk_end: bool | None = None
    first_success_step: int | None = None
    success_spans: tuple[tuple[int, int], ...] = ()
    steps: int = 0
    queries: int = 0
    instruction: str | None = None
    scene_hash: str | None = None
    frames_hash: str | None = None
    action_hash: str | None = None
    retarget: Mapping[str, int] = field(default_factory=dict)
    sim_seconds: float = 0.0
    wall_seconds: float = 0.0
    attempts: int = 1
    error: str | None = None
    video: str | None = None

    def result(self) -> tuple[object, ...]:
        """The part that must be equal however the run was carried out: no times, attempts or files."""
        return (
            *(self.episode.key + (self.episode.seed,)),
            *(self.outcome, self.success_once, self.success_at_end, self.success_at_chunk_end),
            *(self.success_spans, self.steps, self.queries, self.instruction),
            *(self.scene_hash, self.frames_hash, self.action_hash, tuple(sorted(self.retarget.items()))),
        )

    def to_json(self) -> dict[str, Any]:
        """A flat dict; the episode's own fields come first."""
        flat = dataclasses.asdict(self.episode)
        for item in dataclasses.fields(self)[1:]:
            flat[item.name] = getattr(self, item.name)
        flat["outcome"] = str(self.outcome)
        flat["success_spans"] = [list(span) for span in self.success_spans]
        flat["retarget"] = dict(self.retarget)
        return flat


MOST_TASKS = 200  # that a table lists one by one where they have parts; JSON has all of them


def parts_of(task: str) -> list[str]:
    """The parts of a suite that a task is in, by its name: "a/b/c" is in "a", in "a/b", and in "b" of any other."""
    words = task.split("/")[:-1]
    return [*("/".join(words[: count + 1]) for count in range(len(words))), *words[1:]]


def parts_in(tasks: Sequence[str]) -> dict[str, list[str]]:
    """The parts that have several of these tasks, but not all -> those tasks, in order; of equal parts the first."""
    parts: dict[str, list[str]] = {}
    for task in tasks:
        for part in parts_of(task):
            parts.setdefault(part, []).append(task)
    several = {part: tuple(members) for part, members in parts.items() if 1 < len(members) < len(tasks)}
    first = {members: part for part, members in reversed(several.items())}
    return {part: list(members) for part, members in several.items() if first[members] == part}


def too_many(tasks: Sequence[object], parts: Collection[object]) -> bool:
    """Whether a table shows the parts in place of the tasks."""
    return bool(parts) and len(tasks) > MOST_TASKS

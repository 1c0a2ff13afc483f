"""The instructions of a suite's tasks, and another task's instruction for an episode.

An instruction is known only after a reset, so a table of them is read from environments, or from a recorded run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from groot_bench.episode import Episode, make_episode
from groot_bench.errors import UsageError
from groot_bench.policy import Interface
from groot_bench.protocol import Protocol
from groot_bench.record import Run
from groot_bench.slots import make_station, worker_settings
from groot_bench.suite import Suite, Task
from groot_bench.workers import Worker


def read_instructions(
    suite: Suite,
    protocol: Protocol,
    tasks: Sequence[Task] | None = None,
    *,
    python: str | None = None,
    timeout: float = 300.0,
) -> dict[str, tuple[str, ...]]:
    """What the tasks say in their episode 0 of run seed 0, whatever the seed of the run that follows.

    Builds and resets each task's environment once, one after the other in one process, and renders nothing.

    Args:
        tasks: which; None for all of the suite.
        python: the interpreter of the environments; None for the suite's own, or this one.
        timeout: the longest that building or resetting one may take [s].

    Returns:
        task -> its text.

    Raises:
        WorkerError: an environment failed.
    """
    worker = Worker(worker_settings(suite, python, timeout=timeout))
    found: dict[str, tuple[str, ...]] = {}
    try:
        worker.wait()
        for task in suite.select() if tasks is None else tasks:
            found[task.name] = (_read(worker, suite, protocol, task),)
    except BaseException:
        worker.kill()
        raise
    worker.close()
    return found


def _read(worker: Worker, suite: Suite, protocol: Protocol, task: Task) -> str:
    station = make_station(suite, task, protocol, Interface({}, task.action, 1), {})
    worker.send_make(task.name, station.settings, station.layout)
    worker.wait()
    episode = make_episode(suite.name, protocol.name, task.name, 0, run_seed=0)
    worker.send("reset", seed=episode.seed, index=episode.index, observe=False, trace=[])
    return str(worker.wait()["instruction"])


def recorded_instructions(run: Run) -> dict[str, tuple[str, ...]]:
    """What the episodes of a run were told: task -> its different texts, sorted."""
    found: dict[str, set[str]] = {}
    for record in run.records:
        if record.instruction is not None:
            found.setdefault(record.episode.task, set()).add(record.instruction)
    return {task: tuple(sorted(texts)) for task, texts in found.items()}


class InstructionTable:
    """Instructions of tasks, from which those of other tasks are drawn.

    Args:
        texts: task -> what it may say; blank texts are left out.
    """

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        for task, listed in texts.items():
            if isinstance(listed, str) or not all(isinstance(text, str) for text in listed):
                raise UsageError(f"the instructions of task {task!r} must be a list of texts, got {listed!r}")
        self._texts = {task: sorted({text for text in texts[task] if text.strip()}) for task in sorted(texts)}

    def require_another(self, task: str) -> None:
        """Raises UsageError where no other task says something else than `task` does."""
        self._others(task, self._texts.get(task, []))

    def draw(self, episode: Episode, told: str) -> str:
        """A text of another task that differs from `told`: first a task is drawn, then one of its texts.

        The draw depends on the episode's identity (its seed included) and on nothing else.

        Raises:
            UsageError: there is none.
        """
        others = self._others(episode.task, [told])
        identity = [episode.suite, episode.protocol, episode.task, episode.index, episode.seed]
        text = json.dumps(identity, separators=(",", ":"), ensure_ascii=True)
        digest = hashlib.blake2b(text.encode(), digest_size=16, person=b"groot-swap").digest()
        texts = others[int.from_bytes(digest[:8], "little") % len(others)]
        return texts[int.from_bytes(digest[8:], "little") % len(texts)]

    def to_json(self) -> dict[str, Any]:
        """What identifies the table: how many tasks it has, and a digest of all texts."""
        text = json.dumps(self._texts, separators=(",", ":"), ensure_ascii=True)
        return {"tasks": len(self._texts), "digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}

    def _others(self, task: str, own: Iterable[str]) -> list[list[str]]:
        said = {_plain(text) for text in own}
        others = [
            [text for text in texts if _plain(text) not in said] for name, texts in self._texts.items() if name != task
        ]
        found = [texts for texts in others if texts]
        if not found:
            raise UsageError(
                f"instruction=swap: no other task says something else than {task!r} does (known: "
                f"{', '.join(self._texts) or 'none'}); give the instructions of more tasks, or instruction=text:..."
            )
        return found


def _plain(text: str) -> str:
    """A text without what models overlook: case, spaces, the full stop."""
    return " ".join(text.casefold().split()).rstrip(".")

"""`groot-bench setup robotwin2 --make-seeds`: seed lists by the scripted expert, as the official evaluation does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groot_bench.errors import SuiteNotReady, WorkerError
from groot_bench.layout import Layout
from groot_bench.setup.stamps import write_json
from groot_bench.slots import worker_settings
from groot_bench.suite import Suite
from groot_bench.workers import Worker
from groot_envs.robotwin2 import seeds
from groot_envs.robotwin2.tasks import COMMIT, FIRST_SEED

EXPERT = "groot_envs.robotwin2.expert:make_env"
MOST_FAILURES = 20  # in a row, before it is the installation that is at fault and not the seeds
MOST_UNSOLVED = 500  # in a row; upstream itself would try for ever
SECONDS = 900.0  # of one attempt; planning takes up to a minute on a GPU


def make_seeds(
    suite: Suite, folder: Path, task: str, config: str, count: int, say: Callable[[str], None] = lambda text: None
) -> Path:
    """Makes, or completes, the seed list of one task: from seed 100000 on, every one that the expert solves.

    The list is written after each seed that is found, so that a killed call goes on where it was.

    Args:
        suite: as `load_suite` gives it.
        folder: of all lists; the file is `folder`/`config`/`task`.json.
        count: how many seeds the list shall have.
        say: told what comes of each seed.

    Raises:
        SuiteNotReady: the expert fails on seed after seed, solves none of many, or a list that is there is malformed.
    """
    path = folder / config / f"{task}.json"
    content = _read(path, task, config)
    unsolved = 0
    finder = _Finder(suite, task, config)
    try:
        while len(content["seeds"]) < count:
            seed = content["next"]
            found = finder.attempt(seed)
            content["next"] = seed + 1
            unsolved = 0 if found["solved"] else unsolved + 1
            if found["solved"]:
                content["seeds"].append({"seed": seed, "info": found["info"], "attributes": found["attributes"]})
                path.parent.mkdir(parents=True, exist_ok=True)
                seeds.parse_list(json.dumps(content).encode(), task, config)
                write_json(path, content)
            say(
                f"{task} ({config}): seed {seed} {'solved' if found['solved'] else found['why']}, "
                f"{len(content['seeds'])} of {count}"
            )
            if unsolved == MOST_UNSOLVED:
                raise SuiteNotReady(
                    f"the expert solved none of {unsolved} seeds of task {task!r} in a row, the last because "
                    f"{found['why']}; {len(content['seeds'])} of {count} seeds are kept"
                )
    except ValueError as problem:
        raise SuiteNotReady(f"the expert says what no seed list can hold: {problem}") from None
    finally:
        finder.close()
    return path


def _read(path: Path, task: str, config: str) -> dict[str, Any]:
    """The list as far as it was made."""
    if not path.exists():
        new = {"schema": seeds.SCHEMA, "task": task, "config": config, "commit": COMMIT}
        return {**new, "next": FIRST_SEED, "seeds": []}
    try:
        text = path.read_bytes()
        listed = seeds.parse_list(text, task, config)
        content: dict[str, Any] = json.loads(text)
        after = listed[-1].seed if listed else FIRST_SEED - 1
        if type(content.get("next")) is not int or content["next"] <= after:
            raise ValueError("next is not a seed beyond the last one")
    except (OSError, ValueError) as problem:
        raise SuiteNotReady(f"{path}: {problem}; move it away, and run this again") from None
    return content


class _Finder:
    """One worker with the expert in it, started again where a seed ended it."""

    def __init__(self, suite: Suite, task: str, config: str) -> None:
        self._settings = dataclasses.replace(worker_settings(suite, timeout=SECONDS), env=EXPERT)
        self._task, self._config, self._image = task, config, dict(suite.protocol("easy-raster").image)
        self._worker: Worker | None = None
        self._failures = 0

    def attempt(self, seed: int) -> dict[str, Any]:
        """What came of that seed; where the expert raised, crashed or hung, "why" is what it said last."""
        worker = self._worker or self._start()
        try:
            worker.send("reset", seed=seed, index=0, observe=False)
            found: dict[str, Any] = json.loads(str(worker.wait()["instruction"]))
        except WorkerError as error:
            self.close()
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                raise SuiteNotReady(
                    f"the expert failed on {self._failures} seeds in a row, at last with: {error}"
                ) from None
            return {"solved": False, "why": f"ended the expert ({str(error).strip().splitlines()[-1]})"}
        self._failures = 0
        return found

    def _start(self) -> Worker:
        self._worker = Worker(self._settings)
        try:
            self._make(self._worker)
        except WorkerError as error:
            raise SuiteNotReady(f"the expert of task {self._task!r} cannot be started: {error}") from None
        return self._worker

    def _make(self, worker: Worker) -> None:
        worker.wait()
        worker.send_make(self._task, {"config": self._config, "image": self._image}, Layout.of({}, {}, {}, 1))
        worker.wait()

    def close(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

"""The Suite contract: tasks, protocols, and where the environment's code is.

A suite has two sides. The *suite side* (this module's dataclasses) is data in the harness's process: names, specs,
caps. The *environment side* is code that runs in a process of its own, perhaps under another interpreter, and is
reached by name only; `Env` below is its contract, met by duck typing, since that interpreter may not have this package.
"""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from typing import Protocol as TypingProtocol

import numpy as np

from groot_bench.episode import Episode, make_episode, parts_of
from groot_bench.errors import SuiteNotReady, UnknownName, UsageError
from groot_bench.pins import broken_pins, in_words
from groot_bench.policy import Policy
from groot_bench.protocol import Protocol
from groot_bench.setup.recipe import Recipe
from groot_bench.setup.state import installed
from groot_bench.spec import VIDEO, Spec

ENTRY_POINTS = "groot_bench.suites"
ALIASES = {"robocasa": "robocasa24"}  # what people call a suite -> which one of that family they mean


@dataclass(frozen=True)
class Task:
    """One goal inside a suite.

    Attributes:
        name: as upstream names it.
        observation: what the environment can give; with a leading time axis of 1, e.g. state (1, 7).
        action: what one control step takes, e.g. (7,).
        privileged: hidden state that scripted experts read; keys begin with "privileged.".
        about: one line for `groot-bench list`; the instruction itself is read after reset.
        views: the video keys that are filmed, where several keys show one camera, or its picture in several shapes; ()
            for all.
        starts: how many fixed start states there are, for protocols that have those; None for no limit.
    """

    name: str
    observation: Spec
    action: Spec
    privileged: Spec = field(default_factory=dict)
    about: str = ""
    views: tuple[str, ...] = ()
    starts: int | None = None

    @property
    def cameras(self) -> tuple[str, ...]:
        """The names of its video keys."""
        return tuple(name for name in self.observation if name.startswith(VIDEO))


@dataclass(frozen=True)
class Suite:
    """A benchmark.

    Attributes:
        name: as on the command line.
        version: raised whenever scoring, seeding or an environment changes; it is part of the manifest.
        tasks: by name, in upstream's order.
        protocols: by name; the first is the default.
        env: the environment side, "module:function" or "/path/file.py:function"; called as
            `make_env(task: str, settings: dict)` in the worker process.
        packages: distributions that the environment needs, whose versions go into the manifest.
        pins: package -> the only version that this suite's numbers stand for.
        install: the command that makes the suite ready.
        expert: makes the scripted policy, or None where there is none.
        python: the suite's own interpreter, where it cannot share the harness's; None for that one.
        paths: folders that come first in sys.path of the worker process.
        variables: environment variables of the worker process; the user's own values win.
        settings: plain JSON values handed to `make_env` beside the protocol's.
        recipe: how its own environment is made (`groot-bench setup`); `load_suite` fills in `python`, `paths`,
            `variables` and `settings` from what was made.
        missing: what keeps that environment from being used, in words; "" when nothing does.
        complete: suite -> the suite with its tasks and protocols, where these are read from what is installed because
            they may not be part of this package; called with `python` and `paths` filled in. Raises SuiteNotReady.
        require_starts: (protocol, task, n) -> raises SuiteNotReady unless the task's fixed start states 0 to n - 1 are
            there, where they are not part of the package.
        make_starts: (suite, tasks, configuration, n, say) -> makes them (`setup --make-seeds`); returns the files.
        lacking_starts: () -> which of them are not there, in words; "" when none. `list` and `doctor` say it.
    """

    name: str
    version: int
    tasks: Mapping[str, Task]
    protocols: Mapping[str, Protocol]
    env: str
    packages: tuple[str, ...] = ()
    pins: Mapping[str, str] = field(default_factory=dict)
    install: str = ""
    python: str | None = None
    paths: tuple[str, ...] = ()
    expert: Callable[[], Policy] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    recipe: Recipe | None = None
    missing: str = ""
    complete: Callable[[Suite], Suite] | None = None
    require_starts: Callable[[Protocol, str, int], None] | None = None
    make_starts: Callable[[Suite, Sequence[str], str, int, Callable[[str], None]], list[Path]] | None = None
    lacking_starts: Callable[[], str] | None = None

    def protocol(self, name: str | None = None) -> Protocol:
        """The protocol of that name, or the default one; "v1" is short for "<suite>/v1"."""
        if name is None:
            return next(iter(self.protocols.values()))
        full = name if "/" in name else f"{self.name}/{name}"
        if full not in self.protocols:
            raise UnknownName(f"protocol of suite {self.name!r}", name, self.protocols)
        return self.protocols[full]

    def absent(self, versions: Mapping[str, str | None]) -> str:
        """Which packages are not there, in words; "" when all are."""
        names = [name for name in self.packages if versions[name] is None]
        return f"missing {', '.join(names)}" if names else ""

    def unready(self, versions: Mapping[str, str | None]) -> str:
        """What keeps the suite from running with these package versions, in words; "" when nothing does."""
        return self.absent(versions) or in_words(broken_pins(self.pins, versions), versions)

    @functools.cached_property
    def parts(self) -> tuple[str, ...]:
        """The names that stand for several tasks, in order."""
        return tuple(dict.fromkeys(part for name in self.tasks for part in parts_of(name)))

    def require_tasks(self) -> None:
        """Raises SuiteNotReady where the tasks are known only once the suite is set up, and it is not."""
        if not self.tasks and self.missing:
            raise SuiteNotReady(
                f"suite {self.name!r}: {self.missing}; its tasks are known once it is set up; run: {self.install}"
            )

    def select(self, names: Sequence[str] | None = None) -> tuple[Task, ...]:
        """These tasks in the suite's order, or all of them; a part's name ("libero_goal") stands for its tasks.

        Raises:
            UnknownName: there is no such task and no such part.
            SuiteNotReady: the tasks are known only once the suite is set up.
        """
        self.require_tasks()
        if names is None:
            return tuple(self.tasks.values())
        if isinstance(names, str):
            names = [names]
        for name in names:
            if name not in self.tasks and name not in self.parts:
                raise UnknownName(f"task of suite {self.name!r}", name, [*self.parts, *self.tasks])
        if not names:
            raise UsageError(f"no task given; suite {self.name!r} has {', '.join(self.parts or self.tasks)}")
        wanted = set(names)
        return tuple(task for name, task in self.tasks.items() if not wanted.isdisjoint((name, *parts_of(name))))

    def select_one(self, name: str) -> Task:
        """The task of that name.

        Raises:
            UsageError: as `select`, or the name stands for several tasks.
        """
        found = self.select([name])
        if len(found) > 1:
            raise UsageError(
                f"{name!r} stands for {len(found)} tasks of suite {self.name!r}; name one, as in {found[0].name!r}"
            )
        return found[0]

    def episodes(self, protocol: Protocol, tasks: Sequence[Task], seed: int, first: int = 0) -> tuple[Episode, ...]:
        """The full, fixed list: `protocol.episodes_per_task` of each task from index `first` on, in order."""
        return tuple(
            make_episode(self.name, protocol.name, task.name, index, seed)
            for task in tasks
            for index in range(first, first + protocol.episodes_per_task)
        )


class Step(NamedTuple):
    """What one control step did: whether the goal holds now, and whether the environment itself is over."""

    success: bool
    ended: bool


class Env(TypingProtocol):
    """One simulated robot, on the environment side. No auto-reset: the harness says which episode comes next."""

    def reset(self, seed: int, index: int) -> str:
        """Starts the episode: seeds every RNG that the simulator reads, then resets. Returns the instruction."""

    def scene(self) -> Mapping[str, np.ndarray]:
        """What identifies the start state physically: model numbers, positions, fixture and body poses."""

    def observe(self, names: Sequence[str]) -> Mapping[str, np.ndarray]:
        """These observations now, each with its time axis, as fresh copies. Renders only the cameras asked for."""

    def step(self, action: Mapping[str, np.ndarray]) -> Step:
        """One control step; `action` has one array (D,) for each action key. Never renders."""

    def close(self) -> None:
        """Frees what the simulator holds."""


def suite_names() -> tuple[str, ...]:
    """Every installed suite, sorted."""
    return tuple(sorted({point.name for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}))


def load_suite(name: str) -> Suite:
    """The suite that an installed package declares under that name.

    Raises:
        UnknownName: no package declares it.
        SuiteNotReady: the package that declares it cannot be loaded.
        UsageError: several packages declare it, or it is no Suite.
    """
    name = ALIASES.get(name, name)
    points = {point.value: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS) if point.name == name}
    if not points:
        raise UnknownName("suite", name, suite_names())
    if len(points) > 1:
        raise UsageError(f"suite {name!r} is declared twice, by {' and '.join(sorted(points))}; uninstall one of them")
    (point,) = points.values()
    try:
        suite = point.load()()
    except (ImportError, AttributeError) as problem:
        raise SuiteNotReady(f"suite {name!r} cannot be loaded from {point.value!r}: {problem}") from problem
    if not isinstance(suite, Suite):
        raise UsageError(f"entry point {point.value!r} gave {type(suite).__name__}, not a Suite")
    fields = installed(suite.name, suite.recipe, suite.paths, suite.variables, suite.settings)
    return completed(replace(suite, **fields))


def completed(suite: Suite) -> Suite:
    """The suite with what `Suite.complete` reads from what is installed; where it cannot, `missing` says why."""
    if suite.complete is None or suite.missing:
        return suite
    try:
        return suite.complete(suite)
    except SuiteNotReady as problem:
        return replace(suite, missing=str(problem), python=None)

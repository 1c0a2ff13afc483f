"""The suite side of a key map: held against the environment itself, it becomes a suite.

The environment is made once for each different id and kwargs, in a worker process under the suite's interpreter.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groot_bench.errors import SuiteNotReady, WorkerError
from groot_bench.interpreter import probe_versions
from groot_bench.keymap import KeyMap, Part, TaskMap, parse_keymap
from groot_bench.layout import Layout
from groot_bench.protocol import Protocol
from groot_bench.spec import VIDEO, ArraySpec
from groot_bench.suite import Suite, Task, suite_names
from groot_bench.workers import Worker, WorkerSettings

ENV = "groot_envs.gymnasium.env:make_env"
PROBE = "groot_envs.gymnasium.probe:make_probe"
PROBE_TIMEOUT = 300.0  # seconds, to make one environment and take one step in it
PACKAGES = ("gymnasium", "numpy")
FOLDER = "GROOT_BENCH_KEYMAP_FOLDER"  # as in env.py, which this side cannot import without gymnasium

# An environment's threads add rounding that depends on the machine, and fight with those of the other slots.
VARIABLES = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Found = Mapping[str, Any]  # what the probe saw; see `groot_envs.gymnasium.probe.Probe`


def gymnasium_suite(*, python: str | None = None, folder: str | Path = ".", **fields: object) -> Suite:
    """A gymnasium environment as a suite, from Python.

    Args:
        python: the interpreter of the environments; None for this one.
        folder: where module files of the map are.
        fields: those of a key map file, e.g. name, env, observation, action, success; see docs/gymnasium.md.

    Raises:
        KeyMapError: the map is wrong; names the field.
        SuiteNotReady: gymnasium or another package of the map is missing.
    """
    return build_suite(parse_keymap(fields, "gymnasium_suite()", Path(folder)), python)


def build_suite(keymap: KeyMap, python: str | None = None) -> Suite:
    """The suite of a map, checked against its environments; errors as of `gymnasium_suite`."""
    if keymap.name in suite_names():
        raise keymap.error("name", f"{keymap.name!r} is an installed suite's; take another")
    python = python or sys.executable
    packages = (*PACKAGES, *keymap.packages)
    install = f"pip install {' '.join(packages)}"
    versions = probe_versions(python, packages)
    missing = [name for name in packages if versions[name] is None]
    if missing:
        raise SuiteNotReady(f"{keymap.where}: needs {', '.join(missing)}, which {python} does not have; {install}")
    settings, variables = _settings(keymap), _variables(keymap)
    start = WorkerSettings(env=PROBE, python=python, variables=variables, timeout=PROBE_TIMEOUT)
    found = _look(keymap, settings, start)
    tasks = {task.name: _Fitting(keymap, task, found[task.name]).task() for task in keymap.tasks}
    protocol = _protocol(keymap, found)
    return Suite(
        name=keymap.name,
        version=keymap.version,
        tasks=tasks,
        protocols={protocol.name: protocol},
        env=ENV,
        packages=packages,
        install=install,
        variables=variables,
        settings=settings,
    )


def _variables(keymap: KeyMap) -> dict[str, str]:
    return {**VARIABLES, FOLDER: str(keymap.folder.resolve()), **keymap.variables}


def _settings(keymap: KeyMap) -> dict[str, object]:
    """What the environment side reads; it also stands in the manifest, where a changed map is another experiment."""
    return {
        "tasks": {
            task.name: {
                "env": task.env,
                "module": task.module,
                "digest": task.digest,
                "kwargs": dict(task.kwargs),
                "instruction": task.instruction,
                "source": list(task.source),
                "success": dataclasses.asdict(task.success),
            }
            for task in keymap.tasks
        },
        "variables": dict(keymap.variables),
        "observation": {part.key: _place(part) for part in keymap.observation},
        "action": {part.key: _place(part) for part in keymap.action},
    }


def _place(part: Part) -> dict[str, object]:
    """All of a part that can change a result; its bounds and meaning too, by which policies go."""
    return {name: value for name, value in dataclasses.asdict(part).items() if name not in ("key", "field")}


def _protocol(keymap: KeyMap, found: Mapping[str, Found]) -> Protocol:
    caps = {}
    for task in keymap.tasks:
        caps[task.name] = task.max_steps or found[task.name]["cap"]
        if caps[task.name] is None:
            raise keymap.error(task.place("max_steps"), f"is missing, and {task.env!r} has no time limit of its own")
    return Protocol(
        name=f"{keymap.name}/v{keymap.version}",
        start_states="sampled",
        step_caps=caps,
        source=f"key map {keymap.name}",
        **keymap.rules,  # type: ignore[arg-type]
    )


def _look(keymap: KeyMap, settings: Mapping[str, object], start: WorkerSettings) -> dict[str, Found]:
    """What the probe finds for each task; tasks that only differ in their names and rules are looked at once."""
    # A picture whose shape is declared need not be rendered, so that state-only runs need no renderer.
    renders = any(part.render and part.shape is None for part in keymap.observation)
    seen: dict[str, Found] = {}
    found: dict[str, Found] = {}
    worker = Worker(start)
    try:
        worker.wait()
        for task in keymap.tasks:
            same = json.dumps([task.env, task.module, task.kwargs], sort_keys=True)
            if same not in seen:
                worker.send_make(task.name, {**settings, "renders": renders}, Layout.of({}, {}, {}, 1))
                worker.wait()
                worker.send("reset", seed=0, index=0, observe=False)
                seen[same] = json.loads(str(worker.wait()["instruction"]))
            found[task.name] = seen[same]
            if "problem" in found[task.name]:
                raise keymap.error(_guilty(keymap, task, found[task.name]["field"]), found[task.name]["problem"])
    except WorkerError as problem:
        raise keymap.error(task.place("env"), f"{task.env!r} failed: {problem}") from None
    finally:
        worker.close()
    return found


def _guilty(keymap: KeyMap, task: TaskMap, field: str) -> str:
    if field:
        return task.place(field)
    return next(part.field for part in keymap.observation if part.render) + ".render"


class _Fitting:
    """One task of a map, held against what the probe found of its environment."""

    def __init__(self, keymap: KeyMap, task: TaskMap, found: Found) -> None:
        self._keymap, self._task, self._found = keymap, task, found

    def task(self) -> Task:
        """The task, with the specs that were declared or found; raises KeyMapError where the two disagree."""
        self._check_instruction()
        self._check_success()
        observation = {part.key: self._observed(part) for part in self._keymap.observation}
        observation[self._keymap.language] = ArraySpec((), "str", "text")
        action = {part.key: self._acted(part) for part in self._keymap.action}
        self._check_coverage()
        about = self._task.instruction or f"{self._task.env}, told by {'.'.join(self._task.source)}"
        return Task(self._task.name, observation, action, about=about)

    def _check_instruction(self) -> None:
        if not self._task.source:
            return
        root, *steps = self._task.source
        where = self._task.place("instruction_from")
        if root == "info":
            kind = self._info(where, "reset", steps)
            if kind != "str":
                raise self._keymap.error(where, f"{'.'.join(steps)!r} is not text but {kind}")
        elif self._leaf(where, "observation", steps)["kind"] != "Text":
            raise self._keymap.error(where, f"{'.'.join(steps)!r} of the observation is not text")

    def _check_success(self) -> None:
        if self._task.success.kind == "info":
            self._info(self._task.place("success"), "step", self._task.success.path)

    def _info(self, where: str, when: str, steps: tuple[str, ...] | list[str]) -> str:
        """The type of an entry of info."""
        known: Mapping[str, str] = self._found[when]
        name = ".".join(steps)
        if name not in known:
            method = "reset()" if when == "reset" else "step()"
            raise self._keymap.error(where, f"info of {method} has no {name!r}{_hint(name, known)}")
        return known[name]

    def _observed(self, part: Part) -> ArraySpec:
        if part.key.startswith(VIDEO):
            return self._picture(part)
        leaf = self._numbers(part, f"{part.field}.from", "observation")
        low, high, size = self._entries(part, leaf)
        self._check_shape(part, (size,))
        return ArraySpec((1, size), "float32", part.unit or "1", part.frame, part.convention, low, high)

    def _picture(self, part: Part) -> ArraySpec:
        if part.render:
            given = self._found["frame"] or {"dtype": "uint8", "shape": part.shape}
            where = f"{part.field}.render"
        else:
            where = f"{part.field}.from"
            given = self._numbers(part, where, "observation")
        shape = tuple(given["shape"])
        if given["dtype"] != "uint8" or len(shape) != 3 or shape[2] != 3:
            found = f"{given['dtype']}{list(shape)}"
            raise self._keymap.error(where, f"a picture must be uint8 [height, width, 3], but this one is {found}")
        self._check_shape(part, shape)
        return ArraySpec((1, *shape), "uint8", part.unit or "rgb", part.frame, part.convention, low=0, high=255)

    def _acted(self, part: Part) -> ArraySpec:
        leaf = self._numbers(part, f"{part.field}.to", "action")
        low, high, size = self._entries(part, leaf)
        self._check_shape(part, (size,))
        convention = part.convention
        if leaf["whole"]:
            convention = convention or "rounded"
            # Half a number beyond the ends, so that numbers drawn between the bounds round to each with one chance.
            low = low - 0.5 if part.low is None and low is not None else low
            high = high + 0.5 if part.high is None and high is not None else high
        return ArraySpec((size,), "float32", part.unit or "1", part.frame, convention, low, high)

    def _entries(self, part: Part, leaf: Found) -> tuple[float | None, float | None, int]:
        """Bounds of all of the part's numbers together, None where one of them has none, and how many there are."""
        size = 1
        for length in leaf["shape"]:
            size *= length
        start, stop = part.entries or (0, size)
        if stop > size:
            raise self._keymap.error(
                f"{part.field}.range", f"[{start}, {stop}] is out of bounds: there are {size} numbers, [0, {size}]"
            )
        shared = len(leaf["low"]) != size
        lows = leaf["low"] if shared else leaf["low"][start:stop]
        highs = leaf["high"] if shared else leaf["high"][start:stop]
        low, high = part.low, part.high
        if low is None and None not in lows:
            low = min(lows)
        if high is None and None not in highs:
            high = max(highs)
        if low is not None and high is not None and low > high:
            raise self._keymap.error(f"{part.field}.low", f"{low:g} is above the highest, {high:g}")
        return low, high, stop - start

    def _check_shape(self, part: Part, shape: tuple[int, ...]) -> None:
        if part.shape is not None and part.shape != shape:
            what = f"{list(part.shape)} is declared, but {self._task.env!r} has {list(shape)}"
            raise self._keymap.error(f"{part.field}.shape", what)

    def _numbers(self, part: Part, where: str, side: str) -> Found:
        leaf = self._leaf(where, side, part.path)
        if "low" not in leaf:
            raise self._keymap.error(where, f"is a {leaf['kind']} space, which is not made of numbers")
        return leaf

    def _leaf(self, where: str, side: str, path: tuple[str, ...] | list[str]) -> Found:
        """The space at a path into the observation or the action."""
        space: Found = self._found[side]
        done = f"the {side}"
        for step in path:
            if "parts" not in space:
                raise self._keymap.error(where, f"{done} is a {space['kind']} space, which has no part {step!r}")
            if step not in space["parts"]:
                raise self._keymap.error(where, f"{done} has no part {step!r}{_hint(step, space['parts'])}")
            space, done = space["parts"][step], f"{done}'s {step}"
        if "parts" in space:
            parts = ", ".join(space["parts"])
            raise self._keymap.error(where, f"{done} is a {space['kind']} space; name one of its parts: {parts}")
        return space

    def _check_coverage(self) -> None:
        """Every number of the environment's action must come from exactly one part."""
        claimed: dict[tuple[str, ...], dict[int, Part]] = {}
        for part in self._keymap.action:
            _, _, size = self._entries(part, self._leaf(part.field, "action", part.path))
            start = part.entries[0] if part.entries else 0
            entries = claimed.setdefault(part.path, {})
            for i in range(start, start + size):
                if i in entries:
                    problem = f"number {i} is that of {entries[i].key} too; give each part its own [start, stop]"
                    raise self._keymap.error(f"{part.field}.range", problem)
                entries[i] = part
        for path, space in _leaves(self._found["action"]):
            whole = 1
            for length in space.get("shape", ()):
                whole *= length
            missing = [i for i in range(whole) if i not in claimed.get(path, {})]
            if missing:
                place = f" at {'.'.join(path)!r}" if path else ""
                numbers = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
                what = f"no part gives number {numbers} of the {whole} that {self._task.env!r} takes{place}"
                raise self._keymap.error("action", what)


def _leaves(space: Found, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Found]]:
    if "parts" not in space:
        return [(path, space)]
    return [leaf for name, part in space["parts"].items() for leaf in _leaves(part, (*path, name))]


def _hint(given: str, known: Mapping[str, object]) -> str:
    """The names that exist, the nearest first."""
    nearest = difflib.get_close_matches(given, list(known), n=1, cutoff=0.4)
    meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{meant} (known: {', '.join(known) or 'none'})"

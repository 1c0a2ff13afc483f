"""The embodiments of a tiny checkpoint: one for each robot interface among a suite's tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from groot_bench.errors import UsageError
from groot_bench.models.embodiments import SLOTS_N15
from groot_bench.models.family import Family
from groot_bench.spec import ACTION, LANGUAGE, STATE, VIDEO, ArraySpec, Spec
from groot_bench.suite import Task

FIRST_TAG = "new_embodiment"  # what the originals call a user's own robot
FIRST_SLOT = 10  # its row in N1.6 and N1.7
ROWS = 32  # of the per-embodiment tables, as released
WIDEST_BOUND = 1e6  # a bound beyond it is a way of writing "none"


class Span(NamedTuple):
    """One state or action part.

    Attributes:
        size: numbers in it.
        low, high: between which its statistics say that they lie.
        bounded: whether the suite states both bounds.
        angle: whether the unit is radians.
    """

    size: int
    low: float
    high: float
    bounded: bool
    angle: bool


@dataclass(frozen=True)
class TinyEmbodiment:
    """One robot interface. Keys have no prefix, except that of the language.

    Attributes:
        tag, slot: its name, and its row in the per-embodiment tables.
        cameras: camera -> (width, height) [px].
        state, action: part -> its span, in the suite's order.
        language: key of the instruction.
        tasks: those that have this interface.
    """

    tag: str
    slot: int
    cameras: Mapping[str, tuple[int, int]]
    state: Mapping[str, Span]
    action: Mapping[str, Span]
    language: str
    tasks: tuple[str, ...]


def find_embodiments(family: Family, tasks: Sequence[Task]) -> tuple[TinyEmbodiment, ...]:
    """Groups tasks whose observations and actions have the same keys and sizes, in the order of their first tasks.

    The first group gets the tag "new_embodiment". In N1.6 and N1.7 the others are named after their first task; N1.5
    has rows for four names only, which are given in the order of `SLOTS_N15`. Where one interface is part of another
    with the same actions, both fit the larger one's tasks, so that a run must name the embodiment.

    Raises:
        UsageError: a task lacks a camera, a state, an action or an instruction, or has one of a form that GR00T does
            not read (all such tasks are listed); or there are more interfaces than the family has rows for.
    """
    _require_readable(tasks)
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        groups.setdefault(_signature(task), []).append(task)
    slots = _slots(family, [group[0].name for group in groups.values()])
    return tuple(
        _embodiment(tag, slot, group) for (tag, slot), group in zip(slots.items(), groups.values(), strict=True)
    )


def _require_readable(tasks: Sequence[Task]) -> None:
    problems = [f"  task {task.name!r}: {problem}" for task in tasks for problem in _problems(task)]
    if problems:
        raise UsageError("\n".join(["GR00T cannot run these tasks; leave them out:", *problems]))


def _problems(task: Task) -> list[str]:
    observation, action = task.observation, task.action
    needed = (
        ("camera (GR00T needs a picture)", observation, VIDEO),
        ("state", observation, STATE),
        ("action", action, ACTION),
        ("instruction", observation, LANGUAGE),
    )
    found = [f"has no {what}" for what, specs, prefix in needed if not _under(prefix, specs)]
    for name, spec in observation.items():
        if name.startswith(VIDEO) and not (spec.dtype == "uint8" and _fits(spec, 4) and spec.shape[3] == 3):
            found.append(f"{name} must be uint8[1, height, width, 3], is {spec.describe()}")
        if name.startswith(STATE) and not (spec.dtype == "float32" and _fits(spec, 2)):
            found.append(f"{name} must be float32[1, size], is {spec.describe()}")
    for name, spec in action.items():
        if not (spec.dtype == "float32" and len(spec.shape) == 1 and spec.shape[0]):
            found.append(f"{name} must be float32[size], is {spec.describe()}")
    return found


def _fits(spec: ArraySpec, rank: int) -> bool:
    """Whether it has that many axes, the first of them one time step, and no empty ones."""
    return len(spec.shape) == rank and spec.shape[0] == 1 and all(spec.shape)


def _under(prefix: str, specs: Spec) -> dict[str, ArraySpec]:
    """Those whose name begins with the prefix, without it."""
    return {name[len(prefix) :]: spec for name, spec in specs.items() if name.startswith(prefix)}


def _signature(task: Task) -> object:
    """What tasks of one interface have in common.

    Not the order of keys, and nothing by which a checkpoint is not told apart: the size of pictures, the instruction's
    key.
    """
    cameras = frozenset(_under(VIDEO, task.observation))
    sizes = {name: spec.shape for name, spec in (*task.observation.items(), *task.action.items())}
    vectors = {name: shape for name, shape in sizes.items() if name.startswith((STATE, ACTION))}
    return cameras, frozenset(vectors.items())


def _slots(family: Family, names: Sequence[str]) -> dict[str, int]:
    """Tag -> row for groups whose first tasks have these names."""
    most = len(SLOTS_N15) if family is Family.N15 else ROWS
    if len(names) > most:
        raise UsageError(
            f"the tasks have {len(names)} different interfaces, and a {family.title} checkpoint has rows for {most}; "
            f"choose fewer tasks (one of each interface: {', '.join(names)})"
        )
    if family is Family.N15:
        return dict(list(SLOTS_N15.items())[: len(names)])
    found = {FIRST_TAG: FIRST_SLOT}
    for index, name in enumerate(names[1:], start=1):
        tag = _snake(name)
        found[tag if tag not in found else f"{tag}_{index}"] = (FIRST_SLOT + index) % ROWS
    return found


def _snake(name: str) -> str:
    """ "TwoArmLift" -> "two_arm_lift"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "embodiment"


def _embodiment(tag: str, slot: int, tasks: Sequence[Task]) -> TinyEmbodiment:
    first = tasks[0]
    actions = _under(ACTION, first.action)
    return TinyEmbodiment(
        tag=tag,
        slot=slot,
        cameras={name: _resolution(spec) for name, spec in _under(VIDEO, first.observation).items()},
        state={
            name: _span([task.observation[STATE + name] for task in tasks], union=True)
            for name in _under(STATE, first.observation)
        },
        action={name: _span([task.action[ACTION + name] for task in tasks], union=False) for name in actions},
        language=next(name for name in first.observation if name.startswith(LANGUAGE)),
        tasks=tuple(task.name for task in tasks),
    )


def _resolution(spec: ArraySpec) -> tuple[int, int]:
    _, height, width, _ = spec.shape
    assert height is not None and width is not None
    return width, height


def _span(specs: Sequence[ArraySpec], union: bool) -> Span:
    """The bounds of one part over several tasks: all that states can be, or what actions may be in every task."""
    bounds = [_bounds(spec) for spec in specs]
    lows, highs = [low for low, _ in bounds], [high for _, high in bounds]
    low, high = (min(lows), max(highs)) if union else (max(lows), min(highs))
    if low > high:  # no number is right in every task
        low, high = bounds[0]
    size = specs[0].shape[-1]
    assert size is not None
    bounded = all(_stated(spec.low) and _stated(spec.high) for spec in specs)
    return Span(size, low, high, bounded, specs[0].unit == "rad")


def _bounds(spec: ArraySpec) -> tuple[float, float]:
    """The stated bounds; where one is missing two units away from the other, and -1 to 1 where both are."""
    low, high = (bound if _stated(bound) else None for bound in (spec.low, spec.high))
    if low is None and high is None:
        return -1.0, 1.0
    if low is None:
        assert high is not None
        return float(high) - 2.0, float(high)
    return float(low), float(low) + 2.0 if high is None else float(high)


def _stated(bound: float | None) -> bool:
    return bound is not None and abs(bound) <= WIDEST_BOUND

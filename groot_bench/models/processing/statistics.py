"""Statistics of states and actions: read from JSON, and checked where they are used.

`statistics.json` of N1.6 and N1.7 is {tag: {state | action | relative_action: {key: {min, max, mean, std, q01, q99}}}};
the entries of `relative_action` have one row for each step of the horizon. `metadata.json` of N1.5 has {state | action:
...} under each tag. What stands there for keys that are not used is not judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groot_bench.models.jsonfields import Fields, raise_if

GROUPS = ("state", "action", "relative_action")
NAMES = ("min", "max", "mean", "std", "q01", "q99")
MAX_ENTRIES = 1 << 20
ORDERED = (("min", "max"), ("q01", "q99"))

KeyStatistics = Mapping[str, np.ndarray]
TagStatistics = Mapping[str, Mapping[str, KeyStatistics]]
Statistics = Mapping[str, TagStatistics]


def parse_statistics(json: object, where: str = "statistics.json") -> dict[str, dict[str, dict[str, KeyStatistics]]]:
    """tag -> group -> key -> name -> float64 (D,), or (T, D) for one row a step. Values are judged by `Needed`.

    Raises:
        CheckpointError: with everything that is no list of numbers in that form.
    """
    problems: list[str] = []
    root = Fields(json, where, problems)
    found = {str(tag): read_groups(root.inner(tag)) for tag in root.data}
    raise_if(problems, f"{where} cannot be used")
    return found


def read_groups(fields: Fields) -> dict[str, dict[str, KeyStatistics]]:
    """The groups of one tag that are there; groups and statistics of other names are not read."""
    found: dict[str, dict[str, KeyStatistics]] = {}
    for group in GROUPS:
        if group in fields:
            entries = fields.inner(group)
            found[group] = {str(key): _read_key(entries.inner(key)) for key in entries.data}
    return found


def _read_key(fields: Fields) -> KeyStatistics:
    found = {}
    for name in NAMES:
        if name in fields:
            try:
                found[name] = _array(fields.data[name])
            except (TypeError, ValueError, OverflowError) as problem:
                fields.complain(name, f"expected numbers, or one list of numbers a step: {problem}")
    return found


def _array(value: object) -> np.ndarray:
    """float64 (D,) or (T, D); raises ValueError, TypeError or OverflowError for anything else."""
    if not isinstance(value, list) or not value:
        raise ValueError("it is no list, or empty")
    rows = value if isinstance(value[0], list) else [value]
    width = len(rows[0])
    if len(rows) * width > MAX_ENTRIES:
        raise ValueError(f"more than {MAX_ENTRIES} numbers")
    for row in rows:
        if not isinstance(row, list) or len(row) != width or not width:
            raise ValueError("its rows differ in length, or are empty")
        if not all(type(item) in (int, float) for item in row):
            raise TypeError("an entry is no number")
    array = np.array([[float(item) for item in row] for row in rows])
    return array if rows is value else array[0]


def present_statistics(statistics: Statistics, tag: str) -> dict[str, tuple[str, ...]]:
    """group -> keys that have statistics, for a report; empty for a tag that has none."""
    return {group: tuple(keys) for group, keys in statistics.get(tag, {}).items()}


@dataclass(frozen=True)
class Needed:
    """Takes the statistics that one embodiment needs; what is missing or wrong is noted and None is returned.

    Attributes:
        statistics: of the tag.
        where: begins each problem.
        problems: shared list that problems are added to.
    """

    statistics: TagStatistics
    where: str
    problems: list[str]

    def take(self, group: str, key: str, names: Sequence[str], steps: int | None = None) -> KeyStatistics | None:
        """The named statistics of a key, each float64 (D,), or (steps, D) where steps are given.

        More rows than steps may be there: row h is of step h, and those beyond the horizon are not used.
        """
        place = f"{self.where}: {group}.{key}"
        there = self.statistics.get(group, {}).get(key)
        if there is None:
            known = ", ".join(self.statistics.get(group, {})) or "none"
            self.problems.append(f"{place}: has no statistics (there are: {known})")
            return None
        missing = [name for name in names if name not in there]
        if missing:
            self.problems.append(f"{place}: has no {', '.join(missing)}")
            return None
        found = _shape_problems(there, names, steps) or _value_problems(there, names)
        self.problems.extend(f"{place}: {problem}" for problem in found)
        if found:
            return None
        return {name: there[name] if steps is None else there[name][:steps] for name in names}


def _shape_problems(there: KeyStatistics, names: Sequence[str], steps: int | None) -> list[str]:
    shapes = {name: there[name].shape for name in names}
    if len(set(shapes.values())) > 1:
        return [f"its statistics differ in shape: {', '.join(f'{name} {list(size)}' for name, size in shapes.items())}"]
    shape = shapes[names[0]]
    if steps is None and len(shape) != 1:
        return [f"expected one number a dimension, got shape {list(shape)}"]
    if steps is not None and len(shape) != 2:
        return [f"expected one row for each of {steps} steps, got shape {list(shape)}"]
    if steps is not None and shape[0] < steps:
        return [f"has rows for {shape[0]} steps; the horizon is {steps}"]
    return []


def _value_problems(there: KeyStatistics, names: Sequence[str]) -> list[str]:
    found = []
    for name in names:
        bad = int((~np.isfinite(there[name])).sum())
        if bad:
            found.append(f"{bad} entries of {name} are not finite")
    if found:
        return found
    for low, high in ORDERED:
        if low in names and high in names:
            with np.errstate(over="ignore"):
                span = there[high] - there[low]
            if (span < 0).any():
                found.append(f"{low} is above {high} in {int((span < 0).sum())} places")
            if np.isinf(span).any():
                found.append(f"the range from {low} to {high} is too wide to be computed with")
    if "std" in names and (there["std"] < 0).any():
        found.append(f"std is negative in {int((there['std'] < 0).sum())} places")
    return found

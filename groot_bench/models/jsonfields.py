"""Fields of a JSON object from a checkpoint, taken by type; every problem is kept, so that all are told at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from groot_bench.errors import CheckpointError
from groot_bench.models.listing import shorten

MOST_PROBLEMS = 60  # in one message
MAX_SIZE = 1 << 20  # no released layer is wider; a larger number in a file is a mistake or an attack


class Fields:
    """One JSON object. A wrong or missing field is noted in `problems`, and a harmless value is returned instead.

    Args:
        data: the parsed JSON value.
        where: file and place, which begins each problem.
        problems: shared list that problems are added to.
    """

    def __init__(self, data: object, where: str, problems: list[str]) -> None:
        self.where, self.problems = where, problems
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        if not isinstance(data, Mapping):
            problems.append(f"{where}: expected an object, got {_kind(data)}")

    def __contains__(self, name: str) -> bool:
        return self.data.get(name) is not None

    def complain(self, name: str, problem: str) -> None:
        self.problems.append(f"{self.where}.{name}: {problem}")

    def inner(self, name: str) -> Fields:
        """The object under that name; missing ones are a problem."""
        if name not in self.data:
            self.complain(name, "is missing")
            return Fields({}, f"{self.where}.{name}", self.problems)
        return Fields(self.data[name], f"{self.where}.{name}", self.problems)

    def size(self, name: str, default: int | None = None, least: int = 1, most: int = MAX_SIZE) -> int:
        """A whole number in least..most; `default` where the field is absent or null."""
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if type(value) is not int or not least <= value <= most:
            self.complain(name, f"expected a whole number from {least} to {most}, {_got(self.data, name)}")
            return least
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.complain(name, f"expected a number, {_got(self.data, name)}")
            return 0.0
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.complain(name, f"expected true or false, got {_kind(value)}")
            return default
        return value

    def text(self, name: str, default: str | None = None, choices: tuple[str, ...] = ()) -> str:
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (choices and value not in choices):
            wanted = f"one of {', '.join(choices)}" if choices else "text"
            self.complain(name, f"expected {wanted}, {_got(self.data, name)}")
            return choices[0] if choices else ""
        return value

    def sizes(self, name: str, default: tuple[int, ...] | None = None, most: int = MAX_SIZE) -> tuple[int, ...]:
        """A list of whole numbers, 0 or more."""
        value = self.data.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, list) or not all(type(item) is int and 0 <= item <= most for item in value):
            self.complain(name, f"expected a list of whole numbers from 0 to {most}, {_got(self.data, name)}")
            return ()
        return tuple(value)

    def refuse_unless(self, name: str, wanted: object, why: str) -> None:
        """Notes a problem where the field is present and is not `wanted`."""
        if name in self and self.data[name] != wanted:
            self.complain(name, f"{self.data[name]!r} is not supported ({why}); only {wanted!r} is")


def raise_if(problems: list[str], what: str) -> None:
    """Raises CheckpointError with all problems, if there are any; of more than `MOST_PROBLEMS` the rest is counted."""
    if problems:
        lines = shorten(problems, MOST_PROBLEMS)
        raise CheckpointError("\n".join([f"{what}:", *(f"  {problem}" for problem in lines)]))


def _kind(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _got(data: Mapping[str, Any], name: str) -> str:
    return f"got {_kind(data[name])}" if name in data else "but it is missing"

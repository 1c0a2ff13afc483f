"""What crosses a boundary: the shape, dtype, unit, frame and convention of every named array.

The common language is GR00T's flat modality dict: `video.<camera>` uint8 (T, H, W, 3), `state.<part>` float32
(T, D), `annotation.<...>` str, `action.<part>` float32 (H, D). A suite declares what it gives and takes, a policy
what it reads and returns, and a difference between the two is an error before the first episode, never a warning.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from groot_bench.errors import SpecMismatch

VIDEO = "video."
STATE = "state."
LANGUAGE = "annotation."
ACTION = "action."
PRIVILEGED = "privileged."


@dataclass(frozen=True)
class ArraySpec:
    """One named array, without its batch axis.

    Attributes:
        shape: axis sizes; None for an axis whose size a *reader* does not care about (never in what a suite gives).
            Observations carry their time axis, e.g. (1, 256, 256, 3) or (1, 7); actions are one control step, (7,).
        dtype: NumPy name ("uint8", "float32", "float64"), or "str" for language, whose shape is ().
        unit: "m", "rad", "m/s", "1" (dimensionless), "rgb" (0..255), "text".
        frame: "world", "base", "eef", or None where it has no meaning.
        convention: what numbers alone do not say: "quat_xyzw", "delta_normalized", "closed_is_1", ...
        low, high: bounds of every entry, or None where unbounded.
    """

    shape: tuple[int | None, ...]
    dtype: str = "float32"
    unit: str = "1"
    frame: str | None = None
    convention: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_text(self) -> bool:
        return self.dtype == "str"

    @property
    def nbytes(self) -> int:
        """Bytes of one array; text has none, since it does not travel in shared memory."""
        if self.is_text:
            return 0
        return np.dtype(self.dtype).itemsize * math.prod(size or 0 for size in self.shape)

    def check(self, name: str, value: object) -> None:
        """Raises SpecMismatch unless `value` is an array (or a str) of this spec."""
        if self.is_text:
            if not isinstance(value, str):
                raise SpecMismatch(f"{name}: expected text, got {type(value).__name__}")
            return
        if not isinstance(value, np.ndarray):
            raise SpecMismatch(f"{name}: expected an array {self.describe()}, got {type(value).__name__}")
        if not _shape_fits(value.shape, self.shape) or value.dtype.name != self.dtype:
            raise SpecMismatch(f"{name}: expected {self.describe()}, got {value.dtype.name}{list(value.shape)}")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise SpecMismatch(f"{name}: has {int((~np.isfinite(value)).sum())} entries that are not finite")

    def differences(self, other: ArraySpec) -> list[str]:
        """What keeps a reader with this spec from reading an array of spec `other`; empty when nothing does."""
        found = []
        if not _shape_fits(other.shape, self.shape):
            found.append(f"shape {_shape(other.shape)} given, {_shape(self.shape)} expected")
        for field in ("dtype", "unit", "frame", "convention"):
            given, expected = getattr(other, field), getattr(self, field)
            if given != expected:
                found.append(f"{field} {given!r} given, {expected!r} expected")
        return found

    def describe(self) -> str:
        return f"{self.dtype}{_shape(self.shape)}"

    def to_json(self) -> dict[str, object]:
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}


Spec = Mapping[str, ArraySpec]


def require_readable(given: Spec, wanted: Spec, what: str) -> None:
    """Raises SpecMismatch unless each array of `wanted` is in `given` with the same meaning.

    Args:
        given: what one side produces.
        wanted: what the other side reads; it may read less than is given.
        what: begins the message, e.g. "policy 'x' on task 'Lift' (observation)".
    """
    problems = []
    for name, spec in wanted.items():
        if name not in given:
            problems.append(f"{name} is missing (given: {', '.join(sorted(given)) or 'nothing'})")
            continue
        problems += [f"{name}: {difference}" for difference in spec.differences(given[name])]
    _raise_if(problems, what)


def require_equal(given: Spec, wanted: Spec, what: str) -> None:
    """Like `require_readable`, and `given` may hold nothing beyond `wanted` either."""
    surplus = [f"{name} is not known here" for name in sorted(set(given) - set(wanted))]
    try:
        require_readable(given, wanted, what)
    except SpecMismatch as mismatch:
        raise SpecMismatch("\n".join([str(mismatch), *(f"  {line}" for line in surplus)])) from None
    _raise_if(surplus, what)


def check_arrays(spec: Spec, arrays: Mapping[str, object], what: str) -> None:
    """Raises SpecMismatch unless `arrays` has exactly the names of `spec`, each with its shape and dtype."""
    missing, surplus = sorted(set(spec) - set(arrays)), sorted(set(arrays) - set(spec))
    problems = [f"{name} is missing" for name in missing] + [f"{name} is not in the spec" for name in surplus]
    for name in spec:
        if name in arrays:
            try:
                spec[name].check(name, arrays[name])
            except SpecMismatch as mismatch:
                problems.append(str(mismatch))
    _raise_if(problems, what)


def _raise_if(problems: list[str], what: str) -> None:
    if problems:
        raise SpecMismatch("\n".join([f"{what}:", *(f"  {problem}" for problem in problems)]))


def _shape_fits(shape: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(w is None or s == w for s, w in zip(shape, wanted, strict=True))


def _shape(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"

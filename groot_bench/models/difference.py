"""One line of a golden comparison."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Difference(NamedTuple):
    """How far one field of this implementation is from the recorded one.

    Attributes:
        file: name of the golden file.
        field: the array or entry in it.
        difference: largest absolute difference; infinite for a field that could not be compared.
        tolerance: what is still right.
    """

    file: str
    field: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN


def largest_difference(ours: object, golden: object) -> float:
    """Largest absolute difference of two arrays of one shape; infinite where shapes or non-finite entries differ."""
    one, two = np.asarray(ours), np.asarray(golden)
    if one.shape != two.shape or one.dtype.kind not in "biuf" or two.dtype.kind not in "biuf":
        return math.inf
    one, two = one.astype(np.float64), two.astype(np.float64)
    if not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return math.inf
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], two[~finite], equal_nan=True):
        return math.inf
    return float(np.abs(one[finite] - two[finite]).max(initial=0.0))

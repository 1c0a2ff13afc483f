"""Scaling of one key between raw and model units: the interface, and the rules of N1.6 and N1.7.

The order of operations and the type in which each is done are those of the original: statistics are float64, what was
scaled is rounded to the type of the raw values, and only the way back from a range is in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np


class Scaler(Protocol):
    """Maps one key of raw values to what the model reads, and back.

    Attributes:
        dims: width of the raw values.
        width: width of the encoded ones.
    """

    @property
    def dims(self) -> int: ...

    @property
    def width(self) -> int: ...

    def encode(self, values: np.ndarray) -> np.ndarray:
        """raw float (T, dims) -> (T, width) of the same type."""

    def decode(self, values: np.ndarray) -> np.ndarray:
        """encoded (T, width) -> raw float (T, dims)."""


@dataclass(frozen=True)
class Range:
    """Linear from [low, high] to [-1, 1].

    A dimension whose ends agree as numpy.isclose means it (1e-5 of the lower end, 1e-8) is constant: it becomes 0. The
    way back clips to [-1, 1] first, whether or not encoding clips.

    Attributes:
        low, high: float64 (D,), or (T, D) with one row a step.
        clip: whether encoded values are clipped to [-1, 1].
    """

    low: np.ndarray
    high: np.ndarray
    clip: bool

    @property
    def dims(self) -> int:
        return int(self.low.shape[-1])

    @property
    def width(self) -> int:
        return self.dims

    @cached_property
    def _varies(self) -> np.ndarray:
        return ~np.isclose(self.high, self.low)

    @cached_property
    def _divisor(self) -> np.ndarray:
        return np.where(self._varies, self.high - self.low, 1.0)

    def encode(self, values: np.ndarray) -> np.ndarray:
        fraction = ((values - self.low) / self._divisor).astype(values.dtype)
        scaled = np.where(self._varies, 2 * fraction - 1, values.dtype.type(0))
        return clipped(scaled) if self.clip else scaled

    def decode(self, values: np.ndarray) -> np.ndarray:
        return (clipped(values) + 1.0) / 2.0 * (self.high - self.low) + self.low


@dataclass(frozen=True)
class Standard:
    """(value - mean) / std; a dimension whose std is 0 passes through unchanged, both ways.

    Attributes:
        mean, std: float64 (D,), or (T, D) with one row a step.
        clip: whether encoded values are clipped to [-1, 1]: actions are, states are not.
    """

    mean: np.ndarray
    std: np.ndarray
    clip: bool

    @property
    def dims(self) -> int:
        return int(self.mean.shape[-1])

    @property
    def width(self) -> int:
        return self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        varies = self.std != 0
        scaled = np.where(varies, (values - self.mean) / np.where(varies, self.std, 1.0), values).astype(values.dtype)
        return clipped(scaled) if self.clip else scaled

    def decode(self, values: np.ndarray) -> np.ndarray:
        return np.where(self.std != 0, values * self.std + self.mean, values).astype(values.dtype)


@dataclass(frozen=True)
class Periodic:
    """Angles [rad] to the sines of all, then the cosines of all; the way back gives them in (-pi, pi]."""

    dims: int

    @property
    def width(self) -> int:
        return 2 * self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.sin(values), np.cos(values)], axis=-1)

    def decode(self, values: np.ndarray) -> np.ndarray:
        half = values.shape[-1] // 2
        return np.arctan2(values[..., :half], values[..., half:])


def clipped(values: np.ndarray) -> np.ndarray:
    """To [-1, 1], in the values' own type."""
    return np.minimum(np.maximum(values, values.dtype.type(-1)), values.dtype.type(1))

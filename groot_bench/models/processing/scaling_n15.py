"""The rules of N1.5 by which one key is scaled. All is computed in the type of the values; nothing is clipped back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from groot_bench.models.processing import rotations
from groot_bench.models.processing.scaling import Scaler, clipped


@dataclass(frozen=True)
class PlainRange:
    """Linear from [low, high] to [-1, 1]: the modes "min_max" and "q99".

    Attributes:
        low, high: float64 (D,).
        quantiles: "q99": a dimension of no width passes through, and all is clipped to [-1, 1]. Otherwise "min_max":
            such a dimension becomes 0, and nothing is clipped.
    """

    low: np.ndarray
    high: np.ndarray
    quantiles: bool

    @property
    def dims(self) -> int:
        return int(self.low.shape[-1])

    @property
    def width(self) -> int:
        return self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        low, high = self.low.astype(values.dtype), self.high.astype(values.dtype)
        varies = low != high
        scaled = 2 * ((values - low) / np.where(varies, high - low, values.dtype.type(1))) - 1
        if self.quantiles:
            return clipped(np.where(varies, scaled, values))
        return np.where(varies, scaled, values.dtype.type(0))

    def decode(self, values: np.ndarray) -> np.ndarray:
        low, high = self.low.astype(values.dtype), self.high.astype(values.dtype)
        return (values + 1) / 2 * (high - low) + low


@dataclass(frozen=True)
class PlainStandard:
    """(value - mean) / std, the mode "mean_std"; a dimension whose std is 0 passes through, and comes back as its mean.

    Attributes:
        mean, std: float64 (D,).
    """

    mean: np.ndarray
    std: np.ndarray

    @property
    def dims(self) -> int:
        return int(self.mean.shape[-1])

    @property
    def width(self) -> int:
        return self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        mean, std = self.mean.astype(values.dtype), self.std.astype(values.dtype)
        varies = std != 0
        return np.where(varies, (values - mean) / np.where(varies, std, values.dtype.type(1)), values)

    def decode(self, values: np.ndarray) -> np.ndarray:
        return values * self.std.astype(values.dtype) + self.mean.astype(values.dtype)


@dataclass(frozen=True)
class Binary:
    """1 above 0.5, else 0; both ways."""

    dims: int

    @property
    def width(self) -> int:
        return self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        return (values > 0.5).astype(values.dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        return self.encode(values)


@dataclass(frozen=True)
class Unscaled:
    """As it is: a key that has no mode."""

    dims: int

    @property
    def width(self) -> int:
        return self.dims

    def encode(self, values: np.ndarray) -> np.ndarray:
        return values

    def decode(self, values: np.ndarray) -> np.ndarray:
        return values


@dataclass(frozen=True)
class Rotated:
    """Another representation of a rotation first, then `inner`.

    Attributes:
        source, target: of `rotations.KINDS`.
        inner: scales the target representation.
    """

    source: str
    target: str
    inner: Scaler

    @property
    def dims(self) -> int:
        return rotations.DIMS[self.source]

    @property
    def width(self) -> int:
        return self.inner.width

    def encode(self, values: np.ndarray) -> np.ndarray:
        return self.inner.encode(rotations.convert(values, self.source, self.target))

    def decode(self, values: np.ndarray) -> np.ndarray:
        return rotations.convert(self.inner.decode(values), self.target, self.source)

"""Rotation representations of N1.5, with the conventions of PyTorch3D, which the original uses.

Matrices act on column vectors. Quaternions are (w, x, y, z) with w >= 0 where they are computed, and need not be of
unit length where they are read. Six numbers are the first two rows of the matrix. Euler angles [rad] are intrinsic:
"euler_angles_rpy" is the product Rx(r) Ry(p) Rz(y), other orders likewise. All is computed in the type of the input.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from groot_bench.errors import SpecMismatch
from groot_bench.models.processing.poses import orthonormal_rows

EULER = "euler_angles_"
AXES = {"r": 0, "p": 1, "y": 2}
EULER_KINDS = tuple(f"{EULER}{order}" for order in ("rpy", "ryp", "pry", "pyr", "yrp", "ypr"))
DIMS = {"axis_angle": 3, "quaternion": 4, "rotation_6d": 6, "matrix": 9, **dict.fromkeys(EULER_KINDS, 3)}
KINDS = tuple(DIMS)


def convert(values: np.ndarray, source: str, target: str) -> np.ndarray:
    """(..., DIMS[source]) -> (..., DIMS[target]) of the same type; a matrix is its nine entries, row by row.

    Raises:
        SpecMismatch: a quaternion of length zero, or six numbers that are no rotation.
    """
    matrix = _euler_to_matrix(values, source) if source in EULER_KINDS else _TO_MATRIX[source](values)
    return _matrix_to_euler(matrix, target) if target in EULER_KINDS else _FROM_MATRIX[target](matrix)


def _quaternion_to_matrix(quaternion: np.ndarray) -> np.ndarray:
    squares = (quaternion * quaternion).sum(-1)
    if (squares < np.finfo(quaternion.dtype).tiny).any():
        raise SpecMismatch("a quaternion has length zero, so it is no rotation")
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    double = 2 / squares
    entries = [
        [1 - double * (y * y + z * z), double * (x * y - z * w), double * (x * z + y * w)],
        [double * (x * y + z * w), 1 - double * (x * x + z * z), double * (y * z - x * w)],
        [double * (x * z - y * w), double * (y * z + x * w), 1 - double * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in entries], axis=-2)


def _matrix_to_quaternion(matrix: np.ndarray) -> np.ndarray:
    """From the largest of 4w^2, 4x^2, 4y^2 and 4z^2, whose root is the best conditioned divisor."""
    rows = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    (a, b, c), (d, e, f), (g, h, i) = rows
    products = np.stack(  # row k is 4 q_k times (w, x, y, z)
        [
            np.stack([1 + a + e + i, h - f, c - g, d - b], axis=-1),
            np.stack([h - f, 1 + a - e - i, d + b, c + g], axis=-1),
            np.stack([c - g, d + b, 1 - a + e - i, f + h], axis=-1),
            np.stack([d - b, g + c, h + f, 1 - a - e + i], axis=-1),
        ],
        axis=-2,
    )
    squares = np.diagonal(products, axis1=-2, axis2=-1)
    best = squares.argmax(-1)[..., None]
    chosen = np.take_along_axis(products, best[..., None], axis=-2)[..., 0, :]
    quaternion = chosen / (2 * np.sqrt(np.take_along_axis(squares, best, axis=-1)))
    return np.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def _axis_angle_to_matrix(vector: np.ndarray) -> np.ndarray:
    half = 0.5 * np.linalg.norm(vector, axis=-1, keepdims=True)
    quaternion = np.concatenate([np.cos(half), 0.5 * vector * _sinc(half)], axis=-1)
    return _quaternion_to_matrix(quaternion)


def _matrix_to_axis_angle(matrix: np.ndarray) -> np.ndarray:
    """Axis times angle, the angle in [0, pi]."""
    quaternion = _matrix_to_quaternion(matrix)
    half = np.arctan2(np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True), quaternion[..., :1])
    return quaternion[..., 1:] / (0.5 * _sinc(half))


def _sinc(angle: np.ndarray) -> np.ndarray:
    """sin(angle) / angle, in the angle's type."""
    return np.sinc(angle / np.pi).astype(angle.dtype)


def _euler_to_matrix(angles: np.ndarray, kind: str) -> np.ndarray:
    first, second, third = (_turn(angles[..., place], axis) for place, axis in enumerate(_axes(kind)))
    return first @ second @ third


def _turn(angle: np.ndarray, axis: int) -> np.ndarray:
    """Rotation (..., 3, 3) by that angle about axis 0, 1 or 2."""
    matrix = np.zeros((*angle.shape, 3, 3), dtype=angle.dtype)
    one, two = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., one, one] = matrix[..., two, two] = np.cos(angle)
    matrix[..., two, one] = np.sin(angle)
    matrix[..., one, two] = -np.sin(angle)
    return matrix


def _matrix_to_euler(matrix: np.ndarray, kind: str) -> np.ndarray:
    """The three angles, the second in [-pi/2, pi/2]."""
    i, j, k = _axes(kind)
    sign = 1 if (j - i) % 3 == 1 else -1  # whether the axes are in cyclic order
    second = np.arcsin(np.clip(sign * matrix[..., i, k], -1, 1))
    first = np.arctan2(-sign * matrix[..., j, k], matrix[..., k, k])
    third = np.arctan2(-sign * matrix[..., i, j], matrix[..., i, i])
    return np.stack([first, second, third], axis=-1)


def _axes(kind: str) -> tuple[int, int, int]:
    one, two, three = (AXES[letter] for letter in kind[len(EULER) :])
    return one, two, three


_TO_MATRIX: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quaternion": _quaternion_to_matrix,
    "axis_angle": _axis_angle_to_matrix,
    "rotation_6d": orthonormal_rows,
    "matrix": lambda numbers: numbers.reshape(*numbers.shape[:-1], 3, 3),
}
_FROM_MATRIX: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "quaternion": _matrix_to_quaternion,
    "axis_angle": _matrix_to_axis_angle,
    "rotation_6d": lambda matrix: matrix[..., :2, :].reshape(*matrix.shape[:-2], 6),
    "matrix": lambda matrix: matrix.reshape(*matrix.shape[:-2], 9),
}

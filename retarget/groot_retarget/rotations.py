"""Rotations as matrices, unit quaternions (xyzw at this border, as in GR00T's data) and rotation vectors.

Pure NumPy, one rotation at a time. A rotation vector is the axis times the angle in [0, pi] [rad].
"""

from __future__ import annotations

import math

import numpy as np


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """(3, 3) -> rotation vector (3,) [rad]; at an angle of pi, where the axis has two signs, one of the two."""
    twice_sine = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine, cosine = 0.5 * float(np.linalg.norm(twice_sine)), 0.5 * (float(np.trace(rotation)) - 1.0)
    angle = math.atan2(sine, cosine)
    if sine > 1e-6:
        return twice_sine * (angle / (2.0 * sine))
    if cosine > 0.0:  # next to no rotation: sine and angle agree to the last bit
        return 0.5 * twice_sine
    # Near pi the antisymmetric part vanishes; the symmetric one is 2 a a' - 1, whose longest column is the axis.
    outer = 0.5 * (rotation + np.eye(3))
    axis = outer[:, int(np.argmax(np.diag(outer)))]
    axis = axis / np.linalg.norm(axis)
    return axis * (angle if axis @ twice_sine >= 0.0 else -angle)


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) [rad] -> (3, 3), by Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * (cross @ cross)


def matrix_from_xyzw(quaternion: np.ndarray) -> np.ndarray:
    """Unit quaternion (4,), xyzw -> (3, 3)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )

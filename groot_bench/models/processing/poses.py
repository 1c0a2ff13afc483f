"""Actions relative to a state: plain vectors by subtraction, end-effector poses in SE(3). Computed in float64."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from groot_bench.errors import SpecMismatch
from groot_bench.models.processing.modality import ActionFormat

POSE_DIMS = {ActionFormat.XYZ_ROT6D: 9, ActionFormat.XYZ_ROTVEC: 6}


def to_relative(action: np.ndarray, reference: np.ndarray, layout: ActionFormat) -> np.ndarray:
    """Actions (T, D) as seen from the reference (D,): action - reference, or inverse(reference) @ action for poses.

    Raises:
        SpecMismatch: a rotation of six numbers that is none.
    """
    if layout is ActionFormat.DEFAULT:
        return action.astype(np.float64) - reference.astype(np.float64)
    place, turn = _read(action, layout)
    origin, frame = _read(reference, layout)
    return _write((place - origin) @ frame, frame.T @ turn, layout)


def to_absolute(action: np.ndarray, reference: np.ndarray, layout: ActionFormat) -> np.ndarray:
    """The inverse of `to_relative`: action + reference, or reference @ action for poses; (T, D) float64.

    Raises:
        SpecMismatch: a rotation of six numbers that is none.
    """
    if layout is ActionFormat.DEFAULT:
        return action.astype(np.float64) + reference.astype(np.float64)
    place, turn = _read(action, layout)
    origin, frame = _read(reference, layout)
    return _write(place @ frame.T + origin, frame @ turn, layout)


def require_pose(pose: np.ndarray, layout: ActionFormat) -> np.ndarray:
    """The same array (D,); raises SpecMismatch where its layout has a rotation of six numbers that is none."""
    if layout is not ActionFormat.DEFAULT:
        _read(pose, layout)
    return pose


def orthonormal_rows(numbers: np.ndarray) -> np.ndarray:
    """The rotation (..., 3, 3) whose first two rows are nearest to the six numbers (..., 6), by Gram-Schmidt.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks", 2019, section B.

    Raises:
        SpecMismatch: the first row is zero, or the second is parallel to it.
    """
    first = _unit(numbers[..., :3])
    second = numbers[..., 3:]
    second = _unit(second - _dot(first, second) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-2)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.sqrt(_dot(vector, vector))
    if (length < 1e-12).any() or not np.isfinite(length).all():
        raise SpecMismatch("six numbers that should be two rows of a rotation matrix are zero or parallel")
    return vector / length


def _dot(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(..., 3), (..., 3) -> (..., 1). As a matrix product, which rounds like numpy.dot of single vectors."""
    return (one[..., None, :] @ two[..., :, None])[..., 0]


def _read(pose: np.ndarray, layout: ActionFormat) -> tuple[np.ndarray, np.ndarray]:
    """(..., 9) or (..., 6) -> position (..., 3), rotation (..., 3, 3), both float64.

    Six numbers are made orthogonal in their own type, as in the original, and then to full precision.
    """
    six = layout is ActionFormat.XYZ_ROT6D
    turn = Rotation.from_matrix(orthonormal_rows(pose[..., 3:])) if six else Rotation.from_rotvec(pose[..., 3:])
    return pose[..., :3].astype(np.float64), turn.as_matrix()


def _write(place: np.ndarray, turn: np.ndarray, layout: ActionFormat) -> np.ndarray:
    """Positions (T, 3) and rotations (T, 3, 3) -> (T, 9) or (T, 6)."""
    six = layout is ActionFormat.XYZ_ROT6D
    rows = turn[:, :2].reshape(-1, 6) if six else Rotation.from_matrix(turn).as_rotvec()
    return np.concatenate([place, rows], axis=-1)

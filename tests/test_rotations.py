"""Rotations keep the laws of the group, and agree with SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groot_retarget.rotations import matrix_from_xyzw, rotation_matrix, rotation_vector

axes = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array).filter(lambda axis: np.linalg.norm(axis) > 0.1)
unit_axes = axes.map(lambda axis: axis / np.linalg.norm(axis))
angles = st.floats(0, np.pi) | st.sampled_from([0.0, 1e-12, 1e-8, 1e-5, np.pi - 1e-8, np.pi - 1e-5, np.pi])


@given(unit_axes, angles)
def test_matrix_is_a_rotation(axis: np.ndarray, angle: float) -> None:
    matrix = rotation_matrix(angle * axis)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.isclose(np.linalg.det(matrix), 1.0, atol=1e-12)
    np.testing.assert_allclose(matrix @ axis, axis, atol=1e-12)


@given(unit_axes, angles)
def test_vector_of_the_matrix_of_a_vector_is_the_vector(axis: np.ndarray, angle: float) -> None:
    matrix = rotation_matrix(angle * axis)
    found = rotation_vector(matrix)
    np.testing.assert_allclose(rotation_matrix(found), matrix, atol=1e-7)
    if angle < np.pi - 1e-4:
        np.testing.assert_allclose(found, angle * axis, atol=1e-7)
    assert np.isclose(np.linalg.norm(found), angle, atol=1e-7)


@given(unit_axes, angles)
def test_opposite_vector_is_the_inverse(axis: np.ndarray, angle: float) -> None:
    np.testing.assert_allclose(rotation_matrix(-angle * axis), rotation_matrix(angle * axis).T, atol=1e-12)


@given(unit_axes, angles)
def test_quaternion_and_its_opposite_are_the_same_rotation(axis: np.ndarray, angle: float) -> None:
    quaternion = np.array([*(np.sin(angle / 2) * axis), np.cos(angle / 2)])
    np.testing.assert_allclose(matrix_from_xyzw(quaternion), rotation_matrix(angle * axis), atol=1e-12)
    np.testing.assert_array_equal(matrix_from_xyzw(quaternion), matrix_from_xyzw(-quaternion))


def test_rotations_agree_with_scipy() -> None:
    transform = pytest.importorskip("scipy.spatial.transform", reason="SciPy comes with the robosuite extra")
    for quaternion in np.random.default_rng(0).normal(size=(200, 4)):
        quaternion /= np.linalg.norm(quaternion)
        theirs = transform.Rotation.from_quat(quaternion)
        np.testing.assert_allclose(matrix_from_xyzw(quaternion), theirs.as_matrix(), atol=1e-12)
        np.testing.assert_allclose(rotation_vector(theirs.as_matrix()), theirs.as_rotvec(), atol=1e-7)

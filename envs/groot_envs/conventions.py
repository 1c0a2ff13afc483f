"""Every sign, order and orientation in which the simulators differ from the modality dict; nothing else flips anything.

Pure functions of NumPy arrays. They run in the simulators' own interpreters too: stdlib and NumPy only, Python 3.8.
"""

from __future__ import annotations

import numpy as np


def upright(frame: np.ndarray) -> np.ndarray:
    """A bottom-up picture, as OpenGL reads it back, with its first row on top.

    MuJoCo's `mjr_readPixels`, and with it robosuite's `sim.render`, begins at the lower left corner. RoboCasa's GR00T
    wrapper flips in the same way, vertically only (`[::-1]`); reference/protocols.md 3.2.

    Args:
        frame: uint8 (H, W, 3).

    Returns:
        uint8 (H, W, 3), contiguous and owned by the caller.
    """
    return np.ascontiguousarray(frame[::-1])


def xyzw_from_wxyz(quaternion: np.ndarray) -> np.ndarray:
    """MuJoCo's quaternion (w, x, y, z) in the order of robosuite's observations and of GR00T's data, (x, y, z, w).

    Args:
        quaternion: (..., 4), wxyz.

    Returns:
        (..., 4), xyzw, a copy. The sign is kept: q and -q are the same rotation.
    """
    return np.roll(quaternion, -1, axis=-1)


def wxyz_from_xyzw(quaternion: np.ndarray) -> np.ndarray:
    """The inverse of `xyzw_from_wxyz`.

    Args:
        quaternion: (..., 4), xyzw.

    Returns:
        (..., 4), wxyz, a copy.
    """
    return np.roll(quaternion, 1, axis=-1)


def positive_w(quaternion: np.ndarray) -> np.ndarray:
    """The one of q and -q whose w is not negative, as robosuite's `mat2quat` returns it.

    Args:
        quaternion: (4,), wxyz.

    Returns:
        (4,), wxyz.
    """
    return -quaternion if quaternion[0] < 0.0 else quaternion


def robosuite_gripper(close: float) -> float:
    """GR00T's `gripper_close` (0 open, 1 closed; binary at 0.5) as robosuite's gripper command (-1 opens, +1 closes).

    Source: RoboCasa's GR00T wrapper; reference/protocols.md 3.2.
    """
    return 1.0 if close >= 0.5 else -1.0


def robosuite_base_mode(control_mode: float) -> float:
    """GR00T's `control_mode` (binary at 0.5) as robosuite's `base_mode`: -1 arm mode, +1 base mode.

    In arm mode a hand command counts from where the hand is; in base mode it counts from the hand's last goal, so
    that the hand keeps its place over a moving base. Source: RoboCasa's GR00T wrapper; reference/protocols.md 3.2.
    """
    return 1.0 if control_mode >= 0.5 else -1.0

"""LIBERO-plus's noise of pictures: its own functions, on random numbers of this episode's and this step's own.

Upstream draws them from the global generator at every step, so what a picture has depends on everything drawn before.
Here they are a function of the episode's seed and the control step: the same noise however often one looks.
"""

from __future__ import annotations

from typing import Sequence

import numpy as np
from PIL import Image

from groot_envs.conventions import half_turned

# Upstream's functions, ten severities each, in the order of its numbers 1 to 50.
KINDS = ("motion_blur", "gaussian_blur", "zoom_blur", "fog", "glass_blur")
SEVERITIES = 10


def noisy(frame: np.ndarray, noise: int, key: Sequence[int]) -> np.ndarray:
    """The picture with that noise, as upstream's `ControlEnv.step` makes it of a picture that is not turned.

    Args:
        frame: uint8 (H, W, 3), half turned. noise: 1 to 50. key: 32-bit numbers that decide what is drawn.

    Returns:
        uint8 (H, W, 3), half turned.
    """
    from libero.libero.envs import env_wrapper  # not before `libero.simulator` has said where its settings are

    kind, severity = divmod(noise - 1, SEVERITIES)
    before = np.random.get_state()  # noqa: NPY002  # upstream's functions draw from the global generator
    np.random.seed(list(key))  # noqa: NPY002
    try:
        changed = getattr(env_wrapper, KINDS[kind])(Image.fromarray(half_turned(frame)), severity=severity + 1)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return half_turned(np.asarray(changed).astype(np.uint8))

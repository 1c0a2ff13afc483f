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

# Of its glass: the blur's width [px], how far a pixel may come from [px], and how often.
GLASS = (
    *((0.5, 1, 3), (0.7, 1, 3), (0.9, 2, 3), (1.0, 2, 2), (1.1, 3, 2)),
    *((1.3, 3, 2), (1.5, 4, 2), (1.8, 4, 2), (2.2, 5, 1), (2.5, 5, 1)),
)


def noisy(frame: np.ndarray, noise: int, key: Sequence[int]) -> np.ndarray:
    """The picture with that noise, as upstream's `ControlEnv.step` makes it of a picture that is not turned.

    Args:
        frame: uint8 (H, W, 3), half turned. noise: 1 to 50. key: 32-bit numbers that decide what is drawn.

    Returns:
        uint8 (H, W, 3), half turned.
    """
    from libero.libero.envs import env_wrapper  # not before `libero.simulator` has said where its settings are

    number, severity = divmod(noise - 1, SEVERITIES)
    kind = KINDS[number]
    change = glass_blur if kind == "glass_blur" else getattr(env_wrapper, kind)
    before = np.random.get_state()  # noqa: NPY002  # upstream's functions draw from the global generator
    np.random.seed(list(key))  # noqa: NPY002
    try:
        changed = change(Image.fromarray(half_turned(frame)), severity=severity + 1)
    finally:
        np.random.set_state(before)  # noqa: NPY002
    return half_turned(np.asarray(changed).astype(np.uint8))


def glass_blur(picture: Image.Image, severity: int) -> np.ndarray:
    """What upstream's function of that name gives, bit by bit, in a tenth of its time (two seconds a picture).

    Upstream draws the move of each pixel by itself. And what it calls a swap of two pixels is none: both names stand
    for the picture's own memory, so that one pixel is copied over the other, which keeps its color.

    Args:
        picture: RGB. severity: 1 to 10.

    Returns:
        float64 (H, W, 3), 0 to 255.
    """
    from skimage.filters import gaussian

    sigma, reach, rounds = GLASS[severity - 1]
    colors = np.uint8(gaussian(np.array(picture) / 255.0, sigma=sigma, channel_axis=-1) * 255)
    height, width, _ = colors.shape
    rows, columns = (np.arange(size - reach, reach, -1) for size in (height, width))
    places = (rows[:, None] * width + columns).ravel()
    moves = np.random.randint(-reach, reach, size=(rounds, len(places), 2))  # noqa: NPY002
    sources = places + moves[..., 1] * width + moves[..., 0]
    pixels = colors.reshape(-1, 3).tolist()
    for chosen in sources.tolist():
        for place, source in zip(places.tolist(), chosen):  # in this order: a pixel may come from one that came before
            pixels[place] = pixels[source]
    shuffled = np.array(pixels, np.uint8).reshape(height, width, 3)
    return np.clip(gaussian(shuffled / 255.0, sigma=sigma, channel_axis=-1), 0, 1) * 255

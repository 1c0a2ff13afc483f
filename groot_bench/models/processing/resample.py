"""Resizing of uint8 images in fixed point, exactly as Pillow and torch do it.

Both widen the filter where they shrink, treat one axis after the other and round to uint8 in between. They differ in
how many bits a weight has and in which axis comes first. All sums are of whole numbers, so a result depends on neither
the processor, the number of threads nor what else is computed.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from scipy.sparse import csr_array

PILLOW_BITS = 22  # of a weight, in Pillow's Resample.c: 32 less 8 for the pixel and 2 for sums
TORCH_MAX_BITS = 22  # torch's UpSampleKernel: as many as keep the largest weight within int16


class Style(enum.Enum):
    """Whose arithmetic is meant.

    PILLOW: `Image.resize` of Pillow 13, which treats the height first where it shrinks by more than twice as many
    pixels as the width does; older versions, and 13 in all other cases, begin with the width.
    TORCH: `interpolate(antialias=True)` of uint8 tensors, which begins with the width.
    """

    PILLOW = "pillow"
    TORCH = "torch"


class Filter(enum.Enum):
    """The interpolating function; its value is its reach in source pixels where nothing shrinks."""

    LINEAR = 1
    CUBIC = 2  # Keys' cubic with a = -0.5


def resize(image: np.ndarray, height: int, width: int, style: Style, kind: Filter = Filter.CUBIC) -> np.ndarray:
    """The image at another size.

    Args:
        image: uint8 (h, w, 3), C-contiguous. height, width: wanted [px].

    Returns:
        uint8 (height, width, 3); the image itself where it has that size.
    """
    rows, columns = image.shape[:2]
    if style is Style.PILLOW and height < rows and rows - height > 2 * (columns - width):
        return _resize_width(_resize_height(image, height, style, kind), width, style, kind)
    return _resize_height(_resize_width(image, width, style, kind), height, style, kind)


def _resize_width(image: np.ndarray, width: int, style: Style, kind: Filter) -> np.ndarray:
    if image.shape[1] == width:
        return image
    return _transpose(_resize_height(_transpose(image), width, style, kind))


def _resize_height(image: np.ndarray, height: int, style: Style, kind: Filter) -> np.ndarray:
    if image.shape[0] == height:
        return image
    matrix, bits = _weights(image.shape[0], height, style, kind)
    # int32 is enough: 255 times the positive weights of a pixel, whose sum is below 1.5, times 2**22.
    total = matrix @ image.reshape(len(image), -1).astype(np.int32)
    total += 1 << (bits - 1)
    total >>= bits
    np.clip(total, 0, 255, out=total)
    return total.astype(np.uint8).reshape(height, *image.shape[1:])


def _transpose(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) -> (w, h, 3), contiguous; several times as fast as a copy by NumPy."""
    return np.asarray(cv2.transpose(image))


@functools.lru_cache(maxsize=64)
def _weights(size: int, wanted: int, style: Style, kind: Filter) -> tuple[Any, int]:
    """A sparse int32 matrix (wanted, size) that resizes an axis, and how many bits of its entries are a fraction."""
    scale = size / wanted
    stretch = max(scale, 1.0)
    reach = kind.value * stretch
    center = (np.arange(wanted) + 0.5) * scale
    first = np.maximum((center - reach + 0.5).astype(np.int64), 0)
    beyond = np.minimum((center + reach + 0.5).astype(np.int64), size)
    places = first[:, None] + np.arange((beyond - first).max())
    used = places < beyond[:, None]
    curve = _FILTERS[kind]((places - center[:, None] + 0.5) * (1.0 / stretch)) * used
    curve /= np.cumsum(curve, axis=1)[:, -1:]  # summed from left to right, as the originals do
    bits = PILLOW_BITS if style is Style.PILLOW else _torch_bits(float(curve.max()))
    whole = np.trunc(curve * 2.0**bits + np.where(curve < 0, -0.5, 0.5)).astype(np.int32)
    ends = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    return csr_array((whole[used], places[used].astype(np.int32), ends), shape=(wanted, size)), bits


def _torch_bits(largest: float) -> int:
    return next(
        (bits for bits in range(TORCH_MAX_BITS) if int(0.5 + largest * 2.0 ** (bits + 1)) >= 1 << 15), TORCH_MAX_BITS
    )


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: np.ndarray) -> np.ndarray:
    a = -0.5
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


_FILTERS: dict[Filter, Callable[[np.ndarray], np.ndarray]] = {Filter.LINEAR: _linear, Filter.CUBIC: _cubic}

"""Camera frames of N1.6: the shared crop, then a size in multiples of merged patches, near the image's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from groot_bench.models.processing.images import Chain, ImageInput, as_frame, parse_chain, to_tower
from groot_bench.models.processing.resample import Style, resize

DEFAULT_EDGE = 512  # shortest_image_edge of Gr00tN1d6Processor; released files state 256
LEAST_TOKENS, MOST_TOKENS = 4, 4096  # of one image, in the Eagle processor
LONGEST = 7000  # px, likewise


@dataclass(frozen=True)
class ImageTransformN16:
    """The processor's crop, then Pillow's bicubic resize to multiples of patch x merge.

    Attributes:
        chain: crop and resize. patch: side of a patch [px]. merge: patches a side that become one token.
    """

    chain: Chain
    patch: int = 14
    merge: int = 2

    @classmethod
    def from_processor(
        cls, kwargs: Mapping[str, Any], patch: int = 14, merge: int = 2, *, pad_to_square: bool = True
    ) -> ImageTransformN16:
        """As the checkpoint's processor does it.

        Args:
            kwargs: `processor_kwargs` of processor_config.json.
            pad_to_square: whether black bars make frames square first. The last N1.6 code does so with every frame,
                that of the first release with none; the file does not say it.

        Raises:
            CheckpointError: see `parse_chain`.
        """
        return cls(parse_chain(kwargs, DEFAULT_EDGE, pad_to_square), patch, merge)

    def __call__(self, frame: np.ndarray) -> ImageInput:
        return self.pack(self.transform(frame))

    def transform(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (h, w, 3)."""
        return self.chain(as_frame(frame))

    def pack(self, image: np.ndarray) -> ImageInput:
        """uint8 (h, w, 3) -> pixels float32 (3, rows x patch, columns x patch)."""
        height, width = self.fitted(*image.shape[:2])
        grid = (height // self.patch, width // self.patch)
        tokens = grid[0] * grid[1] // self.merge**2
        pixels = to_tower(resize(image, height, width, Style.PILLOW))
        return ImageInput(pixels, grid, tokens, (image.shape[0], image.shape[1]))

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """The Eagle processor's size for an image: both sides in multiples of patch x merge, within its limits [px]."""
        factor = self.patch * self.merge
        rows, columns = (min(max(factor, round(side / factor) * factor), LONGEST) for side in (height, width))
        area = rows * columns
        most, least = MOST_TOKENS * factor**2, LEAST_TOKENS * factor**2
        if area > most:
            shrink = math.sqrt(area / most)
            rows, columns = (math.floor(side / shrink / factor) * factor for side in (rows, columns))
        elif area < least:
            grow = math.sqrt(least / (height * width))
            rows, columns = (math.ceil(side * grow / factor) * factor for side in (height, width))
        return rows, columns

"""Camera frames of N1.7: the shared crop, then patches in the layout of Qwen3-VL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from groot_bench.models.processing.images import Chain, ImageInput, as_frame, parse_chain, to_tower
from groot_bench.models.processing.resample import Style, resize

DEFAULT_EDGE = 256  # shortest_image_edge of Gr00tN1d7Processor
MIN_PIXELS, MAX_PIXELS = 65536, 16777216  # `size` in preprocessor_config.json of the public Qwen3-VL


@dataclass(frozen=True)
class ImageTransformN17:
    """The processor's crop, then torch's bicubic resize to multiples of patch x merge where that is needed.

    Attributes:
        chain: crop and resize. patch: side of a patch [px]. merge: patches a side that become one token.
        temporal: frames of a patch; an image is repeated as often.
        min_pixels, max_pixels: of an image.
    """

    chain: Chain
    patch: int = 16
    merge: int = 2
    temporal: int = 2
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS

    @classmethod
    def from_processor(
        cls, kwargs: Mapping[str, Any], patch: int = 16, merge: int = 2, temporal: int = 2
    ) -> ImageTransformN17:
        """As the checkpoint's processor does it.

        Args:
            kwargs: `processor_kwargs` of processor_config.json.

        Raises:
            CheckpointError: see `parse_chain`.
        """
        return cls(parse_chain(kwargs, DEFAULT_EDGE, square=False), patch, merge, temporal)

    def __call__(self, frame: np.ndarray) -> ImageInput:
        return self.pack(self.transform(frame))

    def transform(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (h, w, 3)."""
        return self.chain(as_frame(frame))

    def pack(self, image: np.ndarray) -> ImageInput:
        """uint8 (h, w, 3) -> pixels float32 (patches, 3 x temporal x patch x patch).

        Patches go block by block of merge x merge, row by row among blocks and within a block.
        """
        height, width = self.fitted(*image.shape[:2])
        grid = (height // self.patch, width // self.patch)
        pixels = self._patches(to_tower(resize(image, height, width, Style.TORCH)), grid)
        return ImageInput(pixels, grid, grid[0] * grid[1] // self.merge**2, (image.shape[0], image.shape[1]))

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """Qwen-VL's size for an image: both sides in multiples of patch x merge, within the limits [px]."""
        factor = self.patch * self.merge
        rows, columns = (round(side / factor) * factor for side in (height, width))
        if rows * columns > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows, columns = (max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width))
        elif rows * columns < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows, columns = (math.ceil(side * grow / factor) * factor for side in (height, width))
        return rows, columns

    def _patches(self, image: Tensor, grid: tuple[int, int]) -> Tensor:
        """float32 (3, h, w) -> float32 (patches, 3 x temporal x patch x patch)."""
        merge, patch = self.merge, self.patch
        blocks = image.reshape(3, grid[0] // merge, merge, patch, grid[1] // merge, merge, patch)
        patches = blocks.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5)
        repeated = patches.expand(*patches.shape[:5], self.temporal, patch, patch)
        return repeated.reshape(grid[0] * grid[1], 3 * self.temporal * patch * patch)

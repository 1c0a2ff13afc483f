"""Camera frames of N1.5: center crop, one size, values in -1..1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from groot_bench.errors import SpecMismatch
from groot_bench.models.processing.images import DEFAULT_FRACTION, ImageInput, as_frame, center_crop, to_tower


@dataclass(frozen=True)
class ImageTransformN15:
    """The original's VideoCrop, VideoResize (linear, antialiased, in float32) and conversion back to uint8, which cuts
    off and does not round.

    Attributes:
        image_size: side of the vision tower's images [px]. patch: side of a patch [px].
        merge: patches a side that become one token.
        fraction: of height and of width that the crop keeps.

    Raises:
        SpecMismatch: the image is no whole number of merged patches.
    """

    image_size: int = 224
    patch: int = 14
    merge: int = 1
    fraction: float = DEFAULT_FRACTION

    def __post_init__(self) -> None:
        if self.image_size // self.patch % self.merge:
            raise SpecMismatch(
                f"an image of {self.image_size} px has {self.image_size // self.patch} patches a side, which cannot be "
                f"merged by {self.merge}"
            )

    def __call__(self, frame: np.ndarray) -> ImageInput:
        return self.pack(self.transform(frame))

    def transform(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (image_size, image_size, 3)."""
        frame = as_frame(frame)
        height, width = (int(side * self.fraction) for side in frame.shape[:2])
        crop = center_crop(frame, height, width).transpose(2, 0, 1).astype(np.float32)
        scaled = torch.from_numpy(crop).div_(255)
        size = (self.image_size, self.image_size)
        resized = functional.interpolate(scaled.unsqueeze(0), size, mode="bilinear", antialias=True)
        return resized[0].mul_(255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    def pack(self, image: np.ndarray) -> ImageInput:
        """uint8 (image_size, image_size, 3) -> pixels float32 (3, image_size, image_size)."""
        if image.shape != (self.image_size, self.image_size, 3):
            raise SpecMismatch(
                f"expected an image of {self.image_size} px a side, got {image.shape[0]} x {image.shape[1]}"
            )
        side = self.image_size // self.patch
        return ImageInput(to_tower(image), (side, side), (side // self.merge) ** 2, (image.shape[0], image.shape[1]))

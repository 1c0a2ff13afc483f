"""What the families' ways from a camera frame to the vision tower share; always in evaluation mode.

Each frame is processed by itself, so its result has the same bits whatever other frames are processed beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from groot_bench.errors import SpecMismatch
from groot_bench.models.family import Family
from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.processing.resample import Filter, Style, resize

MAX_SIDE = 1 << 13  # px, of frames
MAX_EDGE = 1 << 10  # px, of configured sizes: 256 in released files; a picture of 1024 has over a thousand tokens
MAX_RATIO = 200  # of a frame's sides; the image processors of N1.6 and N1.7 refuse more
MIDDLE = 127.5  # (x / 255 - 0.5) / 0.5 is (x - 127.5) / 127.5, which is how the image processors compute it
DEFAULT_FRACTION = 0.95  # of the original processors


@dataclass(frozen=True)
class ImageInput:
    """One image as the vision tower takes it.

    Attributes:
        pixels: float32, in -1..1. N1.5 and N1.6: (3, h, w). N1.7: (patches, 3 x temporal x patch x patch).
        grid: height and width in patches.
        tokens: image tokens that stand for it in the prompt, after patches are merged.
        size: height and width [px] after the transform, before the image processor.
    """

    pixels: Tensor
    grid: tuple[int, int]
    tokens: int
    size: tuple[int, int]


class ImageTransform(Protocol):
    """A family's way from a frame to the vision tower, in two steps."""

    def __call__(self, frame: np.ndarray) -> ImageInput:
        """Both steps: uint8 (H, W, 3) of any size -> the tower's input. Raises SpecMismatch for what is no frame."""

    def transform(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> cropped and resized, uint8 (h, w, 3)."""

    def pack(self, image: np.ndarray) -> ImageInput:
        """What `transform` returned -> the tower's input."""


def in_prompt_order(family: Family, views: Sequence[Sequence[ImageInput]]) -> list[ImageInput]:
    """The images of several cameras and time steps in the order in which the prompt has them.

    All families go through the time steps, and in each through the cameras. N1.6 alone goes through the cameras, and in
    each through its time steps, where transformed images differ in size.

    Args:
        views: for each camera, in the checkpoint's order, its images in the order of their time steps.

    Raises:
        SpecMismatch: cameras with different numbers of images; for N1.5 and N1.7 also several time steps of images that
            differ in size, for which the originals have no order.
    """
    steps = {len(view) for view in views}
    if len(steps) > 1:
        raise SpecMismatch(f"cameras must have equally many images, got {[len(view) for view in views]}")
    sizes = {image.size for view in views for image in view}
    if len(sizes) > 1 and family is Family.N16:
        return [image for view in views for image in view]
    if len(sizes) > 1 and steps != {1}:
        raise SpecMismatch(
            f"{family.title} takes several time steps only of cameras with images of one size, got {sorted(sizes)}; "
            "render all cameras in one shape"
        )
    return [image for moment in zip(*views, strict=True) for image in moment]


def as_frame(frame: object) -> np.ndarray:
    """The frame, contiguous; raises SpecMismatch unless it is uint8 (H, W, 3) of a shape that can be processed."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise SpecMismatch(f"a camera frame must be a uint8 array (height, width, 3), got {got}")
    short, long = sorted(frame.shape[:2])
    if not 2 <= short <= long <= MAX_SIDE or long > MAX_RATIO * short:
        raise SpecMismatch(
            f"a camera frame must have sides of 2 to {MAX_SIDE} px, one at most {MAX_RATIO} times the other, "
            f"got {frame.shape[0]} x {frame.shape[1]}"
        )
    return np.ascontiguousarray(frame)


def to_tower(image: np.ndarray) -> Tensor:
    """uint8 (h, w, 3) -> float32 (3, h, w) in -1..1."""
    planes = torch.from_numpy(np.stack(cv2.split(image)))
    return planes.to(torch.float32).sub_(MIDDLE).div_(MIDDLE)


@dataclass(frozen=True)
class FractionCrop:
    """The albumentations chain: shortest side to `edge`, center crop of `fraction`, shortest side to `edge` again.

    Resizing is OpenCV's by area, which albumentations calls.

    Attributes:
        edge: [px]. fraction: of height and of width, in 0..1.
        square: whether black bars make the frame square before all else.
    """

    edge: int
    fraction: float
    square: bool

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (h, w, 3)."""
        image = pad_to_square(frame) if self.square else frame
        image = self._shortest(image)
        height, width = (max(1, int(side * self.fraction)) for side in image.shape[:2])
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        return self._shortest(image[top : top + height, left : left + width])

    def _shortest(self, image: np.ndarray) -> np.ndarray:
        scale = self.edge / min(image.shape[:2])
        height, width = (round(side * scale) for side in image.shape[:2])
        if (height, width) == image.shape[:2]:
            return np.ascontiguousarray(image)
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


@dataclass(frozen=True)
class TargetCrop:
    """The torchvision chain, for checkpoints with `use_albumentations` off: resize, center crop, resize again.

    Attributes:
        target: height and width that is resized to, before and after. crop: height and width that is cropped [px].
        square: as in `FractionCrop`.
    """

    target: tuple[int, int]
    crop: tuple[int, int]
    square: bool

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """uint8 (H, W, 3) -> uint8 (h, w, 3)."""
        image = pad_to_square(frame) if self.square else frame
        image = center_crop(resize(image, *self.target, Style.TORCH, Filter.LINEAR), *self.crop)
        return resize(np.ascontiguousarray(image), *self.target, Style.TORCH, Filter.LINEAR)


Chain = Callable[[np.ndarray], np.ndarray]


def pad_to_square(image: np.ndarray) -> np.ndarray:
    """Black bars on both sides of the shorter direction; an odd pixel goes to the bottom or to the right."""
    height, width = image.shape[:2]
    if height == width:
        return image
    down, across = max(width - height, 0), max(height - width, 0)
    bars = (down // 2, down - down // 2, across // 2, across - across // 2)
    return np.asarray(cv2.copyMakeBorder(image, *bars, cv2.BORDER_CONSTANT, value=(0, 0, 0)))


def center_crop(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """As torchvision crops: half a pixel is rounded to an even place."""
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return image[top : top + height, left : left + width]


def parse_chain(kwargs: Mapping[str, Any], default_edge: int, square: bool) -> Chain:
    """The crop and resize that a processor is set to.

    As in the originals: the fraction is `crop_fraction`, or image_crop_size / image_target_size where that is null; the
    edge is `shortest_image_edge`, or image_target_size where that is null. What the file lacks has the original's
    default.

    Args:
        kwargs: `processor_kwargs` of processor_config.json.
        default_edge: of the family's processor.
        square: whether frames are padded to squares; `letter_box_transform` true has the same effect.

    Raises:
        CheckpointError: with every setting that is missing, mistyped or out of range.
    """
    problems: list[str] = []
    fields = Fields(kwargs, "processor_kwargs", problems)
    square = fields.flag("letter_box_transform", False) or square
    crop, target = _pair(fields, "image_crop_size"), _pair(fields, "image_target_size")
    albumentations = fields.flag("use_albumentations", False)
    fraction = _fraction(fields, crop, target) if albumentations else 1.0
    edge = _edge(fields, target, default_edge) if albumentations else default_edge
    if not albumentations:
        _require_both(fields, crop, target, "use_albumentations is off")
    raise_if(problems, "the image settings of processor_config.json cannot be used")
    if albumentations or crop is None or target is None:
        return FractionCrop(edge, fraction, square)
    return TargetCrop(target, crop, square)


def _fraction(fields: Fields, crop: tuple[int, int] | None, target: tuple[int, int] | None) -> float:
    if fields.data.get("crop_fraction", DEFAULT_FRACTION) is None:
        _require_both(fields, crop, target, "crop_fraction is null")
        return crop[0] / target[0] if crop is not None and target is not None else 1.0
    known = len(fields.problems)
    fraction = fields.number("crop_fraction", DEFAULT_FRACTION)
    if not 0 < fraction <= 1 and len(fields.problems) == known:
        fields.complain("crop_fraction", f"expected a number above 0 and at most 1, got {fraction}")
    return fraction


def _edge(fields: Fields, target: tuple[int, int] | None, default: int) -> int:
    if fields.data.get("shortest_image_edge", default) is not None:
        return fields.size("shortest_image_edge", default, most=MAX_EDGE)
    if target is None:
        fields.complain("image_target_size", "is needed where shortest_image_edge is null")
        return default
    return target[0]


def _require_both(fields: Fields, crop: tuple[int, int] | None, target: tuple[int, int] | None, why: str) -> None:
    for name, pair in (("image_crop_size", crop), ("image_target_size", target)):
        if pair is None:
            fields.complain(name, f"is needed where {why}")
    if crop is not None and target is not None and (crop[0] > target[0] or crop[1] > target[1]):
        fields.complain("image_crop_size", f"{list(crop)} does not lie within image_target_size {list(target)}")


def _pair(fields: Fields, name: str) -> tuple[int, int] | None:
    if name not in fields:
        return None
    sizes = fields.sizes(name, most=MAX_EDGE)
    if len(sizes) != 2 or min(sizes) < 1:
        fields.complain(name, f"expected a height and a width of 1 to {MAX_EDGE}, got {fields.data[name]!r}"[:200])
        return None
    return sizes[0], sizes[1]

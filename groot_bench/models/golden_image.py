"""Image processing compared with `image.npz` of a golden folder.

An array's name is case/field: `raw.<i>` is a camera frame, `transformed.<i>` what crop and resize make of it,
`pixel_values` (N1.6: `pixel_values.<i>`) what the vision tower receives of the transformed images, and the others are
sizes that follow. A case is processed as checkpoint/processor_config.json says, with these changes:

* the shortest edge (N1.5: the size) is that of the recorded `transformed.<i>`;
* a name with crop<a>_target<b> stands for image_crop_size a and image_target_size b in place of fraction and edge;
* a name with letterbox has `letter_box_transform` on;
* a name that begins with nopad_ is N1.6 without padding to squares; its frames may be those of the case named behind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.arrays import read_arrays
from groot_bench.models.difference import Difference, largest_difference
from groot_bench.models.family import Family
from groot_bench.models.processing.images import ImageInput, ImageTransform
from groot_bench.models.processing.images_n15 import ImageTransformN15
from groot_bench.models.processing.images_n16 import ImageTransformN16
from groot_bench.models.processing.images_n17 import ImageTransformN17
from groot_bench.models.regular import read_json

FILE = "image.npz"
GREY_LEVELS = 2.0  # of `transformed`, where another version of the resizing library made it
PIXELS = 1e-6  # of pixel values, from the recorded `transformed`
UNPADDED = "nopad_"

Arrays = dict[str, np.ndarray]


def compare_images(folder: Path) -> Iterator[Difference]:
    """Every output of every case; what cannot be compared has an infinite difference.

    Args:
        folder: of one family, with image.npz and checkpoint/.
    """
    try:
        family, settings = _read_settings(folder / "checkpoint")
        arrays = read_arrays(folder / FILE)
    except CheckpointError as problem:
        yield Difference(FILE, str(problem), math.inf, 0.0)
        return
    cases = dict.fromkeys(name.partition("/")[0] for name in arrays)
    if not cases:
        yield Difference(FILE, "(has no case)", math.inf, 0.0)
    for case in cases:
        own = {name.partition("/")[2]: array for name, array in arrays.items() if name.partition("/")[0] == case}
        if case.startswith(UNPADDED) and not _numbered(own, "raw"):
            padded = f"{case.removeprefix(UNPADDED)}/"
            frames = {name: array for name, array in arrays.items() if name.startswith(f"{padded}raw.")}
            own |= {name.removeprefix(padded): array for name, array in frames.items()}
        for line in _compare_case(family, settings, case, own):
            yield line._replace(field=f"{case}/{line.field}")


def case_transform(
    family: Family, settings: Mapping[str, Any], case: str, transformed: tuple[int, ...]
) -> ImageTransform:
    """How the frames of a case are processed.

    Args:
        settings: `processor_kwargs`; empty for N1.5.
        transformed: shape of the first recorded `transformed.<i>`.

    Raises:
        GrootBenchError: the settings cannot be used.
    """
    if family is Family.N15:
        return ImageTransformN15(image_size=transformed[0])
    changed = {**settings, "shortest_image_edge": min(transformed[:2])}
    sizes = re.search(r"crop(\d+)_target(\d+)", case)
    if sizes:
        crop, target = (int(size) for size in sizes.groups())
        changed |= {"crop_fraction": None, "shortest_image_edge": None}
        changed |= {"image_crop_size": [crop, crop], "image_target_size": [target, target]}
    if "letterbox" in case:
        changed["letter_box_transform"] = True
    if family is Family.N16:
        return ImageTransformN16.from_processor(changed, pad_to_square=not case.startswith(UNPADDED))
    return ImageTransformN17.from_processor(changed)


def _compare_case(family: Family, settings: Mapping[str, Any], case: str, own: Arrays) -> Iterator[Difference]:
    """All fields of one case, named without it."""
    recorded = _numbered(own, "transformed")
    frames = _numbered(own, "raw")
    if not recorded or any(array.ndim != 3 for array in recorded) or len(frames) != len(recorded):
        problem = f"expected as many transformed as raw images (h, w, 3), got {len(recorded)} and {len(frames)}"
        yield Difference(FILE, f"({problem})", math.inf, GREY_LEVELS)
        return
    try:
        transform = case_transform(family, settings, case, recorded[0].shape)
        ours = [transform.transform(frame) for frame in frames]
        inputs = [transform.pack(_image(image)) for image in recorded]
    except GrootBenchError as problem:
        yield Difference(FILE, f"({problem})", math.inf, GREY_LEVELS)
        return
    for index, (one, two) in enumerate(zip(ours, recorded, strict=True)):
        yield Difference(FILE, f"transformed.{index}", largest_difference(one, two), GREY_LEVELS)
    outputs = _outputs(family, inputs)
    for name, array in outputs.items():
        if name in own:
            tolerance = PIXELS if name.startswith("pixel_values") else 0.0
            yield Difference(FILE, name, largest_difference(array, own[name]), tolerance)
        elif name.startswith("pixel_values"):
            yield Difference(FILE, f"{name} (is missing)", math.inf, PIXELS)
    for name in own:
        if name not in outputs and not re.fullmatch(r"(raw|transformed)\.\d+", name):
            yield Difference(FILE, f"{name} (is not known)", math.inf, 0.0)


def _outputs(family: Family, inputs: list[ImageInput]) -> Arrays:
    """What follows from the transformed images, by the names of the file."""
    pixels = [one.pixels.numpy() for one in inputs]
    found: Arrays = {"n_image_tokens": np.array(sum(one.tokens for one in inputs))}
    if family is Family.N15:
        found |= {"pixel_values": np.stack(pixels), "image_sizes": np.array([one.size for one in inputs])}
    elif family is Family.N16:
        found |= {f"pixel_values.{index}": array[None] for index, array in enumerate(pixels)}
    else:
        found |= {
            "pixel_values": np.concatenate(pixels),
            "image_grid_thw": np.array([(1, *one.grid) for one in inputs]),
        }
    return found


def _numbered(own: Arrays, name: str) -> list[np.ndarray]:
    """The arrays name.0, name.1, ... as far as they go."""
    found: list[np.ndarray] = []
    while f"{name}.{len(found)}" in own:
        found.append(own[f"{name}.{len(found)}"])
    return found


def _image(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise CheckpointError(f"{FILE}: expected an image uint8 (h, w, 3), got {array.dtype} {array.shape}")
    return np.ascontiguousarray(array)


def _read_settings(checkpoint: Path) -> tuple[Family, Mapping[str, Any]]:
    """The family, and `processor_kwargs` of N1.6 and N1.7."""
    config = read_json(checkpoint, "config.json")
    kind = config.get("model_type") if isinstance(config, dict) else None
    family = next((family for family in Family if family.model_type == kind), None)
    if family is None:
        raise CheckpointError(f"{checkpoint / 'config.json'}: model_type {kind!r} is of no known family"[:300])
    if family is Family.N15:
        return family, {}
    data = read_json(checkpoint, "processor_config.json")
    settings = data.get("processor_kwargs") if isinstance(data, dict) else None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{checkpoint / 'processor_config.json'}: processor_kwargs: expected an object")
    return family, settings

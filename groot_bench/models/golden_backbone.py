"""The backbone compared with `backbone.safetensors` of a golden folder.

The file has a batch as the originals take it, padded on the left (`input_ids`, `attention_mask`, `pixel_values`, for
N1.7 `image_grid_thw`); every other tensor in it is an output or an intermediate result that must be reproduced.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.backbones.base import Backbone, make_backbone, positions, require_tokens
from groot_bench.models.backbones.grids import Grid
from groot_bench.models.backbones.prompt import token_count
from groot_bench.models.collate import N17_PADDED_POSITION
from groot_bench.models.config import ModelConfig, parse_config
from groot_bench.models.difference import Difference, largest_difference
from groot_bench.models.family import Family
from groot_bench.models.inputs import BackboneInputs
from groot_bench.models.regular import read_json

FILE = "backbone.safetensors"
TOLERANCE = 1e-4
RELATIVE = 5e-5  # of the largest number of a field, where that is more
PREFIX = "backbone."
# Computed by the originals with another kernel, or recorded under a second name.
SAME = {"features_varlen_attention": "features"}

Tensors = Mapping[str, Tensor]
Pictures = list[tuple[Tensor, Grid]]  # images as in `BackboneInputs`, with their grids


def load_backbone(config: ModelConfig, checkpoint: Path) -> Backbone:
    """The backbone with the weights of a checkpoint's single file, float32, on the CPU.

    Raises:
        CheckpointError: tensors are missing, not known, or of another shape.
    """
    with torch.device("meta"):
        model = make_backbone(config.family, config.backbone)
    stored = read_tensors(checkpoint / "model.safetensors")
    wanted = {PREFIX + name: tensor.shape for name, tensor in model.state_dict().items()}
    problems = [f"{name} is missing" for name in wanted if name not in stored]
    problems += [
        f"{name} is not known" if name not in wanted else f"{name}: {tuple(tensor.shape)}, not {tuple(wanted[name])}"
        for name, tensor in stored.items()
        if name.startswith(PREFIX) and (tensor.shape != wanted[name] if name in wanted else not model.is_unused(name))
    ]
    if problems:
        raise CheckpointError("\n".join([f"{checkpoint} does not hold this backbone:", *problems[:20]]))
    model.load_state_dict({name.removeprefix(PREFIX): stored[name].float() for name in wanted}, assign=True)
    return model.eval()


def compare_backbone(
    folder: Path, load: Callable[[ModelConfig, Path], Backbone] = load_backbone
) -> Iterator[Difference]:
    """Every recorded tensor that is no input, one by one; what cannot be compared has an infinite difference.

    Args:
        folder: of one family, with checkpoint/, backbone_config.json and backbone.safetensors.
        load: makes the backbone of a configuration with the weights of a checkpoint folder, float32, on the CPU.
    """
    try:
        config = read_config(folder)
        golden = read_tensors(folder / FILE)
        inputs = golden_inputs(config, golden)
        model = load(config, folder / "checkpoint")
        trace: dict[str, Tensor] = {}
        with torch.no_grad():
            model(inputs, trace=trace)
    except GrootBenchError as problem:
        yield Difference(FILE, str(problem), math.inf, TOLERANCE)
        return
    if "features" not in golden:
        yield Difference(FILE, "features", math.inf, TOLERANCE)
    for name, tensor in golden.items():
        if not is_input(name):
            yield _compare(name, trace.get(SAME.get(name, name)), tensor)


def is_input(name: str) -> bool:
    """Whether a tensor of that name goes into the backbone."""
    return re.fullmatch(r"input_ids|attention_mask|image_grid_thw|pixel_values(\.\d+)?", name) is not None


def golden_inputs(config: ModelConfig, golden: Tensors) -> BackboneInputs:
    """The batch of a golden file, float32, on the CPU.

    Args:
        golden: with at least the tensors for which `is_input` holds; end_to_end.safetensors has them, too.

    Raises:
        GrootBenchError: they are incomplete, or do not belong together.
    """
    for name in ("input_ids", "attention_mask"):
        if name not in golden or golden[name].ndim != 2:
            raise CheckpointError(f"{FILE}: {name} must be there, with a row for each sample")
    ids, mask = golden["input_ids"].long(), golden["attention_mask"].bool()
    if ids.shape != mask.shape:
        raise CheckpointError(f"{FILE}: attention_mask {tuple(mask.shape)} is not of the shape {tuple(ids.shape)}")
    pictures = _packed(golden) if config.family is Family.N17 else _pictures(config, golden)
    images, grids = [image for image, _ in pictures], [grid for _, grid in pictures]
    return BackboneInputs(ids, _positions(config, ids, mask, grids), mask, images, grids)


def read_config(folder: Path) -> ModelConfig:
    """The configuration of a golden folder's checkpoint, with the sizes of its tiny backbone."""
    sizes = read_json(folder, "backbone_config.json") if (folder / "backbone_config.json").exists() else None
    return parse_config(read_json(folder / "checkpoint", "config.json"), sizes)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as problem:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {problem}") from None


def _compare(name: str, ours: Tensor | None, golden: Tensor) -> Difference:
    """One field: whole numbers and masks must be equal."""
    if not golden.is_floating_point():
        return Difference(FILE, name, math.inf if ours is None else largest_difference(ours, golden), 0.0)
    scale = float(golden.abs().max()) if golden.numel() else 0.0
    tolerance = max(TOLERANCE, RELATIVE * scale) if math.isfinite(scale) else TOLERANCE
    difference = math.inf if ours is None else largest_difference(ours.float(), golden.float())
    return Difference(FILE, name, difference, tolerance)


def _pictures(config: ModelConfig, golden: Tensors) -> Pictures:
    """The images: one tensor for all, or one for each."""
    names = sorted((name for name in golden if name.startswith("pixel_values")), key=lambda name: (len(name), name))
    patch = config.backbone.vision.patch
    if any(golden[name].ndim != 4 for name in names):
        raise CheckpointError(f"{FILE}: {', '.join(names)} must be images (n, 3, height, width)")
    images = [image for name in names for image in golden[name].float()]
    return [(image, (image.shape[1] // patch, image.shape[2] // patch)) for image in images]


def _packed(golden: Tensors) -> Pictures:
    """Images that follow each other in one tensor (patches, numbers), as long as their grids say."""
    if "pixel_values" not in golden or "image_grid_thw" not in golden:
        raise CheckpointError(f"{FILE}: pixel_values and image_grid_thw must be there")
    shapes, patches = golden["image_grid_thw"].tolist(), golden["pixel_values"].float()
    if any(not isinstance(shape, list) or len(shape) != 3 or shape[0] != 1 or min(shape) < 1 for shape in shapes):
        raise CheckpointError(f"{FILE}: image_grid_thw {shapes} must be (1, height, width) for each image")
    counts = [rows * columns for _, rows, columns in shapes]
    if patches.ndim != 2 or len(patches) != sum(counts):
        raise CheckpointError(f"{FILE}: pixel_values {tuple(patches.shape)} must have {sum(counts)} rows")
    return [(image, (shape[1], shape[2])) for image, shape in zip(torch.split(patches, counts), shapes, strict=True)]


def _positions(config: ModelConfig, ids: Tensor, mask: Tensor, grids: list[Grid]) -> Tensor:
    """Positions of the padded batch, as the originals have them; takes each row's images off the list."""
    found = torch.full((3, *ids.shape), N17_PADDED_POSITION)
    left = list(grids)
    for row, real in enumerate(mask):
        tokens, own = ids[row, real], []
        missing = int((tokens == config.backbone.image_token).sum())
        while left and missing > 0:
            own.append(left.pop(0))
            missing -= token_count(config.backbone, own[-1])
        require_tokens(config.family, config.backbone, tokens.numpy(), own)
        if config.family is Family.N17:
            found[:, row, real] = positions(config.family, config.backbone, tokens, own)
    if left:
        raise CheckpointError(f"{FILE}: {len(left)} images have no tokens in any row")
    return found if config.family is Family.N17 else torch.arange(ids.shape[1]).expand(ids.shape)

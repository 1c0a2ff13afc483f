"""Random weights of a tiny checkpoint, and their safetensors files.

Numbers are made from the raw 64-bit words of a Philox generator for each tensor, keyed by seed and name, by operations
that IEEE 754 rounds exactly. So one seed gives the same bytes on every machine, in whatever order tensors are asked
for, and a tensor keeps its numbers when others come or go.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from groot_bench.models.config import ModelConfig
from groot_bench.models.family import Family
from groot_bench.models.model import Gr00t

# Scales of tensors that are no linear layer's weight, by the end of their names.
EMBEDDINGS = (
    "embed_tokens.weight",
    "position_embedding.weight",
    "pos_embed.weight",
    "future_tokens.weight",
    "mask_token",
    "head.probe",
)
EMBEDDING_STD = 0.5
NORM_STD = 0.2  # about 1
BIAS_STD = 0.1
# Of linear layers, whose numbers otherwise have the variance 1 / inputs:
GAINS = {
    "action_decoder.layer2.": 0.8,  # so that a velocity does not drown the noise that it is added to
    "timestep_embedder.": 2.0,  # so that the steps of denoising differ
    "attn1.to_q.": 2.0,  # so that attention picks tokens and does not only average them: one state beside many others
    "attn1.to_k.": 2.0,
}


class Stored(NamedTuple):
    """A tensor as it goes into a file: its type in the header, its shape, its bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


def tiny_weights(config: ModelConfig, seed: int) -> dict[str, Stored]:
    """All tensors that a released checkpoint of this configuration has, by name, sorted.

    float32; the backbone of N1.5 is bfloat16, as in fine-tuned checkpoints of that family. Tensors that are stored and
    never used are there as well: the output layer, equal to the embeddings, and the pooling head of SigLIP.
    """
    with torch.device("meta"):
        model = Gr00t(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.tensors().items()}
    shapes |= _pooling_head(config)
    arrays = {name: _draw(name, shape, seed) for name, shape in shapes.items()}
    arrays[_LM_HEAD[config.family]] = next(
        array for name, array in arrays.items() if name.endswith("embed_tokens.weight")
    )
    half = config.family is Family.N15
    return {name: _store(arrays[name], half and name.startswith("backbone.")) for name in sorted(arrays)}


def safetensors_bytes(tensors: Mapping[str, Stored]) -> bytes:
    """A safetensors file; tensors of wider types come first, so that all are aligned."""
    names = sorted(tensors, key=lambda name: (tensors[name].dtype != "F32", name))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        begin, end = end, end + len(tensors[name].data)
        tensor = tensors[name]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *(tensors[name].data for name in names)])


_LM_HEAD = {
    Family.N15: "backbone.eagle_model.language_model.lm_head.weight",
    Family.N16: "backbone.model.language_model.lm_head.weight",
    Family.N17: "backbone.model.lm_head.weight",
}
_TOWER = {
    Family.N15: "backbone.eagle_model.vision_model.vision_model.head.",
    Family.N16: "backbone.model.vision_model.vision_model.head.",
}


def _pooling_head(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of SigLIP's pooling head; Qwen3-VL has none."""
    if config.family is Family.N17:
        return {}
    width, inner = config.backbone.vision.width, config.backbone.vision.mlp
    shapes: dict[str, tuple[int, ...]] = {
        "probe": (1, 1, width),
        "attention.in_proj_weight": (3 * width, width),
        "attention.in_proj_bias": (3 * width,),
        "attention.out_proj.weight": (width, width),
        "attention.out_proj.bias": (width,),
        "layernorm.weight": (width,),
        "layernorm.bias": (width,),
        "mlp.fc1.weight": (inner, width),
        "mlp.fc1.bias": (inner,),
        "mlp.fc2.weight": (width, inner),
        "mlp.fc2.bias": (width,),
    }
    return {_TOWER[config.family] + name: shape for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """float32, spread evenly about 0, or about 1 for the weights of norms."""
    center, std = _scale(name, shape)
    key = hashlib.blake2b(json.dumps([seed, name]).encode(), digest_size=16, person=b"groot-tiny").digest()
    words = np.random.Philox(key=int.from_bytes(key, "little")).random_raw(math.prod(shape))
    fraction = (words >> np.uint64(11)) * 2.0**-53  # in [0, 1)
    return (center + std * math.sqrt(12.0) * (fraction - 0.5)).astype(np.float32).reshape(shape)


def _scale(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Mean and standard deviation of a tensor's numbers; a linear layer keeps the variance of what it reads."""
    if name.endswith(EMBEDDINGS):
        return 0.0, EMBEDDING_STD
    if name.endswith((".bias", ".b", "_bias")):
        return 0.0, BIAS_STD
    if len(shape) == 1:
        return 1.0, NORM_STD
    inputs = shape[1] if name.endswith(".W") else math.prod(shape[1:])
    gain = next((gain for part, gain in GAINS.items() if part in name), 1.0)
    return 0.0, gain / math.sqrt(inputs)


def _store(array: np.ndarray, half: bool) -> Stored:
    if not half:
        return Stored("F32", array.shape, array.astype("<f4").tobytes())
    # bfloat16 is the upper half of a float32; adding what makes its lower half carry rounds to nearest, ties to even.
    bits = array.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return Stored("BF16", array.shape, rounded.astype("<u2").tobytes())

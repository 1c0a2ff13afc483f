"""Sizes at which the models are measured, with random weights: the released ones, every width halved, or tiny.

No weights are downloaded. The sizes are those of the released configurations (`groot_bench.models.config` has the field
names); a tiny model is that of `groot-bench ckpt tiny`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from groot_bench.models import tiny_config
from groot_bench.models.backbone_config import RELEASED
from groot_bench.models.backbones.base import positions
from groot_bench.models.collate import Row
from groot_bench.models.config import ModelConfig, parse_config
from groot_bench.models.family import Family

SIZES = ("released", "half", "tiny")
MEANING = {
    "released": "the released sizes",
    "half": "every width halved (that of the vision-language features too), all layers kept",
    "tiny": "a tiny checkpoint's sizes",
}
LAYERS = {Family.N15: (12, 16, 4), Family.N16: (16, 32, 0), Family.N17: (16, 32, 4)}  # language, DiT, VL self-attention
PADDED = {Family.N15: (64, 32, 16), Family.N16: (128, 128, 50), Family.N17: (132, 132, 40)}  # state, action, horizon
# A camera of 256 x 256 px: the side that reaches the vision tower [px]; with 5 % cropped away, and in whole patches.
SIDES = {Family.N15: 224, Family.N16: 252, Family.N17: 256}
WORDS = {Family.N15: 45, Family.N16: 36, Family.N17: 20}  # tokens of a prompt besides those of images


def model_config(family: Family, size: str) -> ModelConfig:
    """The configuration of one of `SIZES`."""
    if size == "tiny":
        sizes = tiny_config.Sizes(*PADDED[family])
        return parse_config(tiny_config.config_json(family, sizes), tiny_config.backbone_json(family))
    divisor = {"released": 1, "half": 2}[size]
    return parse_config(_config(family, divisor), _backbone(family, divisor))


def image_tokens(family: Family, size: str = "released") -> int:
    """Tokens of one camera."""
    vision = model_config(family, size).backbone.vision
    return (SIDES[family] // vision.patch // vision.merge) ** 2 if size != "tiny" else 4


def fill(module: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights of a size that keeps numbers in bounds through many layers, drawn where the module lies."""
    draw: torch.Generator | None = None
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if draw is None:
                draw = torch.Generator(tensor.device).manual_seed(seed)
            if not tensor.is_floating_point():
                tensor.zero_()
            elif tensor.ndim == 1 and name.endswith("weight"):
                tensor.fill_(1.0)
            else:
                fan = tensor.shape[-2] if name.endswith(".W") else tensor.shape[-1]
                tensor.normal_(0.0, 0.5 / max(fan, 4) ** 0.5, generator=draw)
    return module.requires_grad_(False).eval()


def make_row(config: ModelConfig, random: np.random.Generator, words: int, cameras: int = 1, side: int = 256) -> Row:
    """A query with that many words and pictures of noise.

    Args:
        side: of a picture as it reaches the vision tower [px].
    """
    vision, body = config.backbone.vision, config.backbone
    across = side // vision.patch
    grid = (across, across)
    shape: tuple[int, ...] = (3, side, side)
    if config.family is Family.N17:
        shape = (across**2, 3 * vision.temporal * vision.patch**2)
    pictures = [torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for _ in range(cameras)]
    picture = [body.image_token] * (across // vision.merge) ** 2
    if config.family is Family.N17:
        picture = [body.vision_start, *picture]
    ids = np.array(picture * cameras + random.integers(10, 300, words).tolist(), np.int64)
    head = config.head
    return Row(
        ids,
        positions(config.family, body, ids, [grid] * cameras).numpy(),
        pictures,
        [grid] * cameras,
        random.uniform(-1, 1, (head.state_history, head.state_dim)).astype(np.float32),
        3,
        random.standard_normal((head.horizon, head.action_dim)).astype(np.float32),
    )


def _config(family: Family, divisor: int) -> dict[str, Any]:
    """The fields of config.json on which sizes depend."""
    kept, layers, stack = LAYERS[family]
    state, action, horizon = PADDED[family]
    features = 2048 // divisor
    dit = {
        "num_layers": layers,
        "num_attention_heads": 32 // divisor,
        "attention_head_dim": 48,
        "output_dim": 1024 // divisor,
        "interleave_self_attention": True,
        "positional_embeddings": None,
        "norm_type": "ada_norm",
        "dropout": 0.2,
    }
    head: dict[str, Any] = {
        "max_state_dim": state,
        "max_action_dim": action,
        "action_horizon": horizon,
        "hidden_size": 1024 // divisor,
        "input_embedding_dim": 1536 // divisor,
        "backbone_embedding_dim": features,
        "num_inference_timesteps": 4,
        "diffusion_model_cfg": dit,
    }
    if stack:
        heads = {"num_attention_heads": 32 // divisor, "attention_head_dim": 64, "positional_embeddings": None}
        head["vl_self_attention_cfg"] = {"num_layers": stack, **heads}
    if family is not Family.N15:
        return {"model_type": family.model_type, "select_layer": kept, "attend_text_every_n_blocks": 2, **head}
    head |= {"action_dim": action, "diffusion_model_cfg": {**dit, "cross_attention_dim": features}}
    return {"model_type": family.model_type, "action_head_cfg": head, "backbone_cfg": {"select_layer": kept}}


def _backbone(family: Family, divisor: int) -> dict[str, Any]:
    """The released sizes with widths and heads divided, and as wide heads as there are."""
    found = {**RELEASED[family]}
    divided = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "num_heads")
    for part in ("text_config", "vision_config"):
        sizes = found[part]
        found[part] = {
            name: value // divisor if name in (*divided, "out_hidden_size") else value for name, value in sizes.items()
        }
    return found

"""Small models with random weights, made in memory, for tests of what is computed."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor

from groot_bench.models.backbone_config import BackboneConfig, TextConfig, VisionConfig
from groot_bench.models.backbones.base import positions
from groot_bench.models.collate import Row
from groot_bench.models.config import HeadConfig, ModelConfig, TransformerConfig
from groot_bench.models.family import Family
from groot_bench.models.head import ActionHead
from groot_bench.models.inputs import Features
from groot_bench.models.model import Gr00t

WIDTH, FEATURES = 32, 48
IMAGE, START, END, VIDEO = 311, 312, 313, 314


def transformer(layers: int, **changes: object) -> TransformerConfig:
    base = TransformerConfig(layers, 4, WIDTH // 4, 24, FEATURES, True, 0.0, "gelu-approximate", True, 0)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def head_config(family: Family, **changes: object) -> HeadConfig:
    """A head like the family's released one, in small."""
    n15, n16 = family is Family.N15, family is Family.N16
    stack = TransformerConfig(2, 4, FEATURES // 4, 0, 0, False, 0.0, "gelu-approximate", True, 0)
    base = HeadConfig(
        action_dim=12,
        state_dim=14,
        horizon=7,
        state_history=1,
        hidden=24,
        width=WIDTH,
        features=FEATURES,
        embodiments=5,
        positions=16,
        dit=transformer(4 if n15 else 8),
        text_every=0 if n15 else 2,
        vl_norm=True,
        vl_attention=None if n16 else stack,
        future_tokens=3 if n15 else 0,
        steps=4,
        buckets=1000,
        beta_alpha=1.5,
        beta_beta=1.0,
        noise_s=0.999,
        state_dropout=0.0,
        state_noise=0.0,
        mask_token=False,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def backbone_config(family: Family) -> BackboneConfig:
    text = TextConfig(320, FEATURES, 2, 4, 2, 16, 72, 1e6, 1e-6, False, (4, 2, 2) if family is Family.N17 else ())
    if family is Family.N17:
        vision = VisionConfig(32, 3, 2, 40, 16, 64, 0, 2, 1e-6, temporal=2, out=FEATURES, deepstack=(0, 1))
        return BackboneConfig(text, vision, IMAGE, 0, False, 0, START, VIDEO)
    n15 = family is Family.N15
    vision = VisionConfig(32, 2, 2, 40, 14, 16, 56 if n15 else 0, 1 if n15 else 2, 1e-6)
    return BackboneConfig(text, vision, IMAGE, 1 if n15 else 2, not n15, 0)


def fill(module: torch.nn.Module, seed: int = 0) -> None:
    """Random weights: norms near one, everything else small and not zero."""
    random = np.random.default_rng(seed)
    state = {}
    for name, tensor in module.state_dict().items():
        values = random.standard_normal(tuple(tensor.shape)).astype(np.float32)
        fan = tensor.shape[-2] if name.endswith(".W") else tensor.shape[-1]
        is_norm = tensor.ndim == 1 and name.endswith("weight")
        state[name] = torch.from_numpy(1 + 0.1 * values if is_norm else values / max(fan, 4) ** 0.5)
    module.load_state_dict(state, assign=True)
    module.requires_grad_(False)
    module.eval()


def make_head(family: Family, seed: int = 0, **changes: object) -> ActionHead:
    with torch.device("meta"):
        head = ActionHead(family, head_config(family, **changes))
    fill(head, seed)
    return head


def make_model(family: Family, seed: int = 0, attn: str = "sdpa") -> Gr00t:
    with torch.device("meta"):
        model = Gr00t(ModelConfig(family, head_config(family), backbone_config(family)), attn)
    fill(model, seed)
    return model


def make_features(random: np.random.Generator, rows: int, length: int, real: list[int] | None = None) -> Features:
    """Random features; row b has `real[b]` tokens, on the right, of which those from place 2 to 5 are of an image."""
    hidden = torch.from_numpy(random.standard_normal((rows, length, FEATURES)).astype(np.float32))
    mask = torch.ones(rows, length, dtype=torch.bool)
    image = torch.zeros(rows, length, dtype=torch.bool)
    for row, count in enumerate(real or [length] * rows):
        mask[row, : length - count] = False
        image[row, length - count + 2 : length - count + 6] = True
    return Features(hidden, None if real is None else mask, image)


def make_row(model: Gr00t, random: np.random.Generator, words: int = 6, images: int = 1) -> Row:
    """A query with that many images and words around them."""
    config, family = model.config, model.config.family
    vision = config.backbone.vision
    grid = (4, 4)
    patches = grid[0] * grid[1]
    tokens = patches // vision.merge**2
    pictures: list[Tensor] = []
    for _ in range(images):
        shape = (patches, 3 * vision.temporal * vision.patch**2) if family is Family.N17 else (3, 56, 56)
        pictures.append(torch.from_numpy(random.standard_normal(shape).astype(np.float32)))
    picture = [START, *[IMAGE] * tokens, END]
    text = random.integers(10, 300, words).tolist()
    ids = np.array(text[:2] + picture * images + text[2:], np.int64)
    grids = [grid] * images
    where = positions(family, config.backbone, ids, grids).numpy()
    head = config.head
    state = random.standard_normal((1, head.state_dim)).astype(np.float32)
    noise = random.standard_normal((head.horizon, head.action_dim)).astype(np.float32)
    return Row(ids, where, pictures, grids, state, int(random.integers(head.embodiments)), noise)

"""The SigLIP vision tower of N1.5 (images of one size) and N1.6 (SigLIP 2, images of their own size)."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers import SiglipVisionConfig
from transformers.models.siglip.modeling_siglip import SiglipEncoderLayer

from groot_bench.errors import SpecMismatch
from groot_bench.models.backbone_config import VisionConfig
from groot_bench.models.backbones.attention_hook import attention_name
from groot_bench.models.backbones.grids import CHANNELS, Grid


class PatchEmbeddings(nn.Module):
    """Patches -> hidden states, with a learned position for each.

    Args:
        resized: whether the table of positions is a square picture that is resized to the image's grid (N1.6, where the
            patch layer is stored as a linear one); otherwise each patch has a row (N1.5, stored as a convolution).
    """

    def __init__(self, config: VisionConfig, resized: bool) -> None:
        super().__init__()
        self.resized = resized
        size = config.patch
        self.patch_embedding: nn.Module = (
            nn.Linear(CHANNELS * size * size, config.width)
            if resized
            else nn.Conv2d(CHANNELS, config.width, kernel_size=size, stride=size)
        )
        self.position_embedding = nn.Embedding(config.positions, config.width)

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """(n, patches, numbers of a patch) -> (n, patches, D)."""
        weight, bias = self.patch_embedding.get_parameter("weight"), self.patch_embedding.get_parameter("bias")
        return functional.linear(patches.to(weight.dtype), weight.flatten(1), bias) + self._positions(grid)

    def _positions(self, grid: Grid) -> Tensor:
        """(patches, D) for a grid."""
        table = self.position_embedding.weight
        if not self.resized:
            if grid[0] * grid[1] != len(table):
                raise SpecMismatch(f"expected images of {len(table)} patches, got {grid[0]} x {grid[1]}")
            return table
        side = math.isqrt(len(table))
        # float32, because antialiasing has no other type on every device; the originals do so on the CPU.
        picture = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        resized = functional.interpolate(picture, size=grid, mode="bilinear", align_corners=False, antialias=True)
        return resized[0].flatten(1).transpose(0, 1).to(table.dtype)


class SiglipTower(nn.Module):
    """Embeddings, encoder layers and a norm; the pooling head of the stored model is not part of it."""

    def __init__(self, config: VisionConfig, attn: str, resized: bool) -> None:
        super().__init__()
        sizes: dict[str, Any] = {
            "hidden_size": config.width,
            "intermediate_size": config.mlp,
            "num_attention_heads": config.heads,
            "layer_norm_eps": config.norm_eps,
            "attn_implementation": attention_name(attn),
        }
        layout = SiglipVisionConfig(**sizes)
        self.embeddings = PatchEmbeddings(config, resized)
        layers = nn.ModuleList(SiglipEncoderLayer(layout) for _ in range(config.layers))
        self.encoder = nn.ModuleDict({"layers": layers})  # the stored names are encoder.layers.0...
        self.post_layernorm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, patches: Tensor, grid: Grid) -> Tensor:
        """(n, patches, numbers of a patch) of images of one grid -> (n, patches, D)."""
        hidden = self.embeddings(patches, grid)
        for layer in self.encoder["layers"].children():
            hidden = layer(hidden, None)
        return self.post_layernorm(hidden)


# The pooling head, which both families store and neither uses; names relative to the tower.
POOLING_HEAD = frozenset(
    f"head.{name}"
    for name in (
        "probe",
        "attention.in_proj_weight",
        "attention.in_proj_bias",
        "attention.out_proj.weight",
        "attention.out_proj.bias",
        "layernorm.weight",
        "layernorm.bias",
        "mlp.fc1.weight",
        "mlp.fc1.bias",
        "mlp.fc2.weight",
        "mlp.fc2.bias",
    )
)

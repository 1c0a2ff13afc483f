"""Qwen3-VL's vision tower (N1.7), with images as a batch instead of one packed sequence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionPatchMerger

from groot_bench.errors import CheckpointError
from groot_bench.models.attention import attend
from groot_bench.models.backbone_config import VisionConfig
from groot_bench.models.backbones.grids import CHANNELS, Grid, block_places, require_merge
from groot_bench.models.backbones.rotary import rotate, vision_rotary

Rotary = tuple[Tensor, Tensor]


class VisionAttention(nn.Module):
    """Self-attention within each image; transformers' own splits a packed sequence by lengths that it must wait for."""

    def __init__(self, config: VisionConfig, attn: str) -> None:
        super().__init__()
        self.heads, self.kind = config.heads, attn
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, rotary: Rotary) -> Tensor:
        """(n, patches, D) -> (n, patches, D)."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        out = attend(rotate(query, *rotary), rotate(key, *rotary), value, kind=self.kind)
        return self.proj(out.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """D -> wider -> D."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = nn.Linear(config.width, config.mlp)
        self.linear_fc2 = nn.Linear(config.mlp, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_fc2(functional.gelu(self.linear_fc1(x), approximate="tanh"))


class VisionBlock(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a residual."""

    def __init__(self, config: VisionConfig, attn: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attn = VisionAttention(config, attn)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, rotary: Rotary) -> Tensor:
        x = x + self.attn(self.norm1(x), rotary)
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    """The patch layer, stored as a 3D convolution. Since a patch is all that it sees, it is one matrix product; the
    convolution kernel that CUDA picks for bfloat16 is far slower."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size = (config.temporal, config.patch, config.patch)
        self.proj = nn.Conv3d(CHANNELS, config.width, kernel_size=size, stride=size)

    def forward(self, patches: Tensor) -> Tensor:
        weight = self.proj.weight
        return functional.linear(patches.to(weight.dtype), weight.flatten(1), self.proj.bias)


class QwenVisionTower(nn.Module):
    """Patches -> features for the language model, from the last block and from some before it (DeepStack).

    Raises:
        CheckpointError: heads of a width that two-dimensional rotary positions cannot turn.
    """

    def __init__(self, config: VisionConfig, attn: str) -> None:
        super().__init__()
        if config.width // config.heads % 4:
            raise CheckpointError(f"the vision tower's heads are {config.width // config.heads} wide, not 4 n")
        self.config = config
        layout = Qwen3VLVisionConfig(
            hidden_size=config.width, spatial_merge_size=config.merge, out_hidden_size=config.out
        )
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(VisionBlock(config, attn) for _ in range(config.layers))
        self.merger = Qwen3VLVisionPatchMerger(layout)
        self.deepstack_merger_list = nn.ModuleList(
            Qwen3VLVisionPatchMerger(layout, use_postshuffle_norm=True) for _ in config.deepstack
        )

    def forward(self, patches: Tensor, grid: Grid) -> list[Tensor]:
        """Images of one grid.

        Args:
            patches: (n, patches, numbers of a patch), ordered block by block.

        Returns:
            The last hidden state (n, patches, D); the image tokens (n, patches / merge^2, X); the DeepStack features of
            the same shape, in the order of the blocks that they come from.
        """
        config = self.config
        require_merge(grid, config.merge)
        x = self.patch_embed(patches)
        x = x + self._positions(grid).to(x.dtype)
        rotary = vision_rotary(grid, config.merge, config.width // config.heads, x.device)
        deepstack = []
        for index, block in enumerate(self.blocks):
            x = block(x, rotary)
            if index in config.deepstack:
                deepstack.append(self._merge(self.deepstack_merger_list[config.deepstack.index(index)], x))
        return [x, self._merge(self.merger, x), *deepstack]

    def _merge(self, merger: nn.Module, x: Tensor) -> Tensor:
        return merger(x.contiguous()).unflatten(0, (len(x), -1))

    def _positions(self, grid: Grid) -> Tensor:
        """(patches, D): the square table of positions, read off bilinearly at the grid's points, corners on corners."""
        side = math.isqrt(self.config.positions)
        device = self.pos_embed.weight.device
        places = block_places(grid, self.config.merge, device)
        (top, bottom, down), (left, right, across) = (
            _between(place, size, side) for place, size in zip(places, grid, strict=True)
        )
        index = torch.stack([top * side + left, top * side + right, bottom * side + left, bottom * side + right], dim=1)
        weight = torch.stack(
            [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across], dim=1
        )
        return (self.pos_embed(index) * weight.unsqueeze(-1)).sum(dim=1)


def _between(place: Tensor, size: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two neighboring entries of an axis of `side` between which `place` of 0..size-1 lies, and how far along."""
    at = place.float() * (side - 1) / max(size - 1, 1)
    low = at.floor()
    return low.long(), (low.long() + 1).clamp(max=side - 1), at - low

"""Rotary position embeddings: angles from positions, always in float32, whatever type the model has.

Nothing is kept between calls: a table that is not stored would be lost when a model is built without memory and then
given its weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from groot_bench.models.backbones.grids import Grid, block_places

VISION_THETA = 10000.0  # Qwen3-VL's vision tower has no setting for it


def frequencies(count: int, theta: float, device: torch.device) -> Tensor:
    """float32 (count,): theta ^ -(i / count)."""
    return 1.0 / theta ** (torch.arange(count, dtype=torch.float32, device=device) / count)


def text_rotary(
    positions: Tensor, head_dim: int, theta: float, section: tuple[int, ...], dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, L, head_dim) for a language model.

    Args:
        positions: int64 (B, L); with a section (3, B, L): time, height, width.
        section: of Qwen3-VL: frequency i takes its position from the axis i % 3, as long as i < 3 * section[i % 3], and
            otherwise from time; empty for plain positions.
        dtype: of the result.
    """
    rates = frequencies(head_dim // 2, theta, positions.device)
    angles = positions.unsqueeze(-1).float() * rates
    if section:
        index = torch.arange(head_dim // 2, device=positions.device)
        time, height, width = angles.unbind(0)
        angles = torch.where((index % 3 == 1) & (index < 3 * section[1]), height, time)
        angles = torch.where((index % 3 == 2) & (index < 3 * section[2]), width, angles)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def vision_rotary(grid: Grid, merge: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines, float32 (patches, head_dim), for the patches of an image in the order of merge blocks.

    The first half of the frequencies turns with the row, the second with the column.
    """
    rates = frequencies(head_dim // 4, VISION_THETA, device)
    rows, columns = block_places(grid, merge, device)
    angles = torch.cat([rows.unsqueeze(-1) * rates, columns.unsqueeze(-1) * rates], dim=-1)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns (..., patches, head_dim) in float32 and returns it in its own type."""
    wide = x.float()
    first, second = wide.chunk(2, dim=-1)
    return (wide * cosines + torch.cat([-second, first], dim=-1) * sines).to(x.dtype)

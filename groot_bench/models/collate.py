"""Rows, each a query of one episode, as one batch of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groot_bench.models.config import ModelConfig
from groot_bench.models.family import Family
from groot_bench.models.head import TokenSets
from groot_bench.models.inputs import BackboneInputs
from groot_bench.models.tokens import TokenSet, pick

N17_PADDED_POSITION = 1  # what transformers gives padded tokens of Qwen3-VL; they are seen by no real token


@dataclass(frozen=True)
class Row:
    """One query, ready for the model, on the CPU.

    Attributes:
        ids: int64 (L,), token ids without padding.
        positions: int64 (L,), or (3, L) for N1.7.
        images, grids: as in `BackboneInputs`.
        state: float32 (history, S), normalized and padded to the model's width.
        slot: row of the per-embodiment tables.
        noise: float32 (T, A), standard normal.
    """

    ids: np.ndarray
    positions: np.ndarray
    images: Sequence[Tensor]
    grids: Sequence[tuple[int, int]]
    state: np.ndarray
    slot: int
    noise: np.ndarray

    @property
    def shape(self) -> tuple[object, ...]:
        """What rows of one batch share, apart from their length."""
        return tuple(self.grids), tuple(tuple(image.shape) for image in self.images)


class Batch(NamedTuple):
    """Arguments of one forward pass.

    Attributes:
        mask: bool (B, L), True for real tokens; None where all are.
        image_mask: bool (B, L).
        sets: what cross-attention looks at.
        state: (B, history, S). slots: int64 (B,). noise: (B, T, A).
    """

    inputs: BackboneInputs
    mask: Tensor | None
    image_mask: Tensor
    sets: TokenSets
    state: Tensor
    slots: Tensor
    noise: Tensor


def collate(
    config: ModelConfig, rows: Sequence[Row], length: int, pad: int, *, left: bool = False, fixed: bool = False
) -> Batch:
    """Rows padded to one length, on the CPU in float32.

    Args:
        length: tokens of every row; at least the longest row's.
        pad: token id of padding.
        left: whether padding stands on the left, as in the originals, and is attended to where they do so.
        fixed: whether masks and index lists have sizes that follow from the length and the images alone, so that no
            row's computation depends on how long its neighbors are.
    """
    padded = fixed or any(len(row.ids) < length for row in rows)
    ids = torch.full((len(rows), length), pad, dtype=torch.int64)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    positions = _positions(config.family, rows, length, left)
    for place, row in enumerate(rows):
        where = slice(length - len(row.ids), length) if left else slice(0, len(row.ids))
        ids[place, where] = torch.from_numpy(row.ids)
        mask[place, where] = True
    image_mask = (ids == config.backbone.image_token) & mask
    inputs = BackboneInputs(
        ids,
        positions,
        mask if padded and left else None,
        [image for row in rows for image in row.images],
        [grid for row in rows for grid in row.grids],
    )
    return Batch(
        inputs,
        mask if padded else None,
        image_mask,
        _sets(config, mask, image_mask, everything=left or not padded, fixed=fixed),
        torch.from_numpy(np.stack([row.state for row in rows])),
        torch.tensor([row.slot for row in rows]),
        torch.from_numpy(np.stack([row.noise for row in rows])),
    )


def to_device(batch: Batch, device: torch.device, dtype: torch.dtype) -> Batch:
    """The batch on that device, its floating-point tensors in that type."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None, non_blocking=True)

    def maybe(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else move(tensor)

    inputs = batch.inputs
    return Batch(
        BackboneInputs(
            move(inputs.ids),
            move(inputs.positions),
            maybe(inputs.mask),
            [move(image) for image in inputs.images],
            inputs.grids,
        ),
        maybe(batch.mask),
        move(batch.image_mask),
        TokenSets(*(TokenSet(maybe(kind.places), maybe(kind.mask)) for kind in batch.sets)),
        move(batch.state),
        move(batch.slots),
        move(batch.noise),
    )


def _sets(config: ModelConfig, mask: Tensor, image_mask: Tensor, *, everything: bool, fixed: bool) -> TokenSets:
    """What cross-attention looks at; a plain DiT sees `everything` where the originals' padding is wanted."""
    if not config.head.text_every:
        tokens = TokenSet(None, None if everything else mask)
        return TokenSets(tokens, tokens)
    if not fixed:
        return TokenSets(pick(~image_mask & mask), pick(image_mask))
    images = int(image_mask[0].sum())  # rows of one batch have the same images
    return TokenSets(pick(~image_mask & mask, mask.shape[1] - images), TokenSet(pick(image_mask, images).places, None))


def _positions(family: Family, rows: Sequence[Row], length: int, left: bool) -> Tensor:
    """Positions of padded rows: padding on the right goes on counting; on the left it is as in the originals, where
    N1.5 and N1.6 count it and N1.7 does not."""
    shape = (len(rows), length)
    if family is not Family.N17:
        return torch.arange(length).expand(shape).contiguous()
    positions = torch.full((3, *shape), N17_PADDED_POSITION, dtype=torch.int64)
    for place, row in enumerate(rows):
        where = slice(length - len(row.ids), length) if left else slice(0, len(row.ids))
        positions[:, place, where] = torch.from_numpy(row.positions)
    return positions

"""Where images stand in a prompt: how many tokens they have, and which positions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from groot_bench.errors import SpecMismatch
from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.grids import Grid, require_merge
from groot_bench.models.family import Family


def token_count(config: BackboneConfig, grid: Grid) -> int:
    """Image tokens of an image of that grid.

    Raises:
        SpecMismatch: the grid cannot be merged.
    """
    merge = config.vision.merge
    require_merge(grid, merge)
    return (grid[0] // merge) * (grid[1] // merge)


def require_tokens(family: Family, config: BackboneConfig, ids: np.ndarray, grids: Sequence[Grid]) -> None:
    """Checks that a prompt has the tokens that its images need.

    Args:
        ids: whole numbers (L,), one unpadded row.
        grids: of its images, in order.

    Raises:
        SpecMismatch: ids outside the vocabulary, more or fewer image tokens than image features; for N1.7 also video
            tokens, and an image whose tokens are interrupted, since positions follow from them.
    """
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise SpecMismatch(f"expected token ids as whole numbers (L,), got {ids.dtype} {ids.shape}")
    if len(ids) and not 0 <= ids.min() <= ids.max() < config.text.vocabulary:
        raise SpecMismatch(
            f"token ids must be in 0..{config.text.vocabulary - 1}, got {ids.min()}..{ids.max()}: the tokenizer does "
            "not belong to this model"
        )
    wanted = sum(token_count(config, grid) for grid in grids)
    found = int((ids == config.image_token).sum())
    if wanted != found:
        sizes = ", ".join(f"{rows} x {columns}" for rows, columns in grids) or "none"
        raise SpecMismatch(
            f"{len(grids)} images (patches: {sizes}) need {wanted} image tokens, but the prompt has {found}; it must "
            "be made for the images that come with it"
        )
    if family is Family.N17:
        if bool((ids == config.video_token).any()):
            raise SpecMismatch(f"the prompt has video tokens (id {config.video_token}), but only images are supported")
        list(_image_starts(config, ids, grids))


def positions(family: Family, config: BackboneConfig, ids: np.ndarray | Tensor, grids: Sequence[Grid]) -> Tensor:
    """Rotary positions of one unpadded row.

    N1.5 and N1.6 count tokens. In N1.7 (Qwen3-VL) text counts on all three axes; an image that begins at position p has
    time p, height p + row and width p + column of its merged grid, and text goes on after the larger of its sides.

    Args:
        ids: (L,). grids: of its images, in order.

    Returns:
        int64 (L,), or (3, L) for N1.7: time, height, width.

    Raises:
        SpecMismatch: the image tokens do not fit the grids (N1.7).
    """
    if family is not Family.N17:
        return torch.arange(len(ids))
    found = np.empty((3, len(ids)), np.int64)
    done, following = 0, 0  # tokens that have positions; the next position
    for start, grid in _image_starts(config, np.asarray(ids), grids):
        text = start - done
        found[:, done:start] = following + np.arange(text)
        following += text
        rows, columns = grid[0] // config.vision.merge, grid[1] // config.vision.merge
        done = start + rows * columns
        found[0, start:done] = following
        found[1, start:done] = following + np.repeat(np.arange(rows), columns)
        found[2, start:done] = following + np.tile(np.arange(columns), rows)
        following += max(rows, columns)
    found[:, done:] = following + np.arange(len(ids) - done)
    return torch.from_numpy(found)


def _image_starts(config: BackboneConfig, ids: np.ndarray, grids: Sequence[Grid]) -> Iterator[tuple[int, Grid]]:
    """Where each image's run of tokens begins; raises SpecMismatch where it is too short or some are left over."""
    places = np.flatnonzero(ids == config.image_token)
    used = 0
    for index, grid in enumerate(grids):
        count = token_count(config, grid)
        run = places[used : used + count]
        if len(run) < count or run[-1] - run[0] != count - 1:
            raise SpecMismatch(
                f"image {index} of {grid[0]} x {grid[1]} patches needs {count} image tokens in a row, which the prompt "
                f"does not have"
            )
        used += count
        yield int(run[0]), grid
    if used != len(places):
        raise SpecMismatch(f"the prompt has {len(places)} image tokens, but its images need {used}")

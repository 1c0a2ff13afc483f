"""Images as patches: cutting, the order of patches, and encoding images of one size together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from groot_bench.errors import SpecMismatch

Grid = tuple[int, int]  # height and width of an image in patches
CHANNELS = 3


def cut(image: Tensor, grid: Grid, patch: int, *, channels_last: bool) -> Tensor:
    """An image (3, h, w) as patches (rows x columns, 3 x patch x patch), row by row; pixels beyond the last whole patch
    are left out, as a convolution does.

    Args:
        channels_last: whether the numbers of a patch are ordered (y, x, channel) instead of (channel, y, x).

    Raises:
        SpecMismatch: the image does not have this grid.
    """
    rows, columns = grid
    if image.ndim != 3 or len(image) != CHANNELS or (image.shape[1] // patch, image.shape[2] // patch) != tuple(grid):
        raise SpecMismatch(
            f"expected an image (3, height, width) of {rows} x {columns} patches of {patch} px, "
            f"got {tuple(image.shape)}"
        )
    whole = image[:, : rows * patch, : columns * patch].reshape(CHANNELS, rows, patch, columns, patch)
    return whole.permute(1, 3, 2, 4, 0) if channels_last else whole.permute(1, 3, 0, 2, 4)


def merge_patches(x: Tensor, grid: Grid, merge: int, *, channels_first: bool) -> Tensor:
    """Joins blocks of merge x merge patches: (n, patches, D) -> (n, patches / merge^2, merge^2 D), blocks row by row.

    Args:
        channels_first: whether the numbers of a block are ordered (channel, row, column), as pixel_unshuffle of torch
            does, instead of (row, column, channel).
    """
    require_merge(grid, merge)
    blocks = x.reshape(len(x), grid[0] // merge, merge, grid[1] // merge, merge, -1)
    order = (0, 1, 3, 5, 2, 4) if channels_first else (0, 1, 3, 2, 4, 5)
    return blocks.permute(order).reshape(len(x), -1, merge * merge * x.shape[-1])


def require_merge(grid: Grid, merge: int) -> None:
    """Raises SpecMismatch unless blocks of merge x merge patches fill the grid."""
    if min(grid) < 1 or grid[0] % merge or grid[1] % merge:
        raise SpecMismatch(
            f"an image of {grid[0]} x {grid[1]} patches cannot be merged in blocks of {merge} x {merge}: its height "
            f"and width must be multiples of {merge} patches"
        )


def block_places(grid: Grid, merge: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column, int64 (patches,) each, of patches that are ordered block by block, in each block row by row."""
    rows, columns = (torch.arange(size, device=device) for size in grid)
    blocks = (grid[0] // merge, merge, grid[1] // merge, merge)
    row = rows.unsqueeze(1).expand(*grid).reshape(blocks).transpose(1, 2).reshape(-1)
    column = columns.unsqueeze(0).expand(*grid).reshape(blocks).transpose(1, 2).reshape(-1)
    return row, column


def encode_by_grid(
    patches: Sequence[Tensor], grids: Sequence[Grid], encode: Callable[[Tensor, Grid], Sequence[Tensor]]
) -> list[list[Tensor]]:
    """Encodes images of one grid together, each as a sequence of its own, so that none sees another.

    Args:
        patches: of each image, (patches, K).
        encode: (n, patches, K) and their grid -> tensors (n, ...).

    Returns:
        For each tensor of `encode` the entries of all images, in the order of the images.
    """
    places: dict[Grid, list[int]] = {}
    for place, grid in enumerate(grids):
        places.setdefault((grid[0], grid[1]), []).append(place)
    found: dict[int, list[Tensor]] = {}
    for grid, those in places.items():
        encoded = encode(torch.stack([patches[place] for place in those]), grid)
        for row, place in enumerate(those):
            found[place] = [tensor[row] for tensor in encoded]
    return [list(entries) for entries in zip(*(found[place] for place in range(len(grids))), strict=True)]

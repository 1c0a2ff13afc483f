"""What goes into a model and between its halves, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class BackboneInputs:
    """A batch of prompts with their images.

    Attributes:
        ids: int64 (B, L), token ids; each image stands as a run of image tokens.
        positions: int64 (B, L), or (3, B, L) for N1.7 (time, height, width).
        mask: bool (B, L), True for real tokens; None where all are, or where padding stands on the right, from which
            causality alone keeps the real tokens.
        images: in the order in which their tokens appear, row by row. N1.5 and N1.6: float (3, h, w) each, N1.7: float
            (patches, channels x temporal x patch x patch).
        grids: the (height, width) of each image in patches.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor | None
    images: Sequence[Tensor]
    grids: Sequence[tuple[int, int]]


class Features(NamedTuple):
    """What the backbone hands to the action head.

    Attributes:
        hidden: (B, L, X).
        mask: bool (B, L), True for real tokens; None where all are.
        image_mask: bool (B, L), True for image tokens.
    """

    hidden: Tensor
    mask: Tensor | None
    image_mask: Tensor

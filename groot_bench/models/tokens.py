"""Which tokens of a batch attention may look at, as index lists of one length for all rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class TokenSet(NamedTuple):
    """Some tokens of each row.

    Attributes:
        places: int64 (B, N), where in the row they stand; shorter rows are filled up with place 0. None for all
            tokens in order.
        mask: bool (B, N), False for fillers; None where there are none.
    """

    places: Tensor | None
    mask: Tensor | None

    def take(self, hidden: Tensor) -> Tensor:
        """(B, L, X) -> (B, N, X)."""
        if self.places is None:
            return hidden
        return hidden.gather(1, self.places.unsqueeze(-1).expand(-1, -1, hidden.shape[-1]))


def pick(wanted: Tensor, count: int | None = None) -> TokenSet:
    """The tokens that are True in bool (B, L), in their order.

    Args:
        count: N, at least the most that any row has; the result always has a mask then, so that a row's computation
            does not depend on its neighbors. None for the most that any row has, for which a GPU waits.
    """
    counts = wanted.sum(dim=1)
    most = max(1, int(counts.max())) if count is None else count  # none has no shape; what looks nowhere is masked
    places = torch.argsort((~wanted).to(torch.int8), dim=1, stable=True)[:, :most]
    mask = torch.arange(most, device=wanted.device).unsqueeze(0) < counts.unsqueeze(1)
    if count is None and bool(mask.all()):
        return TokenSet(places, None)
    return TokenSet(torch.where(mask, places, 0), mask)

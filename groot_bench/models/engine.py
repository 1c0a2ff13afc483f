"""Runs a model on rows in a layout in which no row can depend on another.

On a CPU every row is computed by itself at its own length: nothing is gained by more, since one row's matrix products
fill the processor, and equality is exact by construction. On a GPU rows are padded to a length that follows from
their own length alone, and run in batches of one fixed size, filled up with copies; all attention to padding is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from groot_bench.errors import CheckpointError, UnknownName
from groot_bench.models.collate import Batch, Row, collate, to_device
from groot_bench.models.inputs import Features
from groot_bench.models.model import Gr00t
from groot_bench.models.packed import can_pack, pack
from groot_bench.models.sampler import Sampler

BUCKET = 64  # tokens; a prompt of L tokens is padded to the next multiple
SHAPES = 64  # lengths and pictures that may be compiled; torch's own limit is 8
LAYOUTS = ("single", "bucketed", "upstream")


class RowCheck(NamedTuple):
    """Whether rows are independent of their neighbors on this device.

    Attributes:
        equal: whether every row's bits are the same alone and in every company that was tried.
        difference: the largest absolute difference, in normalized units.
    """

    equal: bool
    difference: float


class Engine:
    """One model on one device.

    Args:
        model: with weights, on `device` and of `dtype`. It belongs to the engine from now on, which may `pack` its
            head.
        pad: token id of padding.
        steps: denoising steps; None for the checkpoint's number.
        batch_size: rows of a forward pass in the layout "bucketed".
        layout: "single", "bucketed", or "upstream": all rows at once, padded on the left to the longest, with attention
            to padding where the originals have it; then rows do depend on each other.
        compiled: whether to run through torch.compile, on CUDA with graphs.

    Attributes:
        packed: whether the head is packed, for it rounds differently then.
    """

    def __init__(
        self,
        model: Gr00t,
        *,
        pad: int,
        steps: int | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 1,
        layout: str = "single",
        compiled: bool = False,
    ) -> None:
        if layout not in LAYOUTS:
            raise UnknownName("layout", layout, LAYOUTS)
        self.model, self.layout, self.batch_size = model.eval(), layout, batch_size
        self._pad, self._dtype = pad, dtype
        self._device = device or torch.device("cpu")
        self.sampler = Sampler(model.action_head, steps)
        self.sampler.prepare()
        self.packed = can_pack(model.action_head) and not compiled
        if self.packed:
            pack(model.action_head)
        self._forward: Callable[[Batch], Tensor] = self._compute
        if compiled:
            # Past its limit torch goes on without compiling and says nothing: a row would round as the shapes before it
            # decide.
            torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, SHAPES)
            mode = "reduce-overhead" if self._device.type == "cuda" else "default"
            self._forward = torch.compile(self._compute, dynamic=False, fullgraph=True, mode=mode)

    def run(self, rows: Sequence[Row]) -> np.ndarray:
        """Normalized actions float32 (len(rows), T, A), row by row."""
        config = self.model.config.head
        out = np.empty((len(rows), config.horizon, config.action_dim), np.float32)
        for places, length in self._plan(rows):
            batch = [rows[place] for place in places]
            fill = self.batch_size - len(batch) if self.layout == "bucketed" else 0
            out[places] = self._run([*batch, *batch[:1] * fill], length)[: len(places)]
        return out

    def check(self, rows: Sequence[Row]) -> RowCheck:
        """Computes these rows alone, and together in the opposite order, so that most change their place.

        Raises:
            CheckpointError: the model returns numbers that are not finite.
        """
        alone = np.concatenate([self.run([row]) for row in rows])
        if not np.isfinite(alone).all():
            raise CheckpointError(
                "the model returns numbers that are not finite on made-up queries: its weights are unusable in "
                f"{str(self._dtype).removeprefix('torch.')}"
            )
        together = self.run(rows[::-1])[::-1]
        return RowCheck(np.array_equal(alone, together), float(np.abs(alone - together).max()))

    def _plan(self, rows: Sequence[Row]) -> list[tuple[list[int], int]]:
        """Which rows run together, and at which length."""
        if self.layout == "single":
            return [([place], len(row.ids)) for place, row in enumerate(rows)]
        if self.layout == "upstream":
            return [(list(range(len(rows))), max(len(row.ids) for row in rows))]
        groups: dict[object, list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault((bucket(len(row.ids)), row.shape), []).append(place)
        size = self.batch_size
        return [
            (places[start : start + size], bucket(len(rows[places[0]].ids)))
            for places in groups.values()
            for start in range(0, len(places), size)
        ]

    def _run(self, rows: Sequence[Row], length: int) -> np.ndarray:
        layout = {"left": self.layout == "upstream", "fixed": self.layout == "bucketed"}
        batch = collate(self.model.config, rows, length, self._pad, **layout)
        with torch.inference_mode():
            out = self._forward(to_device(batch, self._device, self._dtype))
        return out.float().cpu().numpy()

    def _compute(self, batch: Batch) -> Tensor:
        hidden = self.model.backbone(batch.inputs).hidden
        return self.sampler(
            Features(hidden, batch.mask, batch.image_mask),
            batch.state,
            batch.slots,
            batch.noise,
            sets=batch.sets,
            upstream_padding=self.layout == "upstream",
        )


def bucket(length: int) -> int:
    """The padded length of a prompt, which follows from its own length alone."""
    return -(-length // BUCKET) * BUCKET

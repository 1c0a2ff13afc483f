"""Where the arrays of one slot lie in the memory that it shares with its environment process."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from groot_bench.spec import Spec

ALIGNMENT = 64  # bytes; a cache line, so that no two arrays share one

Place = tuple[str, str, tuple[int, ...], int]  # name, dtype, shape, offset [bytes]


@dataclass(frozen=True)
class Layout:
    """Places of three groups of arrays.

    Attributes:
        observed: what the next query reads, one array each.
        traced: what is kept of every control step, (k, *shape) each.
        actions: the chunk to execute, (k, D) each.
        size: bytes in all.
    """

    observed: tuple[Place, ...]
    traced: tuple[Place, ...]
    actions: tuple[Place, ...]
    size: int

    @classmethod
    def of(cls, observed: Spec, traced: Spec, actions: Spec, chunk: int) -> Layout:
        """Lays out these arrays for chunks of up to `chunk` (k) control steps; text takes no place."""
        offset = 0
        groups = []
        for spec, steps in ((observed, None), (traced, chunk), (actions, chunk)):
            places: list[Place] = []
            for name, array in spec.items():
                if array.is_text:
                    continue
                shape = array.shape if steps is None else (steps, *array.shape)
                places.append((name, array.dtype, tuple(int(size or 0) for size in shape), offset))
                bytes_needed = array.nbytes * (steps or 1)
                offset += -(-bytes_needed // ALIGNMENT) * ALIGNMENT
            groups.append(tuple(places))
        return cls(groups[0], groups[1], groups[2], max(offset, ALIGNMENT))

    def views(self, memory: mmap.mmap, places: tuple[Place, ...]) -> Mapping[str, np.ndarray]:
        """The arrays at these places, sharing the memory."""
        return {
            name: np.frombuffer(memory, dtype, int(np.prod(shape, dtype=np.int64)), offset).reshape(shape)
            for name, dtype, shape, offset in places
        }

"""Observations of several slots as one batch, and the chunks that come back, checked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np

from groot_bench.errors import PolicyError
from groot_bench.policy import Action, Interface, Observation


class BatchMemory:
    """Where batches are put together.

    Fresh memory for every batch would cost more than the copying itself (page faults), so a batch's memory is used
    again for the next one, unless the policy kept a reference to its arrays: then that memory is theirs.
    """

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, tuple[int, ...], str], np.ndarray] = {}

    def take(self, name: str, rows: int, first: np.ndarray) -> np.ndarray:
        """Memory for `rows` rows like `first`, uninitialized."""
        key = (name, first.shape, first.dtype.str)
        array = self._arrays.pop(key, None)
        # Two references mean that nobody else has one: the local variable, and the argument of getrefcount itself.
        if array is None or len(array) < rows or sys.getrefcount(array) > 2:
            array = np.empty((rows, *first.shape), first.dtype)
        self._arrays[key] = array
        return array[:rows]


def stack(
    interface: Interface,
    observed: Sequence[Mapping[str, np.ndarray]],
    instructions: Sequence[str],
    rows: int | None,
    memory: BatchMemory,
) -> Observation:
    """One read-only batch.

    Args:
        interface: what the policy reads.
        observed: for each real row, name -> array as in the interface.
        instructions: for each real row.
        rows: rows of the batch; those beyond the real ones repeat row 0, so that padding is ordinary data. None: as
            many as are real.
        memory: where to put it.

    Returns:
        name -> (rows, *shape), or a list of strings.
    """
    count = len(observed)
    total = count if rows is None else rows
    batch: dict[str, np.ndarray | Sequence[str]] = {}
    for name, spec in interface.observation.items():
        if spec.is_text:
            batch[name] = [*instructions, *[instructions[0]] * (total - count)]
            continue
        first = observed[0][name]
        array = memory.take(name, total, first)
        for row, arrays in enumerate(observed):
            array[row] = arrays[name]
        if total > count:
            array[count:] = first
        array.flags.writeable = False
        batch[name] = array
    return batch


def check_action(action: Action, interface: Interface, count: int, rows: int | None, policy: str) -> None:
    """Raises PolicyError unless `action` has the interface's arrays, float32 (rows or count, H, D)."""
    if not isinstance(action, Mapping) or set(action) != set(interface.action):
        got = ", ".join(sorted(map(str, action))) if isinstance(action, Mapping) else type(action).__name__
        raise PolicyError(f"policy {policy!r} returned {got or 'nothing'}; expected {', '.join(interface.action)}")
    for name, spec in interface.action.items():
        value = action[name]
        shapes = [(size, interface.horizon, *spec.shape) for size in (rows or count, count)]
        if not isinstance(value, np.ndarray) or value.dtype != np.float32 or value.shape not in shapes:
            got = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
            raise PolicyError(f"policy {policy!r}: {name} must be float32{list(shapes[0])}, got {got}")


def not_finite(action: Action, row: int) -> str | None:
    """What is wrong with a row that holds NaN or infinity; None when all its numbers are finite."""
    bad = [name for name in sorted(action) if not np.isfinite(action[name][row]).all()]
    return f"the policy returned numbers that are not finite in {', '.join(bad)}" if bad else None

"""Reads tensors from the disk on several threads, and checks every byte while it is in the cache.

A checksum that no change escapes by chance: the CRC-32 of every 256 KiB, all of them hashed with the tensors' names,
types and shapes (BLAKE2b). A change within 32 bits, such as one weight, is always seen, any other in a page with
probability 1 - 2^-32, and two trainings differ in thousands of pages. It is no defence against somebody who makes a
file to have a given checksum; a hash that is (SHA-256 over all bytes) took twice as long as reading and checking.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groot_bench.errors import CheckpointError
from groot_bench.models.regular import open_regular
from groot_bench.models.safetensor import StoredTensor

PAGE = 256 << 10  # bytes under one checksum; a core's second cache holds it, so that checking costs no memory traffic
BLOCK = 16 * PAGE  # bytes that a thread takes at a time
MAX_THREADS = 8  # beyond, memory is the limit

Bytes = NDArray[np.uint8]
# type -> (its bits, the smallest value of 2 x bits that stands for infinity or NaN: all exponent bits set)
_BITS: Mapping[str, tuple[Any, int]] = {
    "F64": (np.uint64, 0xFFE0 << 48),
    "F32": (np.uint32, 0xFF << 24),
    "F16": (np.uint16, 0xF8 << 8),
    "BF16": (np.uint16, 0xFF << 8),
}


@dataclass(frozen=True)
class Job:
    """One tensor to read.

    Attributes:
        tensor: what is read.
        rows: the rows of its first axis that are wanted, in this order; None for all.
        buffer: memory for exactly the wanted bytes; None where `deliver` takes them.
        deliver: called as deliver(offset, raw) from any thread, in any order: uint8 `raw`, lent until it returns, are
            the wanted bytes from `offset` on, whole elements each time. None for bytes that are only checked.
    """

    tensor: StoredTensor
    rows: tuple[int, ...] | None = None
    buffer: Bytes | None = None
    deliver: Callable[[int, Bytes], None] | None = None

    def spans(self) -> list[tuple[int, int]]:
        """The wanted runs of bytes as (begin in the file, size)."""
        if self.rows is None:
            return [(self.tensor.begin, self.tensor.nbytes)]
        row = self.tensor.nbytes // self.tensor.shape[0]
        return [(self.tensor.begin + index * row, row) for index in self.rows]


@dataclass(frozen=True)
class Checked:
    """What was seen of a tensor: the checksums of its pages, 4 bytes each, and whether all its numbers are finite."""

    checksums: bytes
    finite: bool


def read(jobs: Sequence[Job], stage: Callable[[int], Bytes] | None = None, threads: int | None = None) -> list[Checked]:
    """Reads what the jobs ask for, front to back, each byte once.

    Args:
        jobs: in the order in which their bytes lie on the disk.
        stage: makes the memory through which jobs without a buffer pass, `BLOCK` bytes a thread; plain memory if None.
        threads: how many; the number of cores, at most 8, if None.

    Returns:
        One result for each job.

    Raises:
        CheckpointError: a file ends too early or cannot be read.
    """
    blocks = [(index, *block) for index, job in enumerate(jobs) for block in _blocks(job)]
    parts: list[list[bytes]] = [[] for _ in jobs]
    finite = [True] * len(jobs)
    with ExitStack() as opened:
        paths = dict.fromkeys(job.tensor.path for job in jobs)
        files = {path: opened.enter_context(open_regular(path)) for path in paths}
        reader = _Reader(files, stage or _plain)
        pool = ThreadPoolExecutor(threads or min(MAX_THREADS, os.cpu_count() or 1))
        try:
            results = pool.map(lambda block: reader.read(jobs[block[0]], *block[1:]), blocks)
            for (index, *_), seen in zip(blocks, results, strict=True):
                parts[index].append(seen.checksums)
                finite[index] &= seen.finite
        finally:
            pool.shutdown(cancel_futures=True)  # before the files are closed, also where a block failed
    return [Checked(b"".join(part), good) for part, good in zip(parts, finite, strict=True)]


def digest(seen: Mapping[StoredTensor, tuple[tuple[int, ...] | None, Checked]]) -> str:
    """One checksum of all tensors that were read, 32 hex digits; see the module for what it can tell.

    It is that of names, stored types, stored shapes, rows read, and bytes, in order of names: in other shards, or in
    another order in a file, the same weights have the same digest.

    Args:
        seen: tensor -> (rows read, or None for all; what was seen).
    """
    total = hashlib.blake2b(digest_size=16)
    for tensor in sorted(seen, key=lambda tensor: tensor.name):
        rows, checked = seen[tensor]
        head = json.dumps([tensor.name, tensor.dtype, tensor.shape, rows, len(checked.checksums)])
        total.update(head.encode() + checked.checksums)
    return total.hexdigest()


def _blocks(job: Job) -> list[tuple[int, int, int]]:
    """(begin in the file, size, offset among the wanted bytes) of each block; no block spans two runs."""
    found, offset = [], 0
    for begin, size in job.spans():
        for inner in range(0, size, BLOCK):
            found.append((begin + inner, min(BLOCK, size - inner), offset + inner))
        offset += size
    return found


def _plain(size: int) -> Bytes:
    return np.empty(size, np.uint8)


class _Reader:
    """What the threads share, and the memory that each has for itself."""

    def __init__(self, files: Mapping[Path, int], stage: Callable[[int], Bytes]) -> None:
        self._files, self._stage, self._own = files, stage, threading.local()

    def read(self, job: Job, begin: int, size: int, offset: int) -> Checked:
        """Reads one block, page by page."""
        target = self._staging()[:size] if job.buffer is None else job.buffer[offset : offset + size]
        sums, finite = [], True
        for inner in range(0, size, PAGE):
            page = target[inner : inner + PAGE]
            _fill(self._files[job.tensor.path], page, begin + inner, job.tensor.path)
            sums.append(zlib.crc32(page.data))
            finite = finite and self._is_finite(page, job.tensor.dtype)
        if job.deliver is not None:
            job.deliver(offset, target)
        return Checked(struct.pack(f"<{len(sums)}I", *sums), finite)

    def _staging(self) -> Bytes:
        if not hasattr(self._own, "staging"):
            self._own.staging = self._stage(BLOCK)
        return self._own.staging

    def _is_finite(self, page: Bytes, dtype: str) -> bool:
        if dtype not in _BITS:
            return True
        if not hasattr(self._own, "scratch"):
            self._own.scratch = np.empty(PAGE, np.uint8)
        kind, limit = _BITS[dtype]
        shifted = self._own.scratch.view(kind)[: page.size // np.dtype(kind).itemsize]
        np.left_shift(page.view(kind), 1, out=shifted)  # the sign is shifted out
        return bool(shifted.max() < limit)


def _fill(descriptor: int, page: Bytes, begin: int, path: Path) -> None:
    view = page.data
    while view:
        try:
            count = os.preadv(descriptor, [view], begin)
        except OSError as problem:
            raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
        if count == 0:
            raise CheckpointError(f"{path}: ends {len(view)} bytes too early; it changed while it was read")
        view, begin = view[count:], begin + count

"""The header of a safetensors file: what lies where in it.

Layout (https://huggingface.co/docs/safetensors): 8 bytes little-endian length n, n bytes of JSON that map each tensor's
name to {"dtype", "shape", "data_offsets": [begin, end]}, then the data, row by row, little-endian. Offsets count from
the end of the header. An own reader, because the library's maps the file into memory: its pages count as this
process's, so that copying from them doubles what a load needs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groot_bench.errors import CheckpointError
from groot_bench.models.jsonfields import raise_if
from groot_bench.models.listing import shorten
from groot_bench.models.regular import open_regular, read_exactly
from groot_bench.models.strictjson import parse_strict

SIZES: Mapping[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
FLOATS = ("F64", "F32", "F16", "BF16")
MAX_HEADER = 100_000_000  # bytes; the safetensors library's own limit
MAX_RANK = 16
MAX_AXIS = 1 << 40


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        name, dtype, shape: as in the header; dtype is one of `SIZES`.
        path: the file. begin: first byte, from the file's start. nbytes: how many.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: Path
    begin: int
    nbytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file by name, in the order in which they lie.

    Raises:
        CheckpointError: the file is truncated or has bytes to spare, its header is no strict JSON, or an entry is
            impossible: an unknown type, a negative or absurd shape, bytes that are not shape x size of the type, or
            ranges that overlap or leave holes. All bad entries are listed.
    """
    with open_regular(path) as descriptor:
        total = os.fstat(descriptor).st_size
        if total < 8:
            raise CheckpointError(f"{path}: has {total} bytes, which is no safetensors file; fetch it again")
        length = int.from_bytes(read_exactly(descriptor, 0, 8, path), "little")
        if length > min(MAX_HEADER, total - 8):
            raise CheckpointError(
                f"{path}: claims a header of {length} bytes, but has {total} bytes in all, and {MAX_HEADER} are "
                "allowed; it is truncated or no safetensors file"
            )
        data = read_exactly(descriptor, 8, length, path)
    if not data.startswith(b"{"):
        raise CheckpointError(f"{path}: its header does not begin with '{{'; it is no safetensors file")
    header = parse_strict(data, f"{path} (header)")
    problems: list[str] = []
    _check_metadata(header.pop("__metadata__", {}), problems)
    found = [_entry(name, entry, path, 8 + length, problems) for name, entry in header.items()]
    tensors = sorted((tensor for tensor in found if tensor), key=lambda tensor: (tensor.begin, tensor.nbytes))
    if not problems:
        problems += _gaps(tensors, 8 + length, total)
    raise_if(shorten(problems), f"{path} is damaged or was made by hand")
    return {tensor.name: tensor for tensor in tensors}


def _check_metadata(value: Any, problems: list[str]) -> None:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        problems.append("__metadata__ must map text to text")


def _entry(name: str, entry: Any, path: Path, start: int, problems: list[str]) -> StoredTensor | None:
    """One tensor of the header; None where it is impossible."""
    label = repr(name[:200])
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        problems.append(f"{label}: must have exactly dtype, shape and data_offsets")
        return None
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in SIZES:
        problems.append(f"{label}: its type is {str(dtype)[:40]!r}; known: {', '.join(SIZES)}")
        return None
    if not _whole(shape, MAX_AXIS) or len(shape) > MAX_RANK:
        problems.append(f"{label}: its shape {str(shape)[:80]} is not at most {MAX_RANK} whole numbers in 0..2^40")
        return None
    if not _whole(offsets, 1 << 62) or len(offsets) != 2 or offsets[0] > offsets[1]:
        problems.append(f"{label}: its data_offsets {str(offsets)[:80]} are not [begin, end]")
        return None
    size = math.prod(shape) * SIZES[dtype]
    if offsets[1] - offsets[0] != size:
        problems.append(f"{label}: {dtype} {shape} has {size} bytes, but data_offsets give {offsets[1] - offsets[0]}")
        return None
    return StoredTensor(name, dtype, tuple(shape), path, start + offsets[0], size)


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, list) and all(type(number) is int and 0 <= number <= most for number in value)


def _gaps(tensors: list[StoredTensor], start: int, total: int) -> list[str]:
    """What keeps the tensors, in order, from covering the data exactly."""
    problems, end = [], start
    for tensor in tensors:
        if tensor.begin != end:
            what = "overlaps the tensor before it" if tensor.begin < end else "leaves a hole before it"
            problems.append(f"{tensor.name[:200]!r}: begins at byte {tensor.begin - start} and {what}")
        end = max(end, tensor.begin + tensor.nbytes)
    if end > total:
        problems.append(f"it ends {end - total} bytes too early: it is truncated, fetch it again")
    elif end < total:
        problems.append(f"{total - end} bytes follow the last tensor")
    return problems

"""Files of a checkpoint folder, opened so that a hostile folder can neither hang the process nor lead out of itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from groot_bench.errors import CheckpointError
from groot_bench.models.strictjson import parse_strict

MAX_JSON = 64 << 20  # bytes; the largest released one, a tokenizer, has 11 MiB


@contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """A file descriptor for reading.

    A link is followed (the hub's cache consists of links), but what it leads to must be a regular file: opening a pipe
    would wait for ever, and a device has no end.

    Raises:
        CheckpointError: it is absent, not readable, or no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as problem:  # ValueError: a NUL byte in the name
        raise CheckpointError(f"{path}: cannot be read: {getattr(problem, 'strerror', problem)}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CheckpointError(f"{path}: is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_json(folder: Path, name: str, limit: int = MAX_JSON) -> Any:
    """The value of a JSON file in the folder; see `parse_strict` for what is refused.

    Args:
        name: of the file, or a relative path of plain names such as "experiment_cfg/metadata.json".
        limit: bytes.

    Raises:
        CheckpointError: it cannot be read, is larger than `limit`, is no strict JSON, or the name leads elsewhere.
    """
    for part in name.split("/"):
        require_plain(part, str(folder))
    path = folder / name
    with open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise CheckpointError(f"{path}: has {size} bytes, more than the {limit} that such a file may have")
        return parse_strict(read_exactly(descriptor, 0, size, path), str(path))


def read_exactly(descriptor: int, begin: int, size: int, path: Path) -> bytes:
    """`size` bytes from `begin`; raises CheckpointError where the file ends before."""
    pieces = []
    while size:
        try:
            piece = os.pread(descriptor, size, begin)
        except OSError as problem:
            raise CheckpointError(f"{path}: cannot be read: {problem.strerror}") from None
        if not piece:
            raise CheckpointError(f"{path}: ends {size} bytes too early; it is truncated, fetch it again")
        pieces.append(piece)
        begin, size = begin + len(piece), size - len(piece)
    return b"".join(pieces)


def require_plain(name: object, where: str) -> str:
    """The name of a file that lies in the folder itself; raises CheckpointError for a path, "..", or no text."""
    if not isinstance(name, str) or name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        text = repr(name)
        raise CheckpointError(f"{where}: {text[:100]} is not the plain name of a file in that folder")
    return name

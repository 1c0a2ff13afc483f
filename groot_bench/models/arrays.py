"""NumPy archives that may be hostile: no objects in them, sizes bounded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from groot_bench.errors import CheckpointError
from groot_bench.models.regular import open_regular

MAX_BYTES = 1 << 30
UNREADABLE = (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file.

    Raises:
        CheckpointError: it is missing, damaged, no regular file, larger than 1 GiB when unpacked, or holds objects.
    """
    try:
        with open_regular(path) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            with zipfile.ZipFile(stream) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise CheckpointError(f"{path.name} unpacks to more than {MAX_BYTES} bytes")
            stream.seek(0)
            with np.load(stream) as file:
                return {name: file[name] for name in file.files}
    except UNREADABLE as problem:
        raise CheckpointError(f"{path.name} cannot be read: {problem}") from None

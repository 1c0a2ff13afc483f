"""Copies a folder or unpacks an archive without trusting it: no member leaves the target, no link, no bomb."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from groot_bench.errors import SuiteNotReady

MAX_FILES = 2_000_000
MAX_BYTES = 200 * 2**30
MAX_RATIO = 500  # unpacked bytes for each byte of the archive; meshes and flat textures reach about 100
MIN_BYTES = 64 * 2**20  # below this no ratio is suspicious
SKIPPED = (".git", "__pycache__")
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

# What reading a damaged, cut or encrypted archive raises; a decompressor's own errors come through as they are.
BROKEN = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error)


class Member(NamedTuple):
    """One entry of an archive: its name, its size, whether it is a folder or a plain file, and its stream."""

    name: str
    size: int
    kind: str
    stream: IO[bytes] | None


def bring(source: Path, target: Path) -> None:
    """Fills the new folder `target` with what `source`, a folder or an archive, holds.

    Raises:
        SuiteNotReady: it is neither, it cannot be read, or it is not safe to unpack; `target` may hold a part of it.
    """
    if source.is_dir():
        _copy(source, target)
        return
    if not source.is_file():
        raise SuiteNotReady(f"{source} does not exist; give a folder or an archive ({', '.join(SUFFIXES)})")
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                _write(_zip_members(archive), source, target)
        elif tarfile.is_tarfile(source):
            with tarfile.open(source) as tar:
                _write(_tar_members(tar), source, target)
        else:
            raise SuiteNotReady(f"{source} is neither a folder nor an archive ({', '.join(SUFFIXES)})")
    except BROKEN as problem:
        raise SuiteNotReady(f"{source} cannot be unpacked: {problem}") from None


def _copy(source: Path, target: Path) -> None:
    """Plain files only; a link to a file is followed where that is inside the folder, every other one is an error."""
    inside = source.resolve()
    for root, folders, names in os.walk(source):
        here = Path(root)
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for link in (here / name for name in [*folders, *names] if (here / name).is_symlink()):
            if link.is_dir() or not link.resolve().is_relative_to(inside):
                raise SuiteNotReady(f"{link} is a link to a folder or out of {source}; put what it names in its place")
        into = target / here.relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in sorted(names):
            if (here / name).is_file():  # no sockets, pipes or devices
                shutil.copyfile(here / name, into / name)


def _zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    for item in archive.infolist():
        mode = item.external_attr >> 16
        plain = not mode or (mode & 0o170000) in (0, 0o100000, 0o040000)
        kind = "folder" if item.is_dir() else "file" if plain else "link or device"
        if kind != "file":
            yield Member(item.filename, 0, kind, None)
            continue
        with archive.open(item) as stream:
            yield Member(item.filename, item.file_size, kind, stream)


def _tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    for item in archive:
        kind = "file" if item.isreg() else "folder" if item.isdir() else "link or device"
        yield Member(item.name, item.size, kind, archive.extractfile(item) if kind == "file" else None)


def _write(members: Iterable[Member], source: Path, target: Path) -> None:
    files = total = 0
    most = min(MAX_BYTES, max(MIN_BYTES, MAX_RATIO * source.stat().st_size))
    target.mkdir(parents=True, exist_ok=True)
    for member in members:
        path = target / _inside(member.name, source)
        if member.kind == "folder":
            path.mkdir(parents=True, exist_ok=True)
            continue
        if member.stream is None:
            raise SuiteNotReady(f"{source}: {member.name!r} is a {member.kind}, which is not unpacked")
        files, total = files + 1, total + member.size
        if files > MAX_FILES or total > most:
            raise SuiteNotReady(f"{source} unpacks to more than {most:,} bytes or {MAX_FILES:,} files; refused")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            left = member.size
            while chunk := member.stream.read(min(1 << 20, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise SuiteNotReady(f"{source}: {member.name!r} is larger than it says")
                file.write(chunk)


def _inside(name: str, source: Path) -> Path:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith("/") or ".." in parts or any(":" in part for part in parts[:1]):
        raise SuiteNotReady(f"{source}: {name!r} leads out of the folder that it is unpacked into; refused")
    return Path(*parts) if parts else Path()


def inner(folder: Path, holds: Iterable[str]) -> Path:
    """Where in `folder` these globs find files: there, or in the only folder in it, as archives are often made."""
    while not all(next(folder.glob(pattern), None) for pattern in holds):
        entries = list(folder.iterdir())
        if len(entries) != 1 or not entries[0].is_dir():
            break
        folder = entries[0]
    return folder

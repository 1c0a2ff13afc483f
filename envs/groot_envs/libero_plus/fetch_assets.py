"""Fills a folder with LIBERO-plus's assets by upstream's own means: python fetch_assets.py TARGET

One archive on the Hugging Face hub, of which a killed call keeps what it has. Run by `groot-bench setup` in the suite's
own interpreter; standard library only.
"""

from __future__ import annotations

import os
import shutil
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath

URL = "datasets/Sylvest/LIBERO-plus/resolve/main/assets.zip"
MARKS = ("scenes", "new_objects")  # folders beside each other wherever the archive has the assets
MAX_BYTES = 200 * 2**30  # unpacked
CHUNK = 1 << 20

# What reading a damaged, cut or encrypted archive raises.
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def main(target: Path) -> None:
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    archive = target.with_name("assets.zip")
    if not archive.exists():
        fetch(f"{hub.rstrip('/')}/{URL}", archive.with_name("assets.zip.part"))
        archive.with_name("assets.zip.part").rename(archive)
    try:
        unpack(archive, target)
    except BROKEN as problem:
        archive.unlink()
        raise SystemExit(f"{archive.name} is no archive ({problem}), and was thrown away; run this again") from None
    archive.unlink()


def fetch(url: str, part: Path) -> None:
    """Downloads to the end of what `part` has already."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            goes_on = have > 0 and answer.status == 206
            wanted = int(answer.headers["Content-Length"] or 0) + (have if goes_on else 0)
            with part.open("ab" if goes_on else "wb") as file:
                shutil.copyfileobj(answer, file, CHUNK)
    except urllib.error.HTTPError as problem:
        if problem.code == 416:  # there is nothing after what we have
            return
        raise SystemExit(f"{url} cannot be fetched: {problem}") from None
    except OSError as problem:
        raise SystemExit(f"{url} cannot be fetched: {problem}; what came is kept") from None
    if wanted and part.stat().st_size != wanted:
        raise SystemExit(
            f"{url} ended after {part.stat().st_size:,} of {wanted:,} bytes, which are kept; run this again"
        )


def unpack(archive: Path, target: Path) -> None:
    """The files under the archive's folder of assets, wherever in it that is."""
    with zipfile.ZipFile(archive) as whole:
        members = [item for item in whole.infolist() if not item.is_dir()]
        if sum(item.file_size for item in members) > MAX_BYTES:
            raise SystemExit(f"{archive.name} unpacks to more than {MAX_BYTES:,} bytes; refused")
        for item in members:
            require_inside(item.filename, archive)
        root = root_of([PurePosixPath(item.filename) for item in members])
        for item in members:
            path = PurePosixPath(item.filename)
            if path.parts[: len(root.parts)] != root.parts:
                continue
            place = target.joinpath(*path.parts[len(root.parts) :])
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole.open(item) as source, place.open("wb") as file:
                shutil.copyfileobj(source, file, CHUNK)


def require_inside(name: str, archive: Path) -> None:
    """Ends the program where a member would be written outside of the folder that it is unpacked into."""
    if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        raise SystemExit(f"{archive.name}: {name!r} leads out of the folder that it is unpacked into; refused")


def root_of(paths: list[PurePosixPath]) -> PurePosixPath:
    """The folder that has all of `MARKS`."""
    folders = {parent for path in paths for parent in path.parents}
    found = [folder for folder in folders if all(folder / mark in folders for mark in MARKS)]
    if len(found) != 1:
        raise SystemExit(f"the archive has {len(found)} folders with {' and '.join(MARKS)} instead of one")
    return found[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())

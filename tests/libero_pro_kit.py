"""LIBERO-PRO's source from a git repository without its largest files, as mirrors are, filled from LIBERO's kit.

    python tests/libero_pro_kit.py REPOSITORY TINY FOLDER     for `groot-bench setup libero_pro --source FOLDER`

REPOSITORY is a git folder that has the pinned commit; TINY is LIBERO's kit of assets (physics exact, pictures flat), an
archive or a folder. Many of the new objects are copies of LIBERO's with another size or color, so that a file that is
missing under one name is in the kit under another. For tests, never for numbers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from groot_bench.setup.unpack import bring
from groot_envs.libero_pro.suite import SOURCE

ASSETS = "libero/libero/assets/"
WANTED = ("libero/libero", "libero_ood", "LICENSE")


def make_source(repository: Path, tiny: Path, folder: Path) -> list[str]:
    """Fills a new folder; returns the files that neither the repository nor the kit has."""
    missing = checkout(repository, folder)
    with tempfile.TemporaryDirectory() as place:
        bring(tiny, Path(place) / "kit")
        parts = {}
        for name, blob in missing.items():
            part = Path(place) / "kit" / name.removeprefix(ASSETS)
            if part.is_file():
                parts[blob] = part.read_bytes()
    for name, blob in missing.items():
        if blob in parts:
            _write(folder / name, parts[blob])
    return [name for name, blob in missing.items() if blob not in parts]


def checkout(repository: Path, folder: Path) -> dict[str, bytes]:
    """Writes what the repository has of the pinned commit; returns the names and ids of the files that it lacks."""
    git = ["git", "--git-dir", str(repository)]
    listing = [*git, "ls-tree", "-r", "-z", SOURCE.commit, "--", *WANTED]
    entries = subprocess.run(listing, check=True, capture_output=True).stdout.split(b"\0")
    missing = {}
    with subprocess.Popen([*git, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as blobs:
        assert blobs.stdin is not None and blobs.stdout is not None
        for meta, _, name in (entry.partition(b"\t") for entry in entries if entry):
            blob = meta.split()[2]
            blobs.stdin.write(blob + b"\n")
            blobs.stdin.flush()
            head = blobs.stdout.readline().split()
            if head[1] == b"missing":
                missing[name.decode()] = blob
            else:
                _write(folder / name.decode(), blobs.stdout.read(int(head[2])))
                blobs.stdout.read(1)
    return missing


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


if __name__ == "__main__":
    lacking = make_source(*(Path(word).absolute() for word in sys.argv[1:4]))
    print("\n".join(["without:", *lacking]))  # noqa: T201

"""Where a tokenizer is: a folder, or a repository of the Hugging Face hub, of which only its files are fetched."""

from __future__ import annotations

import os
import re
from pathlib import Path

from groot_bench.errors import CheckpointError
from groot_bench.models.family import Family
from groot_bench.models.folder import SUBFOLDERS, TOKENIZER_FILES
from groot_bench.models.processing.vocabulary import FILES
from groot_bench.models.source import HUB

# Public repositories with the vocabularies of the backbones. NVIDIA's own with N1.7's is gated; Qwen's has the same.
PUBLIC = {Family.N15: "Qwen/Qwen3-1.7B", Family.N16: "Qwen/Qwen3-1.7B", Family.N17: "Qwen/Qwen3-VL-2B-Instruct"}

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?", re.ASCII)


def find_tokenizer(where: str | None, family: Family, revision: str | None = None) -> Path:
    """The folder with the tokenizer's files.

    Args:
        where: a folder that has them, itself or in `processor/` or `tokenizer/`; or a hub id "org/name", with
            "@revision" behind if wanted ("hf://org/name" is the hub even where such a folder exists). None for the
            family's public repository: Qwen/Qwen3-1.7B for N1.5 and N1.6, Qwen/Qwen3-VL-2B-Instruct for N1.7.
        revision: of the hub: branch, tag or commit.

    Raises:
        CheckpointError: there is no such folder or none of the files, or they cannot be fetched.
    """
    named = where if where is not None else HUB + PUBLIC[family]
    if named.startswith(HUB) or (_HUB_ID.fullmatch(named) and not os.path.exists(named)):
        name, _, tail = named.removeprefix(HUB).partition("@")
        if not _HUB_ID.fullmatch(name):
            raise CheckpointError(f"the tokenizer {named!r} is no id of the hub (org/name)")
        if tail and revision not in (None, tail):
            raise CheckpointError(f"{named}: names a revision, and {revision!r} is asked for as well; give one of them")
        return _in(_fetch(name, revision or tail or None), named)
    if revision is not None:
        raise CheckpointError(f"{named} is a local folder, which has no revision {revision!r}")
    folder = Path(os.path.expanduser(named))
    if not named or not os.path.isdir(folder):
        raise CheckpointError(f"the tokenizer {named!r}: no such folder is here, and it is no id of the hub (org/name)")
    return _in(folder, named)


def _in(folder: Path, named: str) -> Path:
    """The folder or the one in it that has a vocabulary."""
    for place in (folder / name for name in SUBFOLDERS):
        if any(os.path.lexists(place / name) for name in TOKENIZER_FILES):
            return place
    raise CheckpointError(
        f"{named}: has no {' and no '.join(TOKENIZER_FILES)}, neither itself nor in a folder processor/ or tokenizer/"
    )


def _fetch(repository: str, revision: str | None) -> Path:
    """Of a repository, the files of its tokenizer, in the hub's cache."""
    from huggingface_hub import errors, snapshot_download

    # What the hub's HTTP client raises; which client that is differs between versions.
    http_error: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    wanted = [f"{folder}/{name}" if folder else name for folder in SUBFOLDERS for name in FILES]
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except (OSError, ValueError, errors.OfflineModeIsEnabled, http_error) as problem:
        said = f"{repository!r}" + (f" at {revision!r}" if revision else "")
        reason = str(problem).strip().partition("\n")[0][:300]
        raise CheckpointError(
            f"the tokenizer of hub repository {said} could not be fetched ({type(problem).__name__}: {reason}). Where "
            f"there is a network: `hf download {repository} {' '.join(FILES[:3])} --local-dir FOLDER`; copy the folder "
            "here, and give it with --tokenizer"
        ) from None

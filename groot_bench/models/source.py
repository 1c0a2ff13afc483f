"""Where a checkpoint is: a folder, a folder of folders, or a repository of the Hugging Face hub."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from groot_bench.errors import CheckpointError
from groot_bench.models.folder import CONFIG
from groot_bench.models.listing import quote

HUB = "hf://"
# Of a repository only these are fetched: data, never code and never what has to be unpickled.
ALLOWED = ("*.json", "*.safetensors", "merges.txt", "vocab.txt")
MAX_NESTING = 3  # folders between the root and a config.json
MAX_FOLDERS = 1000  # looked into, so that a path such as / answers

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(/[\w.-]+)*(@[\w./-]+)?", re.ASCII)


def resolve(where: str, subfolder: str | None = None, revision: str | None = None) -> Path:
    """The folder of a checkpoint, with config.json in it; fetches it where it is one of the hub.

    Args:
        where: a folder; a folder whose subfolders are checkpoints (one: it is taken, several: `subfolder` says which);
            or a hub id "org/name", "org/name/sub/folder", with "@revision" behind if wanted. A text counts as a path
            where its first part exists here or it begins with ".", "/" or "~"; "hf://org/name" is the hub in any case.
        subfolder: inside it, e.g. "libero_10".
        revision: of the hub: branch, tag or commit.

    Raises:
        CheckpointError: no such folder (the nearest name is told), no or several checkpoints in it, or the hub cannot
            be reached or has no such repository, revision or subfolder.
    """
    if _is_local(where):
        if revision is not None:
            raise CheckpointError(f"{where} is a local folder, which has no revision {revision!r}")
        path = Path(os.path.expanduser(where))
        if not where or not os.path.exists(path):
            raise CheckpointError(f"{where!r}: no such folder{_nearest(path)}")
        return _choose(path, subfolder)
    name, _, tail = where.removeprefix(HUB).partition("@")
    if tail and revision not in (None, tail):
        raise CheckpointError(f"{where}: names a revision, and {revision!r} is asked for as well; give one of them")
    if not _HUB_ID.fullmatch(where.removeprefix(HUB)):
        raise CheckpointError(f"{where}: there is no such folder here, and it is no id of the hub (org/name)")
    org, repository, *inner = name.split("/")
    place = "/".join([*inner, *([subfolder] if subfolder else [])])
    return _fetch(f"{org}/{repository}", place or None, revision or tail or None)


def _is_local(where: str) -> bool:
    if where.startswith(HUB):
        return False
    path = Path(where)
    return where.startswith((".", "/", "~")) or len(path.parts) < 2 or os.path.exists(path.parts[0])


def _nearest(path: Path) -> str:
    """A hint with what exists; the deepest part of the path that does is where the mistake is."""
    parent = next((parent for parent in path.parents if os.path.exists(parent)), path)
    missing = (*path.relative_to(parent).parts, "")[0]
    try:
        names = sorted(os.listdir(parent))
    except OSError:
        names = []
    near = difflib.get_close_matches(missing, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {parent / near[0]}?"
    return f"; {parent} holds {quote(names, 10) or 'nothing'}"


def _choose(root: Path, subfolder: str | None) -> Path:
    """The checkpoint at or below the root."""
    if subfolder:
        if Path(subfolder).is_absolute() or ".." in Path(subfolder).parts:
            raise CheckpointError(f"{subfolder!r} leads out of {root}; name a folder inside it")
        inner = root / subfolder
        if not os.path.exists(inner):
            raise CheckpointError(f"{inner}: no such folder{_nearest(inner)}")
        root = inner
    if not os.path.isdir(root):
        raise CheckpointError(f"{root}: is a file; give the folder that holds it")
    if os.path.lexists(root / CONFIG):
        return root
    found = _nested(root)
    if len(found) == 1:
        return root / found[0]
    if not found:
        raise CheckpointError(f"{root}: holds no {CONFIG}, and neither do the folders in it; it is no checkpoint")
    raise CheckpointError(f"{root}: holds {len(found)} checkpoints; say which, e.g. {root}/{found[0]}: {quote(found)}")


def _nested(root: Path) -> list[str]:
    """Folders below the root that hold a config.json and lie in none that does, as relative paths."""
    found: list[str] = []
    level = [root]
    seen = 0
    for _ in range(MAX_NESTING):
        inner = []
        for folder in level:
            try:
                inner += sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
            except OSError:  # a folder that may not be listed holds nothing that could be read
                continue
        seen += len(inner)
        if seen > MAX_FOLDERS:
            raise CheckpointError(f"{root}: holds no {CONFIG}, but more than {MAX_FOLDERS} folders; give the one meant")
        found += [str(folder.relative_to(root)) for folder in inner if os.path.lexists(folder / CONFIG)]
        level = [folder for folder in inner if not os.path.lexists(folder / CONFIG)]
    return found


def _fetch(repository: str, subfolder: str | None, revision: str | None) -> Path:
    """A snapshot in the hub's cache; first the configurations, which say where the checkpoint is, then its files."""
    root = _snapshot(repository, revision, [CONFIG, f"*/{CONFIG}"], [])
    folder = _choose(root, subfolder)
    inner = "" if folder == root else f"{folder.relative_to(root).as_posix()}/"
    # The commit of the first answer, so that both are of one state. "*" matches "/" too: weights below are not meant.
    commit = root.name if re.fullmatch(r"[0-9a-f]{40}", root.name) else revision
    fetched = _snapshot(repository, commit, [inner + pattern for pattern in ALLOWED], [f"{inner}*/*.safetensors"])
    return fetched / inner if inner else fetched


def _snapshot(repository: str, revision: str | None, allow: Sequence[str], ignore: Sequence[str]) -> Path:
    from huggingface_hub import errors, snapshot_download

    # What the hub's HTTP client raises; which client that is differs between versions.
    http_error: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    said = f"hub repository {repository!r}" + (f" at {revision!r}" if revision else "")
    try:
        found = snapshot_download(
            repository, revision=revision, allow_patterns=list(allow), ignore_patterns=list(ignore)
        )
    except errors.GatedRepoError:
        raise CheckpointError(f"{said} asks for its terms to be accepted: on its page, then `hf auth login`") from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"{said} does not exist, or is private (`hf auth login`); a path to a folder of yours begins with ./"
        ) from None
    except errors.RevisionNotFoundError:
        raise CheckpointError(f"{said}: there is no such revision; give a branch, tag or commit of it") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError):
        raise CheckpointError(
            f"{said} is not in this machine's cache, and the hub cannot be reached. Where there is a network: "
            f"`hf download {repository}`, copy the folder here, and give its path"
        ) from None
    except (OSError, ValueError, http_error) as problem:  # ValueError: an id that the hub does not accept
        raise CheckpointError(f"{said} could not be fetched: {problem}") from None
    return Path(found)

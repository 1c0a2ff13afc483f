"""The weights of a folder: one safetensors file, or several with an index, and the names in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from groot_bench.errors import CheckpointError
from groot_bench.models.jsonfields import raise_if
from groot_bench.models.listing import quote, shorten
from groot_bench.models.regular import read_json, require_plain
from groot_bench.models.safetensor import FLOATS, StoredTensor, read_header

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Formats that are, or contain, Python pickles: to open one is to run what it says.
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt", ".joblib")


@dataclass(frozen=True)
class StoredWeights:
    """Weights on the disk; nothing but their headers has been read.

    Attributes:
        files: in order of their names.
        tensors: by name, in the order in which they lie, file after file.
    """

    files: tuple[Path, ...]
    tensors: Mapping[str, StoredTensor]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True)
class Wanted:
    """What a model expects of a stored tensor.

    Attributes:
        shape: as stored, before rows are picked.
        dtype: a type of the header, for tensors of whole numbers; None for weights, which may have any float type.
    """

    shape: tuple[int, ...]
    dtype: str | None = None


def open_weights(folder: Path) -> StoredWeights:
    """Finds the weights of a folder and reads their headers.

    Raises:
        CheckpointError: there are none, or only pickled ones; single file and index stand side by side; the index names
            a file outside the folder, or one that is missing; index and shards differ in a tensor; a file is damaged.
    """
    single, index = (os.path.lexists(folder / name) for name in (SINGLE, INDEX))
    if single and index:
        raise CheckpointError(f"{folder}: holds both {SINGLE} and {INDEX}; delete the one that is not meant")
    if single:
        return StoredWeights((folder / SINGLE,), read_header(folder / SINGLE))
    if not index:
        raise CheckpointError(_nothing(folder))
    return _open_shards(folder)


def pickled(folder: Path) -> list[str]:
    """Names of files in the folder that only pickling programs can read; they are never opened."""
    return sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in PICKLED)


def _nothing(folder: Path) -> str:
    found = pickled(folder)
    if found:
        return (
            f"{folder}: holds only pickled weights ({quote(found, 5)}). To open such a file is to run whatever code is "
            "in it, so it is never opened here. Where you trust it, load it with the program that wrote it, call "
            "save_pretrained(folder, safe_serialization=True), and give the new folder"
        )
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    if shards:
        return f"{folder}: holds {quote(shards, 5)}, but neither {SINGLE} nor {INDEX}; fetch the index as well"
    return f"{folder}: holds no weights ({SINGLE}, or shards with {INDEX})"


def _open_shards(folder: Path) -> StoredWeights:
    where = str(folder / INDEX)
    named = _weight_map(folder)
    names = sorted({require_plain(name, where) for name in named.values()})
    missing = [name for name in names if not os.path.lexists(folder / name)]
    if missing:
        raise CheckpointError(f"{folder}: {len(missing)} of {len(names)} shards are missing: {quote(missing)}")
    tensors: dict[str, StoredTensor] = {}
    problems = []
    for name in names:
        held = read_header(folder / name)
        strangers = [tensor for tensor in held if named.get(tensor) != name]
        problems += [f"{tensor[:200]!r} is in {name!r}, but the index does not say so" for tensor in strangers]
        tensors.update(held)
    problems += [f"{tensor[:200]!r} is in no shard" for tensor in named if tensor not in tensors]
    raise_if(shorten(problems), f"{where}: index and shards disagree")
    return StoredWeights(tuple(folder / name for name in names), tensors)


def _weight_map(folder: Path) -> dict[str, str]:
    """Tensor -> file, where every file is a plain name of a safetensors file."""
    index = read_json(folder, INDEX)
    named = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(named, dict) or not named:
        raise CheckpointError(f"{folder / INDEX}: must have a weight_map of tensor names to file names")
    bad = dict.fromkeys(repr(name)[:100] for name in named.values() if not _is_shard(name))
    if bad:
        raise CheckpointError(
            f"{folder / INDEX}: weight_map may name only .safetensors files in its own folder, "
            f"but names {', '.join(shorten(bad))}"
        )
    return named


def _is_shard(name: object) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and not any(sign in name for sign in "/\\\0")


def differences(
    wanted: Mapping[str, Wanted], stored: Mapping[str, StoredTensor], is_unused: Callable[[str], bool]
) -> list[str]:
    """Everything in which stored tensors are not those that a model wants; at most 20 names of a kind, with a count.

    Args:
        wanted: all that the model needs, by name.
        stored: what there is.
        is_unused: says of a stored name whether the model is known not to need it.
    """
    found: dict[str, list[str]] = {
        "missing": [f"{name!r} {list(want.shape)}" for name, want in wanted.items() if name not in stored],
        "not known to the model": [repr(name[:200]) for name in stored if name not in wanted and not is_unused(name)],
        "of another shape": [],
        "of another type": [],
    }
    for name, want in wanted.items():
        have = stored.get(name)
        if have is not None and have.shape != want.shape:
            found["of another shape"].append(f"{name!r}: expected {list(want.shape)}, stored {list(have.shape)}")
        if have is not None and have.dtype not in ((want.dtype,) if want.dtype else FLOATS):
            found["of another type"].append(f"{name!r}: expected {want.dtype or 'a float type'}, stored {have.dtype}")
    lines = []
    for what, names in found.items():
        if names:
            lines += [f"{len(names)} tensors are {what}:", *(f"  {name}" for name in shorten(names))]
    return lines

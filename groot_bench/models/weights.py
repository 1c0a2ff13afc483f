"""Streams stored weights into a module: no second copy, and nothing missing, surplus or broken goes unnoticed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from groot_bench.errors import CheckpointError
from groot_bench.models import stream
from groot_bench.models.jsonfields import raise_if
from groot_bench.models.listing import quote
from groot_bench.models.safetensor import StoredTensor, read_header
from groot_bench.models.shards import StoredWeights, Wanted, differences

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
ALIGNMENT = 64  # bytes; what torch gives its own tensors


class Rows(NamedTuple):
    """Which rows of a stored table a module holds.

    Attributes:
        total: rows of the stored table, which are checked.
        kept: their indices; row i of the module's table is row kept[i] of the stored one.
    """

    total: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Loaded:
    """What was loaded.

    Attributes:
        tensors, nbytes: read from the disk.
        dtypes: stored type -> how many tensors.
        unused: names that are stored and were not read.
        digest: identifies what was read, whatever the shards and the type that it was converted to; `stream.digest`.
        on_meta: non-persistent buffers, which no checkpoint holds, that the module has left on the meta device.
    """

    tensors: int
    nbytes: int
    dtypes: Mapping[str, int]
    unused: tuple[str, ...]
    digest: str
    on_meta: tuple[str, ...]


def load_weights(
    module: nn.Module,
    weights: StoredWeights,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    prefix: str = "",
    unused: Callable[[str], bool] = lambda name: False,
    fp32: Callable[[str], bool] = lambda name: False,
    rows: Callable[[str], Rows | None] = lambda name: None,
    threads: int | None = None,
) -> Loaded:
    """Gives a module, built on the meta device, its weights; they need no gradient.

    Every parameter and persistent buffer must be stored with its shape and a float type (whole numbers: exactly its
    type); of tied ones one name is enough, and where more are stored they must be equal. Nothing is assigned unless
    everything is right. Memory beyond the weights: 4 MiB a thread.

    Args:
        module: its state_dict names, after `prefix`, are the stored ones. Types of its float tensors do not matter.
        weights: see `open_weights`.
        dtype: of the float tensors; as stored where None.
        device: where they go; to a CUDA device through pinned memory.
        prefix: loads a part of a model: only stored names that begin with it count, and the module's lack it.
        unused: stored names (whole) that the model is known not to need; they are not read.
        fp32: stored names whose tensors are float32 whatever `dtype` says.
        rows: for a stored name, the rows of its first axis that the module holds; the others are read to be checked.
        threads: see `stream.read`.

    Raises:
        CheckpointError: names are missing or unknown, shapes or types are others (all listed at once); a file is
            truncated; tensors hold NaN or infinity, or do after conversion to a narrower type (all listed).
    """
    state: dict[str, Tensor] = {prefix + name: t for name, t in module.state_dict(keep_vars=True).items()}
    stored = {name: tensor for name, tensor in weights.tensors.items() if name.startswith(prefix)}
    twins = _twins(state, stored)
    picked = {name: rows(name) for name in state}
    wanted = {name: _want(name, tensor, picked[name]) for name, tensor in state.items() if name not in twins}
    problems = differences(wanted, stored, lambda name: unused(name) or name in twins)
    raise_if(problems, "the weights do not fit the model")

    place = torch.device(device)
    targets = {
        name: _allocate(state[name].shape, _target_type(state[name], tensor, dtype, fp32(name)), place)
        for name, tensor in stored.items()
        if name in wanted
    }
    overflown: set[str] = set()
    jobs = []
    for name, tensor in stored.items():
        if name in state:
            jobs.append(_job(tensor, picked[name], targets.get(name), overflown))
            if picked[name] is not None:  # rows that are not held are checked, and count for the digest, all the same
                jobs.append(stream.Job(tensor))
    seen = stream.read(jobs, _pinned if place.type == "cuda" else None, threads)
    by_name = {job.tensor.name: checked for job, checked in zip(jobs, seen, strict=True)}
    _require_sound(by_name, twins, stored, overflown)
    _assign(module, prefix, state, targets, twins)
    return _report(module, jobs, seen, [name for name in stored if name not in state])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file as stored, on the CPU, whatever numbers they hold.

    Raises:
        CheckpointError: see `read_header`.
    """
    header = read_header(path)
    found = {
        name: _allocate(tensor.shape, DTYPES[tensor.dtype], torch.device("cpu")) for name, tensor in header.items()
    }
    stream.read([_job(tensor, None, found[name], set()) for name, tensor in header.items()])
    return found


def _twins(state: Mapping[str, Tensor], stored: Mapping[str, StoredTensor]) -> dict[str, str]:
    """Names of tied tensors -> the name that is read for them: the first of them that is stored, or the first."""
    groups: dict[int, list[str]] = {}
    for name, tensor in state.items():
        groups.setdefault(id(tensor), []).append(name)
    found = {}
    for names in groups.values():
        first = next((name for name in names if name in stored), names[0])
        found.update({name: first for name in names if name != first})
    return found


def _want(name: str, tensor: Tensor, picked: Rows | None) -> Wanted:
    """What must be stored for this tensor of the module."""
    shape = tuple(tensor.shape)
    if picked is not None:
        in_range = all(0 <= row < picked.total for row in picked.kept)
        if not picked.kept or not in_range or shape[:1] != (len(picked.kept),):
            raise ValueError(
                f"{name}: a module of shape {list(shape)} cannot hold rows {picked.kept} of {picked.total}"
            )
        shape = (picked.total, *shape[1:])
    return Wanted(shape, None if tensor.is_floating_point() else _NAMES[tensor.dtype])


def _target_type(tensor: Tensor, stored: StoredTensor, dtype: torch.dtype | None, fp32: bool) -> torch.dtype:
    if not tensor.is_floating_point():
        return tensor.dtype
    return torch.float32 if fp32 else dtype or DTYPES[stored.dtype]


def _allocate(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Memory for a tensor, not yet touched.

    On the CPU it is NumPy's, which asks for large pages: a first touch of plain memory costs more than the reading.
    """
    size = math.prod(shape) * dtype.itemsize
    if device.type != "cpu" or size == 0:
        return torch.empty(shape, dtype=dtype, device=device)
    raw = np.empty(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    return torch.from_numpy(raw[begin : begin + size]).view(dtype).view(tuple(shape))


def _job(tensor: StoredTensor, picked: Rows | None, target: Tensor | None, overflown: set[str]) -> stream.Job:
    """What to read of the tensor and where it goes: straight into the target's memory, through a converter, nowhere."""
    kept = None if picked is None else picked.kept
    if target is None:  # a tied one, read only to be compared
        return stream.Job(tensor, kept)
    stored, flat = DTYPES[tensor.dtype], target.reshape(-1)
    if stored == target.dtype and target.device.type == "cpu":
        return stream.Job(tensor, kept, buffer=flat.view(torch.uint8).numpy())
    narrower = stored.is_floating_point and torch.finfo(target.dtype).max < torch.finfo(stored).max

    def deliver(offset: int, raw: stream.Bytes) -> None:
        source = torch.from_numpy(raw).view(stored)
        begin = offset // stored.itemsize
        piece = flat[begin : begin + source.numel()]
        piece.copy_(source.to(target.device))  # converted where it is going
        if narrower and not torch.isfinite(piece.abs().max()):  # 20 times as fast as asking each element
            overflown.add(tensor.name)

    return stream.Job(tensor, kept, deliver=deliver)


def _pinned(size: int) -> stream.Bytes:
    return torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()


def _require_sound(
    seen: Mapping[str, stream.Checked],
    twins: Mapping[str, str],
    stored: Mapping[str, StoredTensor],
    overflown: set[str],
) -> None:
    broken = sorted(name for name, checked in seen.items() if not checked.finite)
    problems = [f"{len(broken)} tensors hold NaN or infinity: {quote(broken)}"] if broken else []
    over = sorted(overflown - set(broken))
    if over:
        problems.append(f"{len(over)} tensors are too large for the type asked for, use another: {quote(over)}")
    for name, first in twins.items():
        same = name not in seen or (
            seen[name].checksums == seen[first].checksums and stored[name].dtype == stored[first].dtype
        )
        if not same:
            problems.append(f"{name!r} and {first!r} are one tensor in the model, but two different ones in the files")
    if problems:
        raise CheckpointError("\n".join(["the weights cannot be used:", *(f"  {problem}" for problem in problems)]))


def _assign(
    module: nn.Module,
    prefix: str,
    state: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    twins: Mapping[str, str],
) -> None:
    made = {
        name: nn.Parameter(target, requires_grad=False) if isinstance(state[name], nn.Parameter) else target
        for name, target in targets.items()
    }
    for name in state:
        path, _, leaf = name[len(prefix) :].rpartition(".")
        setattr(module.get_submodule(path), leaf, made[twins.get(name, name)])


def _report(
    module: nn.Module, jobs: Sequence[stream.Job], seen: Sequence[stream.Checked], unused: Sequence[str]
) -> Loaded:
    left = [name for name, tensor in module.named_parameters() if tensor.is_meta]
    if left:
        raise CheckpointError(f"parameters that the module's state_dict does not name have no weights: {quote(left)}")
    whole = {job.tensor: checked for job, checked in zip(jobs, seen, strict=True)}  # the later of two jobs is the whole
    return Loaded(
        tensors=len(whole),
        nbytes=sum(tensor.nbytes for tensor in whole),
        dtypes=dict(Counter(tensor.dtype for tensor in whole)),
        unused=tuple(unused),
        digest=stream.digest({tensor: (None, checked) for tensor, checked in whole.items()}),
        on_meta=tuple(name for name, buffer in module.named_buffers() if buffer.is_meta),
    )

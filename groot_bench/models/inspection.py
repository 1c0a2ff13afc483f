"""What a checkpoint is and what is wrong with it, from its JSON files and the headers of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from groot_bench.errors import CheckpointError
from groot_bench.models import stream
from groot_bench.models.config import ModelConfig, parse_config
from groot_bench.models.embodiments import is_table
from groot_bench.models.family import Family
from groot_bench.models.folder import CheckpointFiles, gather
from groot_bench.models.inspection_embodiments import EmbodimentReport, examine_embodiments
from groot_bench.models.inspection_processing import processing_problems
from groot_bench.models.jsonfields import MOST_PROBLEMS
from groot_bench.models.listing import quote, shorten
from groot_bench.models.safetensor import StoredTensor
from groot_bench.models.shards import StoredWeights, Wanted, differences

PARTS = ("vision", "connector", "language", "action head", "embodiment tables", "other", "not used")


class Expectation(NamedTuple):
    """What a model needs of a checkpoint.

    Attributes:
        shapes: of all its tensors, by stored name.
        is_unused: whether a stored tensor of that name is known and not needed.
    """

    shapes: Mapping[str, tuple[int, ...]]
    is_unused: Callable[[str], bool]


@dataclass(frozen=True)
class Part:
    """One part of the weights: how many tensors, numbers and bytes, and of which types."""

    name: str
    tensors: int
    parameters: int
    nbytes: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class CheckpointReport:
    """The answer of `examine`.

    Attributes:
        folder: of the checkpoint.
        family, model: None where config.json does not say.
        own_backbone: whether the folder states the sizes of its backbone; otherwise they are the released model's.
        files: name and size [bytes] of the files of weights.
        parts: of the weights, those that are there.
        embodiments: by tag.
        tokenizer: the folder of its tokenizer, or None.
        ignored: files that are there and never opened.
        digest: of the weights, if all bytes were read; the one that `load_weights` gives without `rows`.
        problems: everything that is wrong; may have several lines each.
    """

    folder: Path
    family: Family | None
    model: ModelConfig | None
    own_backbone: bool
    files: tuple[tuple[str, int], ...]
    parts: tuple[Part, ...]
    embodiments: tuple[EmbodimentReport, ...]
    tokenizer: Path | None
    ignored: tuple[str, ...]
    digest: str | None
    problems: tuple[str, ...]


def examine(
    folder: Path, expected: Callable[[ModelConfig], Expectation] | None = None, full: bool = False
) -> CheckpointReport:
    """Examines a checkpoint folder and never stops at the first problem.

    Args:
        folder: with config.json in it, see `source.resolve`.
        expected: what a model of that configuration needs; names and shapes are not compared without it.
        full: whether to read all weights that the model needs, look for NaN and infinity, and compute the digest.
    """
    files, problems = gather(folder)
    model = _model(files, problems)
    wanted = None
    if model is not None and expected is not None and files.weights.files:
        try:
            wanted = expected(model)
        except CheckpointError as problem:
            problems.append(str(problem))
    is_unused = wanted.is_unused if wanted else _nothing
    if wanted is not None:
        shapes = {name: Wanted(shape) for name, shape in wanted.shapes.items()}
        lines = differences(shapes, files.weights.tensors, is_unused)
        if lines:
            problems.append("\n".join(["the weights do not fit the model:", *(f"  {line}" for line in lines)]))
    digest = _read_all(files.weights, is_unused, problems) if full else None
    embodiments = examine_embodiments(files, model, problems)
    if model is not None:
        problems += processing_problems(files, model)
    return CheckpointReport(
        folder=folder,
        family=files.family,
        model=model,
        own_backbone=files.backbone_config is not None,
        files=_sizes(files.weights),
        parts=_parts(files.weights, is_unused),
        embodiments=embodiments,
        tokenizer=files.tokenizer,
        ignored=files.ignored,
        digest=digest if wanted else None,
        problems=tuple(shorten(problems, MOST_PROBLEMS)),
    )


def _nothing(name: str) -> bool:
    return False


def _model(files: CheckpointFiles, problems: list[str]) -> ModelConfig | None:
    if not files.config:  # which is told already
        return None
    try:
        return parse_config(files.config, files.backbone_config)
    except CheckpointError as problem:
        problems.append(str(problem))
        return None


def _read_all(weights: StoredWeights, is_unused: Callable[[str], bool], problems: list[str]) -> str | None:
    """The digest of what is needed; tensors that hold NaN or infinity become a problem."""
    jobs = [stream.Job(tensor) for name, tensor in weights.tensors.items() if not is_unused(name)]
    try:
        seen = stream.read(jobs)
    except CheckpointError as problem:
        problems.append(str(problem))
        return None
    checked = {job.tensor: one for job, one in zip(jobs, seen, strict=True)}
    broken = sorted(tensor.name for tensor, one in checked.items() if not one.finite)
    if broken:
        problems.append(f"{len(broken)} tensors hold NaN or infinity: {quote(broken)}")
    return stream.digest({tensor: (None, one) for tensor, one in checked.items()})


def _sizes(weights: StoredWeights) -> tuple[tuple[str, int], ...]:
    return tuple((path.name, path.stat().st_size) for path in weights.files)


def _parts(weights: StoredWeights, is_unused: Callable[[str], bool]) -> tuple[Part, ...]:
    groups: dict[str, list[StoredTensor]] = {name: [] for name in PARTS}
    for name, tensor in weights.tensors.items():
        groups["not used" if is_unused(name) else part_of(name)].append(tensor)
    return tuple(_part(name, tensors) for name, tensors in groups.items() if tensors)


def _part(name: str, tensors: Sequence[StoredTensor]) -> Part:
    return Part(
        name,
        len(tensors),
        sum(tensor.elements for tensor in tensors),
        sum(tensor.nbytes for tensor in tensors),
        tuple(sorted({tensor.dtype for tensor in tensors})),
    )


def part_of(name: str) -> str:
    """The part of the model, one of `PARTS`, that a tensor of that name belongs to."""
    if is_table(name):
        return "embodiment tables"
    if name.startswith("action_head."):
        return "action head"
    if not name.startswith("backbone."):
        return "other"
    pieces = name.split(".")
    places = {
        "vision": {"vision_model", "visual"},
        "language": {"language_model", "lm_head"},
        "connector": {"mlp1", "eagle_linear"},
    }
    return next((part for part, known in places.items() if known.intersection(pieces)), "other")

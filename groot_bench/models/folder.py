"""A checkpoint folder: its JSON files and weights' headers, read with every check that needs no model.

Layout of the released folders: config.json and safetensors; N1.5 has experiment_cfg/metadata.json; N1.6 and N1.7 have
processor_config.json, statistics.json and embodiment_id.json, in the folder or in processor/ inside it. A tiny
checkpoint adds backbone_config.json, the sizes of a backbone that is not the released one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groot_bench.errors import CheckpointError
from groot_bench.models.family import Family
from groot_bench.models.jsonfields import raise_if
from groot_bench.models.regular import read_json
from groot_bench.models.shards import INDEX, SINGLE, StoredWeights, open_weights, pickled

CONFIG = "config.json"
BACKBONE = "backbone_config.json"
PROCESSOR = "processor_config.json"
STATISTICS = "statistics.json"
EMBODIMENTS = "embodiment_id.json"
METADATA = "experiment_cfg/metadata.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
SUBFOLDERS = ("", "processor", "tokenizer")


@dataclass(frozen=True)
class CheckpointFiles:
    """What a folder holds; the JSON objects are strict JSON, but not yet held against a schema.

    Attributes:
        folder: where.
        config: config.json; empty only where `gather` met a problem.
        backbone_config: sizes of the backbone; None for the released ones.
        processor, statistics, embodiment_id: of N1.6 and N1.7, else None.
        metadata: experiment_cfg/metadata.json of N1.5, else None.
        weights: names, shapes and places of the stored tensors.
        tokenizer: the folder with the tokenizer's files, or None; released checkpoints have none.
        ignored: files that are never opened: pickled ones, and safetensors that are no shard of the model.
    """

    folder: Path
    config: Mapping[str, Any]
    backbone_config: Any
    processor: Any
    statistics: Any
    embodiment_id: Any
    metadata: Any
    weights: StoredWeights
    tokenizer: Path | None
    ignored: tuple[str, ...]

    @property
    def family(self) -> Family | None:
        """By `model_type` in config.json; None where that is unknown (`parse_config` then says so)."""
        return _family(self.config)


def open_checkpoint(folder: Path) -> CheckpointFiles:
    """Reads a checkpoint folder.

    Raises:
        CheckpointError: files are missing, damaged or refused; all are listed. See `open_weights` and `parse_strict`.
    """
    files, problems = gather(folder)
    raise_if(problems, f"{folder} is no usable checkpoint")
    return files


def gather(folder: Path) -> tuple[CheckpointFiles, list[str]]:
    """Whatever of a folder can be read, and everything that is wrong with the rest."""
    problems: list[str] = []
    if not os.path.isdir(folder) or not os.access(folder, os.R_OK | os.X_OK):
        problems.append(f"{folder}: is not a folder that can be read")
        return CheckpointFiles(folder, {}, None, None, None, None, None, StoredWeights((), {}), None, ()), problems
    config = _json(folder, CONFIG, problems)
    if config == {}:
        problems.append(f"{folder / CONFIG}: is an empty object")
    try:
        weights = open_weights(folder)
    except CheckpointError as problem:
        problems.append(str(problem))
        weights = StoredWeights((), {})
    values = {name: _json(place, name, problems) for place, name in _processor_files(folder, config or {})}
    return (
        CheckpointFiles(
            folder,
            config or {},
            backbone_config=_backbone(folder, problems),
            processor=values.get(PROCESSOR),
            statistics=values.get(STATISTICS),
            embodiment_id=values.get(EMBODIMENTS),
            metadata=values.get(METADATA),
            weights=weights,
            tokenizer=_tokenizer(folder),
            ignored=_ignored(folder, weights),
        ),
        problems,
    )


def _json(folder: Path, name: str, problems: list[str]) -> dict[str, Any] | None:
    """The object in a file; None, and a problem, where there is none."""
    try:
        value = read_json(folder, name)
    except CheckpointError as problem:
        problems.append(str(problem))
        return None
    if not isinstance(value, dict):
        problems.append(f"{folder / name}: expected an object, got {type(value).__name__}")
        return None
    return value


def _backbone(folder: Path, problems: list[str]) -> dict[str, Any] | None:
    """The backbone's sizes, from the folder, or from beside a folder named "checkpoint" (reference sets have it so)."""
    places = [folder, *([folder.parent] if folder.name == "checkpoint" else [])]
    for place in places:
        if os.path.lexists(place / BACKBONE):
            return _json(place, BACKBONE, problems)
    return None


def _processor_files(folder: Path, config: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Which files the family has, and where; the original looks into the folder and then into processor/."""
    family = _family(config)
    if family is None:
        return []
    if family is Family.N15:
        return [(folder, METADATA)]
    inner = folder / "processor"
    place = inner if not os.path.lexists(folder / PROCESSOR) and os.path.lexists(inner / PROCESSOR) else folder
    return [(place, name) for name in (PROCESSOR, STATISTICS, EMBODIMENTS)]


def _family(config: Mapping[str, Any]) -> Family | None:
    return next((family for family in Family if family.model_type == config.get("model_type")), None)


def _tokenizer(folder: Path) -> Path | None:
    places = [folder / name for name in SUBFOLDERS]
    return next((place for place in places if any(os.path.lexists(place / name) for name in TOKENIZER_FILES)), None)


def _ignored(folder: Path, weights: StoredWeights) -> tuple[str, ...]:
    used = {path.name for path in weights.files} | {SINGLE, INDEX}
    others = [path.name for path in folder.glob("*.safetensors") if path.name not in used]
    return tuple(sorted([*pickled(folder), *others]))

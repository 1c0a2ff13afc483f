"""Which embodiments a checkpoint serves: slots, modalities, statistics, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.config import ModelConfig
from groot_bench.models.data_configs import read_data_config
from groot_bench.models.embodiments import SLOTS_N15, name_of
from groot_bench.models.family import Family
from groot_bench.models.folder import EMBODIMENTS, METADATA, PROCESSOR, CheckpointFiles
from groot_bench.models.jsonfields import Fields
from groot_bench.models.processing.codec_n15 import statistics_problems_n15
from groot_bench.models.processing.codec_n17 import statistics_problems
from groot_bench.models.processing.data_config_n15 import DataConfigN15, unrunnable
from groot_bench.models.processing.modality import MODALITIES, EmbodimentConfig, ProcessorConfig, parse_processor
from groot_bench.models.processing.statistics import Statistics, parse_statistics, present_statistics, read_groups

MAX_TAGS = 512


@dataclass(frozen=True)
class ModalityReport:
    """The keys of one modality, and the time steps that are read or returned; None where the checkpoint has none."""

    keys: tuple[str, ...]
    steps: tuple[int, ...] | None


@dataclass(frozen=True)
class EmbodimentReport:
    """One tag.

    Attributes:
        tag: as the checkpoint spells it. name: in the original's enum, or None.
        slot: row of the per-embodiment tables, or None where nothing says it.
        modalities: video, state, action, language -> what is read; empty without a modality configuration.
        statistics: state, action, relative_action -> keys that have statistics.
    """

    tag: str
    name: str | None
    slot: int | None
    modalities: Mapping[str, ModalityReport]
    statistics: Mapping[str, tuple[str, ...]]


def examine_embodiments(
    files: CheckpointFiles, model: ModelConfig | None, problems: list[str]
) -> tuple[EmbodimentReport, ...]:
    """The embodiments of a checkpoint; what is wrong with them is added to `problems`."""
    if files.family is None:
        return ()
    found = _n15(files, problems) if files.family is Family.N15 else _n17(files, model, problems)
    rows = model.head.embodiments if model else None
    problems += [
        f"{one.tag!r}: its slot {one.slot} is beyond the {rows} rows of the embodiment tables"
        for one in found
        if rows is not None and one.slot is not None and one.slot >= rows
    ]
    return tuple(found)


def _n15(files: CheckpointFiles, problems: list[str]) -> list[EmbodimentReport]:
    """Each tag of metadata.json; which keys are read, and how, only the user's data configuration says."""
    if files.metadata is None:  # which is told already
        return []
    root = Fields(files.metadata, METADATA, problems)
    if not root.data:
        problems.append(f"{METADATA}: has no embodiment")
    found = []
    if len(root.data) > MAX_TAGS:
        problems.append(f"{METADATA}: {len(root.data)} embodiments; at most {MAX_TAGS} are looked at")
    for tag in list(root.data)[:MAX_TAGS]:
        entry = root.inner(tag)
        config = _data_config(files.folder, tag, problems)
        if config is not None:
            problems += [f"data configuration of {tag!r}: {line}" for line in unrunnable(config)]
            problems += [f"embodiment {tag!r}: {line}" for line in statistics_problems_n15(entry.data, config)]
        statistics = _groups(entry)
        described = entry.inner("modalities")
        modalities = {
            name: ModalityReport(tuple(described.inner(name).data), None) for name in MODALITIES if name in described
        }
        for group in ("state", "action"):
            lacking = set(modalities[group].keys if group in modalities else ()) - set(statistics.get(group, ()))
            problems += [f"{METADATA}: {tag!r}: {group}.{key} has no statistics" for key in sorted(lacking)]
        if tag not in SLOTS_N15:
            problems.append(f"{METADATA}: {tag!r} has no slot; N1.5 has those of {', '.join(sorted(SLOTS_N15))}")
        found.append(EmbodimentReport(tag, name_of(tag, Family.N15), SLOTS_N15.get(tag), modalities, statistics))
    return found


def _data_config(folder: Path, tag: str, problems: list[str]) -> DataConfigN15 | None:
    """The embodiment's data configuration, where the folder has one; released N1.5 folders do not."""
    try:
        return read_data_config(folder, tag)
    except GrootBenchError as problem:
        problems.append(str(problem))
        return None


def _groups(entry: Fields) -> dict[str, tuple[str, ...]]:
    return {group: tuple(keys) for group, keys in read_groups(entry.inner("statistics")).items()}


def _n17(files: CheckpointFiles, model: ModelConfig | None, problems: list[str]) -> list[EmbodimentReport]:
    """Each tag that has a modality configuration or a slot, N1.6 and N1.7."""
    assert files.family is not None
    slots = _slots(files.embodiment_id, problems)
    processor = _processor(files.processor, problems)
    statistics = _statistics(files.statistics, problems)
    served = processor.embodiments if processor else {}
    for tag in served:
        if files.embodiment_id is not None and tag not in slots:
            problems.append(f"{EMBODIMENTS}: {tag!r} of {PROCESSOR} has no slot")
        if processor is not None and statistics is not None:
            problems += [f"embodiment {line}" for line in statistics_problems(processor, statistics, tag)]
    if processor is not None and not served:
        problems.append(f"{PROCESSOR}: has no embodiment")
    if processor is not None and model is not None:
        problems += _size_problems(processor, model)
    return [
        EmbodimentReport(
            tag,
            name_of(tag, files.family),
            slots.get(tag),
            _modalities(served.get(tag)),
            present_statistics(statistics or {}, tag),
        )
        for tag in dict.fromkeys([*served, *slots])
    ]


def _slots(value: Any, problems: list[str]) -> dict[str, int]:
    if value is None:
        return {}
    fields = Fields(value, EMBODIMENTS, problems)
    return {tag: fields.size(tag, least=0, most=1 << 14) for tag in fields.data}


def _processor(value: Any, problems: list[str]) -> ProcessorConfig | None:
    try:
        return None if value is None else parse_processor(value)
    except CheckpointError as problem:
        problems.append(str(problem))
        return None


def _statistics(value: Any, problems: list[str]) -> Statistics | None:
    try:
        return None if value is None else parse_statistics(value)
    except CheckpointError as problem:
        problems.append(str(problem))
        return None


def _size_problems(processor: ProcessorConfig, model: ModelConfig) -> list[str]:
    pairs = [
        ("max_state_dim", processor.max_state_dim, model.head.state_dim),
        ("max_action_dim", processor.max_action_dim, model.head.action_dim),
        ("max_action_horizon", processor.max_action_horizon, model.head.horizon),
    ]
    return [f"{PROCESSOR}: {name} is {have}, but the model's is {want}" for name, have, want in pairs if have != want]


def _modalities(config: EmbodimentConfig | None) -> dict[str, ModalityReport]:
    if config is None:
        return {}
    parts = {name: getattr(config, name) for name in MODALITIES}
    return {name: ModalityReport(part.modality_keys, part.delta_indices) for name, part in parts.items()}

"""Codecs of N1.6 and N1.7, whose checkpoints say everything: modality configs, statistics, switches."""

from __future__ import annotations

from collections.abc import Mapping

from groot_bench.errors import UnknownName
from groot_bench.models.jsonfields import raise_if
from groot_bench.models.processing.codec import KeyCodec, Relation, size_problems
from groot_bench.models.processing.modality import (
    ActionConfig,
    ActionFormat,
    ActionRepresentation,
    ActionType,
    ProcessorConfig,
)
from groot_bench.models.processing.poses import POSE_DIMS
from groot_bench.models.processing.scaling import Periodic, Range, Scaler, Standard
from groot_bench.models.processing.statistics import Needed, Statistics


def make_codec_n17(processor: ProcessorConfig, statistics: Statistics, tag: str, embodiment: int) -> KeyCodec:
    """The codec of one embodiment of an N1.6 or N1.7 checkpoint.

    Args:
        processor: of `parse_processor`.
        statistics: of `parse_statistics`.
        tag: of the embodiment, as the processor spells it.
        embodiment: its row of the model's per-embodiment tables, of embodiment_id.json.

    Raises:
        UnknownName: the processor has no such tag.
        CheckpointError: with everything that is missing or wrong for that tag.
    """
    if tag not in processor.embodiments:
        raise UnknownName("embodiment tag", tag, processor.embodiments)
    codec, problems = _build(processor, statistics, tag, embodiment)
    raise_if(problems, f"the checkpoint cannot serve embodiment {tag!r}")
    return codec


def statistics_problems(processor: ProcessorConfig, statistics: Statistics, tag: str) -> list[str]:
    """What keeps a codec of that tag from being made, one line each; empty where nothing does."""
    if tag not in processor.embodiments:
        return [f"{tag}: has no modality configuration"]
    return _build(processor, statistics, tag, 0)[1]


def _build(processor: ProcessorConfig, statistics: Statistics, tag: str, embodiment: int) -> tuple[KeyCodec, list[str]]:
    """The codec, which may be used only where there are no problems."""
    config = processor.embodiments[tag]
    needed = Needed(statistics.get(tag, {}), tag, [])
    states = _states(processor, tag, needed)
    actions, relations = _actions(processor, tag, needed)
    codec = KeyCodec(
        tag=tag,
        embodiment=embodiment,
        state_scalers=states,
        action_scalers=actions,
        state_steps=len(config.state.delta_indices),
        horizon=len(config.action.delta_indices),
        max_state_dim=processor.max_state_dim,
        max_action_dim=processor.max_action_dim,
        max_horizon=processor.max_action_horizon,
        relations=relations,
        exclude_state=processor.exclude_state,
    )
    if not needed.problems:
        needed.problems.extend(size_problems(codec))
        needed.problems.extend(_relation_problems(codec))
    return codec, needed.problems


def _range_names(percentiles: bool) -> tuple[str, str]:
    return ("q01", "q99") if percentiles else ("min", "max")


def _states(processor: ProcessorConfig, tag: str, needed: Needed) -> dict[str, Scaler]:
    """How each state key is encoded: sine and cosine before mean and std before a range, as the original decides."""
    state = processor.embodiments[tag].state
    scalers: dict[str, Scaler] = {}
    low, high = _range_names(processor.use_percentiles)
    for key in state.modality_keys:
        if processor.apply_sincos_state_encoding and key in state.sin_cos_embedding_keys:
            if (found := needed.take("state", key, [low])) is not None:  # only to know how many angles there are
                scalers[key] = Periodic(int(found[low].shape[-1]))
        elif key in state.mean_std_embedding_keys:
            if (found := needed.take("state", key, ["mean", "std"])) is not None:
                scalers[key] = Standard(found["mean"], found["std"], clip=False)
        elif (found := needed.take("state", key, [low, high])) is not None:
            scalers[key] = Range(found[low], found[high], processor.clip_outliers)
    return scalers


def _actions(processor: ProcessorConfig, tag: str, needed: Needed) -> tuple[dict[str, Scaler], dict[str, Relation]]:
    """How each action key is encoded, and what the relative ones are relative to.

    Relative keys are scaled step by step, and by min and max whatever `use_percentiles` says; the original does so.
    """
    config = processor.embodiments[tag]
    scalers: dict[str, Scaler] = {}
    relations: dict[str, Relation] = {}
    for key in config.action.modality_keys:
        action = config.action.action_config(key)
        relative = action.rep is ActionRepresentation.RELATIVE and processor.use_relative_action
        if relative:
            relations[key] = Relation(action.state_key or key, action.format)
            needed.problems.extend(f"{tag}: action.{key}: {line}" for line in _format_problems(action))
            if relations[key].state_key not in config.state.modality_keys:
                needed.problems.append(
                    f"{tag}: action.{key}: is relative to state {relations[key].state_key!r}, which is not read "
                    f"(read: {', '.join(config.state.modality_keys)})"
                )
        group, steps = ("relative_action", len(config.action.delta_indices)) if relative else ("action", None)
        if key in config.action.mean_std_embedding_keys:
            if (found := needed.take(group, key, ["mean", "std"], steps)) is not None:
                scalers[key] = Standard(found["mean"], found["std"], processor.clip_outliers)
        else:
            low, high = _range_names(processor.use_percentiles and not relative)
            if (found := needed.take(group, key, [low, high], steps)) is not None:
                scalers[key] = Range(found[low], found[high], processor.clip_outliers)
    return scalers, relations


def _format_problems(action: ActionConfig) -> list[str]:
    """A pose needs a pose's layout, and a plain vector has none."""
    poses = ", ".join(layout.name for layout in POSE_DIMS)
    if action.type is ActionType.EEF and action.format not in POSE_DIMS:
        return [f"a relative EEF action has format {action.format.name}; supported: {poses}"]
    if action.type is ActionType.NON_EEF and action.format is not ActionFormat.DEFAULT:
        return [f"a relative NON_EEF action has format {action.format.name}; expected DEFAULT"]
    return []


def _relation_problems(codec: KeyCodec) -> list[str]:
    """Relative actions and their reference states that differ in width, or are no poses."""
    found = []
    actions: Mapping[str, int] = codec.action_dims
    for key, relation in codec.relations.items():
        dims, reference = actions[key], codec.state_dims[relation.state_key]
        pose = POSE_DIMS.get(relation.layout, dims)
        if dims != pose:
            found.append(f"{codec.tag}: action.{key}: has {dims} numbers; {relation.layout.name} has {pose}")
        if dims != reference:
            found.append(
                f"{codec.tag}: action.{key}: has {dims} numbers, but state.{relation.state_key}, to which it is "
                f"relative, has {reference}"
            )
    return found

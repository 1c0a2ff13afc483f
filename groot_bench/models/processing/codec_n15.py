"""Codecs of N1.5: statistics and dimensions of the checkpoint's metadata, everything else of the data configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.processing.codec import KeyCodec, size_problems
from groot_bench.models.processing.data_config_n15 import DataConfigN15
from groot_bench.models.processing.rotations import DIMS, EULER_KINDS, KINDS
from groot_bench.models.processing.scaling import Periodic, Scaler
from groot_bench.models.processing.scaling_n15 import Binary, PlainRange, PlainStandard, Rotated, Unscaled
from groot_bench.models.processing.statistics import Needed, read_groups

WHERE = "metadata.json"
NEEDED_NAMES = {"min_max": ("min", "max"), "q99": ("q01", "q99"), "mean_std": ("mean", "std")}
HALF_RANGE = {"rotation_6d": 1.0, "quaternion": 1.0, "axis_angle": np.pi, **dict.fromkeys(EULER_KINDS, np.pi)}


def make_codec_n15(
    metadata_entry: object,
    data_config: DataConfigN15,
    max_state_dim: int,
    max_action_dim: int,
    action_horizon: int,
    embodiment: int,
) -> KeyCodec:
    """The codec of one embodiment of an N1.5 checkpoint.

    Args:
        metadata_entry: what parsed metadata.json has under the embodiment's tag.
        data_config: with which the checkpoint was trained.
        max_state_dim, max_action_dim: padded widths. action_horizon: control steps that the model returns.
        embodiment: row of the model's per-embodiment tables.

    Raises:
        CheckpointError: with everything that is missing or wrong.
    """
    codec, problems = _build(metadata_entry, data_config, (max_state_dim, max_action_dim, action_horizon), embodiment)
    raise_if(problems, f"the checkpoint cannot serve embodiment {codec.tag!r} with this data configuration")
    return codec


def statistics_problems_n15(metadata_entry: object, data_config: DataConfigN15) -> list[str]:
    """What keeps a codec from being made, one line each, whatever the model's sizes; empty where nothing does."""
    return _build(metadata_entry, data_config, None, 0)[1]


@dataclass(frozen=True)
class _Key:
    """What metadata.json says of one state or action key."""

    dims: int
    rotation: str | None
    absolute: bool
    continuous: bool


def _build(
    entry: object, config: DataConfigN15, sizes: tuple[int, int, int] | None, embodiment: int
) -> tuple[KeyCodec, list[str]]:
    """The codec, which may be used only where there are no problems; sizes of None fit whatever is there."""
    problems: list[str] = []
    fields = Fields(entry, WHERE, problems)
    tag = fields.text("embodiment_tag")
    needed = Needed(read_groups(fields.inner("statistics")), tag, problems)
    modalities = fields.inner("modalities")
    states = _scalers("state", config.state_keys, config, modalities, needed)
    actions = _scalers("action", config.action_keys, config, modalities, needed)
    if sizes is None:
        widths = [sum(scaler.width for scaler in group.values()) for group in (states, actions)]
        sizes = (widths[0], widths[1], config.horizon)
    codec = KeyCodec(
        tag=tag,
        embodiment=embodiment,
        state_scalers=states,
        action_scalers=actions,
        state_steps=config.observation_steps,
        horizon=config.horizon,
        max_state_dim=sizes[0],
        max_action_dim=sizes[1],
        max_horizon=sizes[2],
    )
    if not problems:
        problems.extend(size_problems(codec))
    if codec.horizon < codec.max_horizon:
        problems.append(f"{tag}: the data configuration has a horizon of {codec.horizon}; the model's is {sizes[2]}")
    return codec, problems


def _scalers(
    group: str, keys: Sequence[str], config: DataConfigN15, modalities: Fields, needed: Needed
) -> dict[str, Scaler]:
    """How each key of one modality is encoded, by its name without prefix."""
    described = modalities.inner(group)
    found: dict[str, Scaler] = {}
    for key in keys:
        name = key.partition(".")[2]
        known = _describe(described, name)
        scaler = _scaler(key, known, config, needed) if known is not None else None
        if scaler is None:
            continue
        if group == "action" and scaler.width != scaler.dims:
            # The original cuts the model's output by the raw widths.
            needed.problems.append(f"{needed.where}: {key}: {scaler.dims} numbers become {scaler.width}; must be equal")
        found[name] = scaler
    return found


def _describe(described: Fields, name: str) -> _Key | None:
    """What is said of a key; None, and a problem, where that is wrong."""
    if name not in described.data:
        described.complain(name, "is missing")
        return None
    before = len(described.problems)
    fields = described.inner(name)
    shape = fields.sizes("shape")
    if len(described.problems) == before and (len(shape) != 1 or not shape[0]):
        fields.complain("shape", f"expected one number of 1 or more, got {list(shape)}")
    rotation = fields.text("rotation_type", choices=KINDS) if "rotation_type" in fields else None
    for required in ("absolute", "continuous"):
        if required not in fields:
            fields.complain(required, "is missing")
    known = _Key(shape[0] if shape else 0, rotation, fields.flag("absolute", True), fields.flag("continuous", True))
    if rotation is not None and len(described.problems) == before and known.dims != DIMS[rotation]:
        fields.complain("shape", f"is {known.dims}, but a rotation as {rotation} has {DIMS[rotation]} numbers")
    return known if len(described.problems) == before else None


def _scaler(key: str, known: _Key, config: DataConfigN15, needed: Needed) -> Scaler | None:
    """How one key is encoded: a rotation first where one is wanted, then the mode."""
    if key in config.sin_cos:
        return Periodic(known.dims)
    target, mode = config.target_rotations.get(key), config.mode(key)
    if target is not None and target != known.rotation:
        problem = _rotation_problem(known, target, mode)
        if problem:
            needed.problems.append(f"{needed.where}: {key}: {problem}")
            return None
        assert known.rotation is not None
        return Rotated(known.rotation, target, _rotated_inner(target, mode))
    if not known.continuous and mode not in ("binary", "none"):
        needed.problems.append(f"{needed.where}: {key}: is not continuous, so its mode must be binary, not {mode}")
        return None
    return _plain(key, known.dims, mode, needed)


def _rotation_problem(known: _Key, target: str, mode: str) -> str:
    """Why a rotation cannot be converted and scaled in that way, as the original has it; "" where it can."""
    if known.rotation is None:
        return f"is to become {target}, but metadata.json gives it no rotation_type"
    if known.rotation in EULER_KINDS and target in EULER_KINDS:
        return f"Euler angles {known.rotation} are not converted to {target}"
    if mode == "none":
        return ""
    if not known.absolute:
        return "is a relative rotation, which cannot be normalised once it is converted"
    if mode != "min_max" or target not in HALF_RANGE:
        return f"a rotation that is converted to {target} cannot have the mode {mode}"
    return ""


def _rotated_inner(target: str, mode: str) -> Scaler:
    """A converted rotation has the bounds of its representation, and not the statistics of the stored one."""
    if mode == "none":
        return Unscaled(DIMS[target])
    half = np.full(DIMS[target], HALF_RANGE[target])
    return PlainRange(-half, half, quantiles=False)


def _plain(key: str, dims: int, mode: str, needed: Needed) -> Scaler | None:
    """A key that keeps its representation."""
    if mode == "binary":
        return Binary(dims)
    if mode == "none":
        return Unscaled(dims)
    group, _, name = key.partition(".")
    names = NEEDED_NAMES[mode]
    there = needed.take(group, name, names)
    if there is None:
        return None
    one, two = there[names[0]], there[names[1]]
    if len(one) != dims:
        needed.problems.append(f"{needed.where}: {key}: has {dims} numbers, but statistics of {len(one)}")
        return None
    return PlainStandard(one, two) if mode == "mean_std" else PlainRange(one, two, quantiles=mode == "q99")

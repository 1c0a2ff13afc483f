"""The processor files of a tiny checkpoint: modality configurations and statistics in the released layouts.

Statistics are made up from the bounds that a suite states (-1 to 1 where it states none), so that decoded actions lie
within the bounds of the actions. Angles are encoded by sine and cosine, everything else by its range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from groot_bench.models.data_configs import DATA_CONFIG, data_config_name
from groot_bench.models.family import Family
from groot_bench.models.folder import EMBODIMENTS, METADATA, PROCESSOR, STATISTICS
from groot_bench.models.tiny_config import Sizes
from groot_bench.models.tiny_embodiments import Span, TinyEmbodiment

Json = dict[str, Any]

N15_SHARE = 0.15  # of an action's bounds: N1.5 does not clip what a model returns, but that is hardly ever beyond +-6
MARGIN = 0.01  # of the range, from min to q01 and from q99 to max
FIRST_STEP_SHARE = 0.25  # of a relative action's bounds at the first control step; it grows to all at the last


def encoded_width(state: Mapping[str, Span]) -> int:
    """Numbers of a state as the model reads it; an angle has two."""
    return sum(span.size * (2 if span.angle else 1) for span in state.values())


def processor_files(
    family: Family, embodiments: Sequence[TinyEmbodiment], sizes: Sizes, control_hz: float
) -> dict[str, Json]:
    """File name -> JSON value.

    A data configuration of N1.5 is of one embodiment: that of the first is data_config.json, those of others are
    data_config.<tag>.json.

    Args:
        control_hz: frames a second of the videos that the model would have been trained on.
    """
    if family is Family.N15:
        files = {METADATA: {one.tag: _metadata(one, control_hz) for one in embodiments}}
        for index, one in enumerate(embodiments):
            files[data_config_name(one.tag) if index else DATA_CONFIG] = _data_config(one, sizes.horizon)
        return files
    return {
        PROCESSOR: _processor(family, embodiments, sizes),
        STATISTICS: {one.tag: _statistics(one, sizes.horizon) for one in embodiments},
        EMBODIMENTS: {one.tag: one.slot for one in embodiments},
    }


def relative_part(one: TinyEmbodiment) -> tuple[str, str, float, float] | None:
    """The action that is relative, the state it is relative to, and from where to where it may go; None for none.

    It is the first action that stays within its bounds whatever the state is: the state has as many numbers, bounds
    that the suite states, and a smaller range.
    """
    for action, a in one.action.items():
        for state, s in one.state.items():
            low, high = a.low - s.low, a.high - s.high
            if s.bounded and s.size == a.size and low < high:
                return action, state, low, high
    return None


def _metadata(one: TinyEmbodiment, control_hz: float) -> Json:
    video = {name: {"resolution": list(size), "channels": 3, "fps": control_hz} for name, size in one.cameras.items()}
    state = {name: _range(span.low, span.high, span.size) for name, span in one.state.items()}
    action = {}
    for name, span in one.action.items():
        center, half = (span.high + span.low) / 2, N15_SHARE * (span.high - span.low) / 2
        action[name] = _range(center - half, center + half, span.size)
    return {
        "embodiment_tag": one.tag,
        "statistics": {"state": state, "action": action},
        "modalities": {
            "video": video,
            "state": {name: _described(span) for name, span in one.state.items()},
            "action": {name: _described(span) for name, span in one.action.items()},
        },
    }


def _described(span: Span) -> Json:
    return {"absolute": True, "rotation_type": None, "shape": [span.size], "continuous": True}


def _data_config(one: TinyEmbodiment, horizon: int) -> Json:
    return {
        "video_keys": [f"video.{name}" for name in one.cameras],
        "state_keys": [f"state.{name}" for name in one.state],
        "action_keys": [f"action.{name}" for name in one.action],
        "language_keys": [one.language],
        "state_modes": {f"state.{name}": "min_max" for name, span in one.state.items() if not span.angle},
        "action_modes": {f"action.{name}": "min_max" for name in one.action},
        "sin_cos": [f"state.{name}" for name, span in one.state.items() if span.angle],
        "horizon": horizon,
        "observation_steps": 1,
    }


def _processor(family: Family, embodiments: Sequence[TinyEmbodiment], sizes: Sizes) -> Json:
    kwargs: Json = {
        "modality_configs": {one.tag: _modalities(one, sizes.horizon) for one in embodiments},
        "image_crop_size": None,
        "image_target_size": None,
        "use_albumentations": True,
        "random_rotation_angle": None,
        "color_jitter_params": None,
        "shortest_image_edge": 256,
        "crop_fraction": 0.95,
        "model_name": "nvidia/Eagle-Block2A-2B-v2",
        "model_type": "eagle",
        "formalize_language": True,
        "max_state_dim": sizes.state,
        "max_action_dim": sizes.action,
        "max_action_horizon": sizes.horizon,
        "use_percentiles": False,
        "clip_outliers": True,
        "apply_sincos_state_encoding": True,
        "use_relative_action": True,
    }
    if family is Family.N17:
        kwargs |= {
            "model_name": "nvidia/Cosmos-Reason2-2B",
            "model_type": "qwen",
            "use_percentiles": True,
            "use_mean_std": False,
            "letter_box_transform": False,
            "exclude_state": False,
            "state_dropout_prob": 0.0,
        }
    title = {Family.N16: "Gr00tN1d6Processor", Family.N17: "Gr00tN1d7Processor"}[family]
    return {"processor_class": title, "processor_kwargs": kwargs}


def _modalities(one: TinyEmbodiment, horizon: int) -> Json:
    angles = [name for name, span in one.state.items() if span.angle]
    return {
        "video": _modality(one.cameras, [0]),
        "state": _modality(one.state, [0], sin_cos_embedding_keys=angles or None),
        "action": _modality(one.action, list(range(horizon)), action_configs=_action_configs(one)),
        "language": _modality([one.language], [0]),
    }


def _modality(keys: Mapping[str, object] | Sequence[str], steps: list[int], **others: object) -> Json:
    empty = {"sin_cos_embedding_keys": None, "mean_std_embedding_keys": None, "action_configs": None}
    return {"delta_indices": steps, "modality_keys": list(keys), **empty, **others}


def _action_configs(one: TinyEmbodiment) -> list[Json]:
    relative = relative_part(one)
    configs: list[Json] = []
    for name in one.action:
        chosen = relative is not None and relative[0] == name
        configs.append(
            {
                "rep": "RELATIVE" if chosen else "ABSOLUTE",
                "type": "NON_EEF",
                "format": "DEFAULT",
                "state_key": relative[1] if relative is not None and chosen else None,
            }
        )
    return configs


def _statistics(one: TinyEmbodiment, horizon: int) -> Json:
    groups: Json = {
        "state": {name: _range(span.low, span.high, span.size) for name, span in one.state.items()},
        "action": {name: _range(span.low, span.high, span.size) for name, span in one.action.items()},
    }
    relative = relative_part(one)
    if relative is not None:
        action, _, low, high = relative
        groups["relative_action"] = {action: _growing_range(low, high, one.action[action].size, horizon)}
    return groups


def _growing_range(low: float, high: float, size: int, horizon: int) -> Json:
    """One row for each control step, the ranges growing about their center."""
    rows = []
    for step in range(horizon):
        share = FIRST_STEP_SHARE + (1 - FIRST_STEP_SHARE) * (step + 1) / horizon
        center, half = (high + low) / 2, share * (high - low) / 2
        rows.append(_range(center - half, center + half, size))
    return {name: [row[name] for row in rows] for name in rows[0]}


def _range(low: float, high: float, size: int) -> Json:
    """Statistics of numbers that are spread evenly from low to high."""
    margin = MARGIN * (high - low)
    numbers = {
        "max": high,
        "min": low,
        "mean": (high + low) / 2,
        "std": (high - low) / 12**0.5,
        "q01": low + margin,
        "q99": high - margin,
    }
    return {name: [float(number)] * size for name, number in numbers.items()}

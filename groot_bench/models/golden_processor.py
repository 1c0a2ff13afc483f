"""State and action processing compared with `processor.json` and `processor.npz` of a golden folder.

`processor.json` has sizes, configurations, statistics and a list of cases; a case names an embodiment tag, switches
(N1.6 and N1.7) and the prefix of its arrays in `processor.npz`. Inputs there are `raw_state/<key>`, `raw_action/<key>`
and `model_output`, one row a sample; every other array is an output that this implementation must reproduce.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.arrays import read_arrays
from groot_bench.models.difference import Difference, largest_difference
from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.processing.codec import KeyCodec
from groot_bench.models.processing.codec_n15 import make_codec_n15
from groot_bench.models.processing.codec_n17 import make_codec_n17
from groot_bench.models.processing.data_config_n15 import parse_data_config
from groot_bench.models.processing.modality import parse_processor
from groot_bench.models.processing.statistics import parse_statistics
from groot_bench.models.regular import read_json

JSON_FILE = "processor.json"
NPZ_FILE = "processor.npz"
TOLERANCE = 1e-5
INPUTS = ("raw_state/", "raw_action/", "model_output")
EXACT = ("action_mask", "state_mask", "embodiment_id")
SINGLE = ("state", "action")  # what the model reads is float32, so that is what is compared
OPTIONAL = ("state_mask", "round_trip_action/")  # recorded for one family each
SWITCHES = ("use_percentiles", "clip_outliers", "apply_sincos_state_encoding", "use_relative_action", "exclude_state")

Arrays = dict[str, np.ndarray]


def compare_processor(folder: Path) -> Iterator[Difference]:
    """Every field of every case, one by one; what cannot be compared has an infinite difference.

    Args:
        folder: of one family, with processor.json and processor.npz.
    """
    try:
        golden, arrays = read_json(folder, JSON_FILE), read_arrays(folder / NPZ_FILE)
        cases = _cases(golden)
    except CheckpointError as problem:
        yield Difference(JSON_FILE, str(problem), math.inf, TOLERANCE)
        return
    used: set[str] = set()
    for prefix, case in cases.items():
        own = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        used.update(prefix + name for name in own)
        yield from _compare_case(golden, case, prefix, own)
    for name in arrays:
        if name not in used:
            yield Difference(NPZ_FILE, f"{name} (is of no case)", math.inf, TOLERANCE)


def golden_codec(golden: Mapping[str, Any], case: Mapping[str, Any]) -> KeyCodec:
    """The codec that a case of parsed processor.json describes.

    Raises:
        GrootBenchError: it describes none.
    """
    tag = str(case.get("embodiment_tag"))
    if "modality_configs" not in golden:
        return _codec_n15(golden, tag)
    flags = case.get("flags")
    if not isinstance(flags, dict) or not set(flags) <= set(SWITCHES):
        raise CheckpointError(f"flags: expected switches among {', '.join(SWITCHES)}, got {flags!r}")
    sizes = {name: golden.get(name) for name in ("max_state_dim", "max_action_dim", "max_action_horizon")}
    kwargs = {"modality_configs": golden["modality_configs"], **sizes, **flags}
    processor = parse_processor({"processor_kwargs": kwargs}, JSON_FILE)
    statistics = parse_statistics(golden.get("statistics"), JSON_FILE)
    return make_codec_n17(processor, statistics, tag, _embodiment(golden, "embodiment_id", tag))


def _codec_n15(golden: Mapping[str, Any], tag: str) -> KeyCodec:
    problems: list[str] = []
    fields = Fields(golden, JSON_FILE, problems)
    entry = fields.inner("metadata").inner(tag)
    horizon = fields.size("action_horizon")
    sizes = (fields.size("max_state_dim"), fields.size("max_action_dim"), horizon)
    raise_if(problems, f"{JSON_FILE} cannot be used")
    config = {
        "video_keys": [],
        "language_keys": [],
        "state_keys": golden.get("state_order"),
        "action_keys": golden.get("action_order"),
        "state_modes": golden.get("state_normalization_modes", {}),
        "action_modes": golden.get("action_normalization_modes", {}),
        "target_rotations": {
            **golden.get("state_target_rotations", {}),
            **golden.get("action_target_rotations", {}),
        },
        "sin_cos": golden.get("state_sin_cos", []),
        "horizon": horizon,
        "observation_steps": golden.get("state_horizon", 1),
    }
    embodiment = _embodiment(golden, "embodiment_tag_mapping", tag)
    return make_codec_n15(dict(entry.data), parse_data_config(config, JSON_FILE), *sizes, embodiment)


def _embodiment(golden: Mapping[str, Any], name: str, tag: str) -> int:
    problems: list[str] = []
    row = Fields(golden, JSON_FILE, problems).inner(name).size(tag, least=0)
    raise_if(problems, f"{JSON_FILE} cannot be used")
    return row


def _compare_case(
    golden: Mapping[str, Any], case: Mapping[str, Any], prefix: str, arrays: Arrays
) -> Iterator[Difference]:
    """All fields of one case."""
    try:
        codec = golden_codec(golden, case)
    except (GrootBenchError, TypeError) as problem:  # TypeError: tables of processor.json that are no tables
        yield Difference(JSON_FILE, f"{prefix} ({problem})", math.inf, TOLERANCE)
        return
    outputs, problems = _outputs(codec, arrays)
    outputs.update(_constants(codec, arrays))
    for name, why in problems.items():
        yield Difference(NPZ_FILE, f"{prefix}{name} ({why})", math.inf, TOLERANCE)
    for name, array in arrays.items():
        plain = _without_prefix(name)
        if name.startswith(INPUTS) or plain in problems or f"{plain.partition('/')[0]}/" in problems:
            continue
        golden_array = array.astype(np.float32) if plain in SINGLE and array.dtype.kind == "f" else array
        difference = largest_difference(outputs[plain], golden_array) if plain in outputs else math.inf
        yield Difference(NPZ_FILE, prefix + name, difference, 0.0 if plain in EXACT else TOLERANCE)
    there = {_without_prefix(name) for name in arrays}
    for name in outputs:
        if name not in there and not name.startswith(OPTIONAL):
            yield Difference(NPZ_FILE, f"{prefix}{name} (is missing)", math.inf, TOLERANCE)


def _outputs(codec: KeyCodec, arrays: Arrays) -> tuple[Arrays, dict[str, str]]:
    """What this implementation makes of the inputs, and what could not be computed: beginning of names -> why."""
    raw_state, raw_action = _group(arrays, "raw_state/"), _group(arrays, "raw_action/")
    outputs: Arrays = {}
    problems: dict[str, str] = {}

    def attempt(names: tuple[str, ...], compute: Callable[[], Mapping[str, np.ndarray]]) -> None:
        try:
            outputs.update(compute())
        except (GrootBenchError, IndexError, KeyError, TypeError, ValueError) as problem:
            problems.update(dict.fromkeys(names, f"{type(problem).__name__}: {problem}"))

    def states() -> Arrays:
        rows = list(_samples(raw_state))
        return {
            "state": np.stack([codec.encode_state(row) for row in rows]),
            **_stacked("normalized_state_by_key/", [codec.normalize_state(row) for row in rows]),
        }

    def actions() -> Arrays:
        pairs = list(zip(_samples(raw_action), _samples(raw_state), strict=True))
        encoded = [codec.encode_action(action, state) for action, state in pairs]
        decoded = [codec.denormalize_action(part, state) for (part, _), (_, state) in zip(encoded, pairs, strict=True)]
        return {
            "action": np.stack([part for part, _ in encoded]),
            "action_mask": np.stack([mask for _, mask in encoded]),
            **_stacked("normalized_action_by_key/", [codec.normalize_action(*pair) for pair in pairs]),
            **_stacked("round_trip_action/", decoded),
        }

    def decoded() -> Arrays:
        pairs = zip(arrays["model_output"], _samples(raw_state), strict=True)
        return _stacked("decoded_action/", [codec.denormalize_action(*pair) for pair in pairs])

    attempt(("state", "normalized_state_by_key/"), states)
    attempt(("action", "normalized_action_by_key/", "round_trip_action/"), actions)
    attempt(("decoded_action/",), decoded)
    return outputs, problems


def _constants(codec: KeyCodec, arrays: Arrays) -> Arrays:
    """Fields that are the same for every sample."""
    samples = next((len(array) for name, array in arrays.items() if name.startswith("raw_state/") and array.ndim), 0)
    mask = np.broadcast_to(codec.state_mask(), (samples, codec.state_steps, codec.max_state_dim))
    return {"embodiment_id": np.full(samples, codec.embodiment), "state_mask": mask}


def _group(arrays: Arrays, start: str) -> Arrays:
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}


def _samples(group: Arrays) -> Iterator[Arrays]:
    """Row by row."""
    counts = {array.shape[0] if array.ndim else -1 for array in group.values()}
    if len(counts) != 1 or -1 in counts:
        raise ValueError(f"inputs with different numbers of samples, or none: {sorted(group)}")
    for index in range(counts.pop()):
        yield {key: array[index] for key, array in group.items()}


def _stacked(start: str, rows: list[dict[str, np.ndarray]]) -> Arrays:
    return {f"{start}{key}": np.stack([row[key] for row in rows]) for key in rows[0]} if rows else {}


def _without_prefix(name: str) -> str:
    """N1.5 has the keys of outputs with their prefix, e.g. decoded_action/action.arm."""
    group, _, key = name.partition("/")
    for prefix in ("state.", "action."):
        if key.startswith(prefix) and group.endswith(("_by_key", "_action")):
            return f"{group}/{key[len(prefix) :]}"
    return name


def _cases(golden: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The cases by the prefix of their arrays."""
    cases = golden.get("cases")
    if not isinstance(cases, list) or not cases or not all(isinstance(case, dict) for case in cases):
        raise CheckpointError(f"{JSON_FILE}: cases: expected a list of objects")
    found = {str(case.get("prefix")): case for case in cases}
    if len(found) != len(cases) or "None" in found:
        raise CheckpointError(f"{JSON_FILE}: cases: each needs a prefix of its own")
    return found

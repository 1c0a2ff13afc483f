"""The data configuration of N1.5: keys, order, normalisation and rotations, which a checkpoint does not save.

At inference it must be the one of training. The configurations of the original repository are in `data_configs_n15`;
another one is read from a JSON file whose fields are those of `DataConfigN15`:

    {"video_keys": ["video.front"], "state_keys": ["state.arm", "state.tool"], "action_keys": ["action.arm"],
     "language_keys": ["annotation.human.task_description"], "state_modes": {"state.arm": "min_max"},
     "action_modes": {"action.arm": "min_max"}, "target_rotations": {"state.tool": "rotation_6d"}, "sin_cos": [],
     "horizon": 16, "observation_steps": 1}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from groot_bench.errors import UnknownName, UsageError
from groot_bench.models.listing import shorten
from groot_bench.models.processing.rotations import KINDS

MODES = ("min_max", "q99", "mean_std", "binary", "none")
MAX_FILE = 1 << 20
MAX_STEPS = 1 << 14


@dataclass(frozen=True)
class DataConfigN15:
    """What one robot's data are for N1.5. Keys have the prefix of their modality, as in the original.

    Attributes:
        video_keys, state_keys, action_keys, language_keys: in the order in which the model reads them.
        state_modes, action_modes: key -> one of MODES; a key that is not there, or "none", is not normalised.
        target_rotations: key -> representation that the model reads in place of the stored one.
        sin_cos: state keys that are encoded by sine and cosine.
        horizon: control steps of a chunk.
        observation_steps: length of the time axis of states and videos.

    Raises:
        UsageError: with every contradiction.
    """

    video_keys: tuple[str, ...]
    state_keys: tuple[str, ...]
    action_keys: tuple[str, ...]
    language_keys: tuple[str, ...]
    state_modes: Mapping[str, str] = field(default_factory=dict)
    action_modes: Mapping[str, str] = field(default_factory=dict)
    target_rotations: Mapping[str, str] = field(default_factory=dict)
    sin_cos: tuple[str, ...] = ()
    horizon: int = 16
    observation_steps: int = 1

    def __post_init__(self) -> None:
        _raise_if(_contradictions(self), "the N1.5 data configuration contradicts itself")

    def mode(self, key: str) -> str:
        """How that state or action key is normalised."""
        return {**self.state_modes, **self.action_modes}.get(key, "none")


def load_data_config(path: Path) -> DataConfigN15:
    """The data configuration in a JSON file.

    Raises:
        UsageError: it cannot be read, is no such file, or contradicts itself; all problems are told.
    """
    try:
        if path.stat().st_size > MAX_FILE:
            raise UsageError(f"{path}: larger than {MAX_FILE} bytes, so it is no data configuration")
        data = json.loads(path.read_bytes())
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except (ValueError, RecursionError) as problem:
        raise UsageError(f"{path}: is no JSON: {problem}") from None
    return parse_data_config(data, str(path))


def parse_data_config(data: object, where: str = "data configuration") -> DataConfigN15:
    """The data configuration that parsed JSON describes; every field but the last three tables is required.

    Raises:
        UsageError: with every unknown, missing or mistyped field, or every contradiction.
    """
    if not isinstance(data, dict):
        raise UsageError(f"{where}: expected an object, got {type(data).__name__}")
    known = {item.name: item for item in fields(DataConfigN15)}
    unknown = [str(name) for name in data if name not in known]
    problems = [str(UnknownName("field", name, known)) for name in unknown[:5]]
    problems += [f"{len(unknown) - 5} more unknown fields"] if len(unknown) > 5 else []
    problems += [
        f"{name} is missing"
        for name in ("video_keys", "state_keys", "action_keys", "language_keys", "horizon")
        if name not in data
    ]
    taken: dict[str, Any] = {}
    for name in known:
        if name in data:
            value, problem = _typed(name, data[name])
            taken[name] = value
            problems += [f"{name}: {problem}"] if problem else []
    _raise_if(problems, where)
    return DataConfigN15(**taken)


def unrunnable(config: DataConfigN15) -> list[str]:
    """What keeps a policy from running with it, although states and actions could be processed."""
    found = [] if config.video_keys else ["video_keys: is empty, and the model needs a picture"]
    language = config.language_keys
    if len(language) != 1 or not language[0].startswith("annotation.") or language[0] == "annotation.":
        found.append("language_keys: must be one key, annotation.<name>")
    if config.observation_steps != 1:
        found.append(f"observation_steps: suites give the present time step only, not {config.observation_steps}")
    return found


def _typed(name: str, value: object) -> tuple[object, str]:
    """The value in the form of that field, and what is wrong with it, or ""."""
    if name in ("horizon", "observation_steps"):
        right = type(value) is int and 1 <= value <= MAX_STEPS
        return value, "" if right else f"expected a whole number from 1 to {MAX_STEPS}, got {value!r:.100}"
    if name.endswith("_keys") or name == "sin_cos":
        right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        taken = tuple(value) if isinstance(value, list) else ()
        return taken, "" if right else f"expected a list of texts, got {value!r:.100}"
    right = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    return value, "" if right else f"expected an object of texts, got {value!r:.100}"


def _contradictions(config: DataConfigN15) -> list[str]:
    found = []
    for name, prefix in (("video_keys", "video."), ("state_keys", "state."), ("action_keys", "action.")):
        found += _key_problems(name, getattr(config, name), prefix)
    if len(set(config.language_keys)) != len(config.language_keys):
        found.append("language_keys: a key is there twice")
    for name, keys in (("state_modes", config.state_keys), ("action_modes", config.action_keys)):
        modes: Mapping[str, str] = getattr(config, name)
        found += [f"{name}: {key} is not among the keys" for key in modes if key not in keys]
        found += [f"{name}: {UnknownName('mode', mode, MODES)}" for mode in modes.values() if mode not in MODES]
    for key, kind in config.target_rotations.items():
        if key not in (*config.state_keys, *config.action_keys):
            found.append(f"target_rotations: {key} is not among the keys")
        if kind not in KINDS:
            found.append(f"target_rotations: {UnknownName('rotation', kind, KINDS)}")
    for key in config.sin_cos:
        if key not in config.state_keys:
            found.append(f"sin_cos: {key} is not among the state keys")
        if key in config.target_rotations or config.mode(key) != "none":
            found.append(f"sin_cos: {key} is also normalised or rotated")
    return found


def _key_problems(name: str, keys: Sequence[str], prefix: str) -> list[str]:
    found = [
        f"{name}: {key!r} does not begin with {prefix!r}"
        for key in keys
        if not key[len(prefix) :] or key[: len(prefix)] != prefix
    ]
    if len(set(keys)) != len(keys):
        found.append(f"{name}: a key is there twice")
    if not keys and name != "video_keys":
        found.append(f"{name}: is empty")
    return found


def _raise_if(problems: list[str], what: str) -> None:
    if problems:
        raise UsageError("\n".join([f"{what}:", *(f"  {problem}" for problem in shorten(problems))]))

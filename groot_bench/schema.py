"""What a manifest and a record may say; run folders come from anywhere, so every field is held against this."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from groot_bench.episode import Episode, EpisodeRecord, Outcome, task_seeds

Check = Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _spans(value: Any) -> bool:
    """Inclusive, rising, not touching: [[3, 5], [9, 9]]."""
    if not isinstance(value, list) or not all(isinstance(span, list) and len(span) == 2 for span in value):
        return False
    ends = [end for span in value for end in span]
    rising = all(_whole(end) for end in ends) and ends == sorted(ends)
    return rising and all(a[1] + 1 < b[0] for a, b in itertools.pairwise(value)) and (not ends or ends[0] >= 1)


def _counters(value: Any) -> bool:
    return isinstance(value, dict) and all(_whole(count) for count in value.values())


# field -> (what it must be, in words; the check)
RECORD: Mapping[str, tuple[str, Check]] = {
    "suite": ("text", _text),
    "protocol": ("text", _text),
    "task": ("text", _text),
    "index": ("a whole number", _whole),
    "seed": ("a whole number", _whole),
    "outcome": (f"one of {', '.join(Outcome)}", lambda value: value in [str(outcome) for outcome in Outcome]),
    "success_once": ("true, false or null", _or_none(_flag)),
    "success_at_end": ("true, false or null", _or_none(_flag)),
    "success_at_chunk_end": ("true, false or null", _or_none(_flag)),
    "first_success_step": ("a whole number or null", _or_none(_whole)),
    "success_spans": ("rising pairs of steps", _spans),
    "steps": ("a whole number", _whole),
    "queries": ("a whole number", _whole),
    "instruction": ("text or null", _or_none(_text)),
    "scene_hash": ("text or null", _or_none(_text)),
    "frames_hash": ("text or null", _or_none(_text)),
    "action_hash": ("text or null", _or_none(_text)),
    "retarget": ("an object of whole numbers", _counters),
    "sim_seconds": ("a number, 0 or more", _number),
    "wall_seconds": ("a number, 0 or more", _number),
    "attempts": ("a whole number", _whole),
    "error": ("text or null", _or_none(_text)),
    "video": ("text or null", _or_none(_text)),
}
REQUIRED = ("suite", "protocol", "task", "index", "seed", "outcome")


def parse_json(text: bytes | str) -> dict[str, Any]:
    """A JSON object without NaN or infinity; raises ValueError for anything else."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    return value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON has")


def parse_record(line: bytes | str) -> EpisodeRecord:
    """One line of `episodes.jsonl`; fields that a later version added are ignored.

    Raises:
        ValueError: what is wrong with it.
    """
    flat = parse_json(line)
    for name in REQUIRED:
        if name not in flat:
            raise ValueError(f"{name} is missing")
    for name, (words, check) in RECORD.items():
        if name in flat and not check(flat[name]):
            raise ValueError(f"{name} must be {words}, got {str(flat[name])[:60]!r}")
    episode = Episode(**{item.name: flat[item.name] for item in dataclasses.fields(Episode)})
    known = {item.name: flat[item.name] for item in dataclasses.fields(EpisodeRecord)[1:] if item.name in flat}
    known["outcome"] = Outcome(flat["outcome"])
    known["success_spans"] = tuple(tuple(span) for span in flat.get("success_spans", ()))
    record = EpisodeRecord(episode, **known)
    _check_consistency(record)
    return record


def _check_consistency(record: EpisodeRecord) -> None:
    failed = record.outcome is Outcome.ERROR
    if failed != (record.error is not None):
        raise ValueError(f"outcome {record.outcome} with error {str(record.error)[:60]!r} contradict each other")
    if failed == (record.success_once is not None):
        raise ValueError(f"outcome {record.outcome} with success_once {record.success_once} contradict each other")
    spans = record.success_spans
    if spans and spans[-1][1] > record.steps:
        raise ValueError(f"success_spans end after the last of {record.steps} steps")
    if not failed and (record.success_once is not bool(spans) or record.first_success_step != _first(spans)):
        raise ValueError("success_once, first_success_step and success_spans contradict each other")


def _first(spans: tuple[tuple[int, int], ...]) -> int | None:
    return spans[0][0] if spans else None


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Raises ValueError unless the parts that are read again are what they should be."""
    experiment = _object(manifest, "experiment")
    for part in ("suite", "protocol", "policy"):
        if not _text(_object(experiment, part).get("name")):
            raise ValueError(f"experiment.{part}.name must be text")
    _check_versions(experiment)
    if not isinstance(experiment["protocol"].get("changed", {}), dict):
        raise ValueError("experiment.protocol.changed must be an object")
    if not _or_none(_text)(experiment.get("graphics")) or not _whole(experiment.get("seed")):
        raise ValueError("experiment.graphics must be text or null, experiment.seed a whole number")
    if not _whole(experiment.get("first_episode", 0)):
        raise ValueError("experiment.first_episode must be a whole number")
    if "rescored" in experiment and not _text(_object(experiment, "rescored").get("rule")):
        raise ValueError("experiment.rescored.rule must be text")
    shard = manifest.get("shard")
    if not isinstance(shard, list) or len(shard) != 2 or not all(map(_whole, shard)) or not 1 <= shard[0] <= shard[1]:
        raise ValueError(f"shard {shard!r} is impossible")
    invocations = manifest.get("invocations")
    if not isinstance(invocations, list) or not all(isinstance(one, dict) for one in invocations):
        raise ValueError("invocations must be a list of objects")
    _check_episodes(manifest.get("episodes"), experiment)


def _check_versions(experiment: Mapping[str, Any]) -> None:
    packages, pins = experiment["suite"].get("packages"), experiment.get("unpinned", {})
    if not isinstance(packages, dict) or not all(isinstance(number, str) for number in packages.values()):
        raise ValueError("experiment.suite.packages must map names to versions")
    if not isinstance(pins, dict) or not all(name in packages and _text(pin) for name, pin in pins.items()):
        raise ValueError("experiment.unpinned must map packages of the suite to the versions that they should have")


def _object(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = mapping.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object")
    return value


def _check_episodes(rows: Any, experiment: Mapping[str, Any]) -> None:
    suite, protocol, seed = experiment["suite"]["name"], experiment["protocol"]["name"], experiment["seed"]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == 3 for row in rows):
        raise ValueError("episodes must be a list of [task, index, seed]")
    keys = set()
    seeds: dict[str, Callable[[int], int]] = {}
    for task, index, episode_seed in rows:
        if not _text(task) or not _whole(index):
            raise ValueError(f"episode {[task, index]!r} is impossible")
        if task not in seeds:
            seeds[task] = task_seeds(suite, protocol, task, seed)
        if seeds[task](index) != episode_seed:
            raise ValueError(f"episode {[task, index]!r} has a seed that its key does not give; the list was edited")
        keys.add((task, index))
    if len(keys) != len(rows):
        raise ValueError("an episode is listed twice")
    if experiment.get("tasks") != list(dict.fromkeys(task for task, _, _ in rows)):
        raise ValueError("experiment.tasks are not those of the listed episodes")

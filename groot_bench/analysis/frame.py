"""Run folders as one tidy DataFrame: a row is an episode, recorded or only listed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from groot_bench.analysis.columns import COUNTS, FLAGS, OUTCOMES, SECONDS, TEXTS, Columns
from groot_bench.analysis.reader import RunData
from groot_bench.analysis.runs import read_runs
from groot_bench.errors import UsageError
from groot_bench.pins import FIELD, rules_label, unpinned
from groot_bench.record import read_manifest


@dataclass(frozen=True)
class RunInfo:
    """A run that a frame holds.

    Attributes:
        label: the name of its folder, with as much of the path before it as tells the runs apart.
        folder: where, as it was given.
        manifest: the content of `run.json`.
    """

    label: str
    folder: Path
    manifest: Mapping[str, Any]


def load_runs(*folders: str | Path) -> list[RunInfo]:
    """The manifests of run folders, in the given order.

    Raises:
        UsageError: no folder, or one that is given twice.
        RecordError: a folder is no run, or its `run.json` is malformed; names the file.
    """
    paths = _paths(folders)
    return [RunInfo(name, path, read_manifest(path)) for name, path in zip(run_labels(paths), paths, strict=True)]


def _paths(folders: Sequence[str | Path]) -> list[Path]:
    if not folders:
        raise UsageError("no run folder is given")
    return [Path(folder) for folder in folders]


def run_labels(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: its last part, or as many last parts as make all names differ."""
    parts = [folder.resolve().parts for folder in folders]
    twice = [str(folder) for place, folder in enumerate(folders) if parts.index(parts[place]) < place]
    if twice:
        raise UsageError(f"the same run is given twice: {', '.join(twice)}")
    most = max(map(len, parts))
    for length in range(1, most + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(Path(*part)) for part in parts]


def load(*folders: str | Path) -> pd.DataFrame:
    """One row an episode of one run or several, in the order of the runs and of their episode lists.

    Columns: `run, suite, protocol, protocol_id, policy, unpinned, task, outcome, instruction` (categories; tasks in the
    order of the manifests), `index` (int64), `seed` (uint64), `success` and the three `success_*` (boolean),
    `first_success_step, steps, queries, attempts` (Int64), `scene_hash, frames_hash, action_hash, error, video` (text
    or None), `sim_seconds, wall_seconds` (float64 [s]), and an Int64 column `retarget.<counter>` for each counter.

    `success` is missing, not False, for an episode that has an error or no record; `outcome` says which: it is one of
    success, failure, error, missing. `protocol` is the name with this run's departures; `protocol_id` is a digest of
    all its rules except for the number of episodes, so that equal ids mean comparable numbers. `policy` is the name,
    with the begin of the checkpoint's digest where there is one. `unpinned` says which packages of the suite had other
    versions than the pinned ones ("" for none).

    Args:
        folders: run folders.

    Raises:
        UsageError: no folder, or one that is given twice.
        RecordError: a folder is no run, or a file in it is malformed; names file, line and field.
    """
    return load_all(*folders)[0]


def load_all(*folders: str | Path) -> tuple[pd.DataFrame, list[RunInfo]]:
    """`load` and `load_runs` in one reading; the manifests come without their lists of episodes."""
    paths = _paths(folders)
    labels, runs = run_labels(paths), read_runs(paths)
    infos = [RunInfo(label, path, run.manifest) for label, path, run in zip(labels, paths, runs, strict=True)]
    return _frame(labels, runs), infos


def _frame(labels: Sequence[str], runs: Sequence[RunData]) -> pd.DataFrame:
    sizes = [run.columns.size for run in runs]
    tasks = list(dict.fromkeys(task for run in runs for task in run.listed.tasks))
    facts = [run_facts(run.manifest) for run in runs]
    data: dict[str, Any] = {"run": _repeated(labels, sizes)}
    for name in ("suite", "protocol", "protocol_id", "policy", "unpinned"):
        data[name] = _repeated([fact[name] for fact in facts], sizes)
    data["task"] = _category([(run.listed.codes, run.listed.tasks) for run in runs], tasks)
    data["index"] = np.concatenate([run.listed.indexes for run in runs])
    data["seed"] = np.concatenate([run.listed.seeds for run in runs])
    data.update(_recorded([run.columns for run in runs]))
    return pd.DataFrame(data, copy=False)


def _recorded(parts: Sequence[Columns]) -> dict[str, Any]:
    """The columns that records fill, as pandas has them; `success` follows from the outcome."""
    outcomes = np.concatenate([part.outcomes for part in parts])
    found: dict[str, Any] = {
        "outcome": _of_codes(outcomes, OUTCOMES),
        "success": pd.arrays.BooleanArray(outcomes == 0, outcomes > 1),
    }
    for name in FLAGS:
        flags = np.concatenate([part.flags[name] for part in parts])
        found[name] = pd.arrays.BooleanArray(flags == 1, flags < 0)
    found.update({name: _whole(name, parts) for name in COUNTS})
    known = list(dict.fromkeys(text for part in parts for text in part.instructions))
    found["instruction"] = _category([(part.instruction, part.instructions) for part in parts], known)
    for name in TEXTS:  # as plain Python texts, see `_of_codes`
        found[name] = pd.Series(np.concatenate([part.texts[name] for part in parts]), dtype=object)
    found.update({name: np.concatenate([part.seconds[name] for part in parts]) for name in SECONDS})
    counters = sorted({name for part in parts for name in part.counts} - set(COUNTS))
    return {**found, **{name: _whole(name, parts) for name in counters}}


def _whole(name: str, parts: Sequence[Columns]) -> Any:
    """An Int64 column; missing where a run has no such counter."""
    values, absent = zip(*(part.counts.get(name) or part.no_counts() for part in parts), strict=True)
    return pd.arrays.IntegerArray(np.concatenate(values), np.concatenate(absent))


def _category(parts: Sequence[tuple[np.ndarray, Sequence[str]]], known: Sequence[str]) -> pd.Categorical:
    """One column of the parts' codes, each of which are positions in names of its own."""
    place = {name: code for code, name in enumerate(known)}
    codes = [np.array([*(place[name] for name in names), -1], np.int32)[part] for part, names in parts]
    return _of_codes(np.concatenate(codes), known)


def run_facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What is the same for all episodes of a run: suite, protocol, protocol_id, policy, unpinned; see `load`."""
    experiment = manifest["experiment"]
    protocol, policy = experiment["protocol"], experiment["policy"]
    rules = {key: value for key, value in protocol.items() if key != "episodes_per_task"}
    if experiment.get(FIELD):  # under other versions it is not the same rules that are followed
        rules[FIELD] = unpinned(experiment)
    text = json.dumps([experiment["suite"]["name"], rules], sort_keys=True, separators=(",", ":"))
    checkpoint = policy.get("checkpoint")  # a digest of the weights
    return {
        "suite": experiment["suite"]["name"],
        "protocol": rules_label(experiment),
        "protocol_id": hashlib.blake2b(text.encode(), digest_size=5).hexdigest(),
        "policy": policy["name"] if checkpoint is None else f"{policy['name']} ({str(checkpoint)[:12]})",
        "unpinned": unpinned(experiment),
    }


def _repeated(values: Sequence[str], times: Sequence[int]) -> pd.Categorical:
    known = list(dict.fromkeys(values))
    codes = np.repeat(np.array([known.index(value) for value in values], np.int32), times)
    return _of_codes(codes, known)


def _of_codes(codes: np.ndarray, names: Sequence[str]) -> pd.Categorical:
    """Names as plain Python texts: the texts of pandas 3 cannot hold all that JSON can."""
    return pd.Categorical.from_codes(codes, pd.Index(list(names), dtype=object))

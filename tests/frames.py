"""What a frame must say, by its definition, and a run that has something of everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from runs import write_run

from groot_bench.analysis import frame
from groot_bench.errors import RecordError
from groot_bench.record import EPISODES, MANIFEST, Run, listed_keys

PLAIN = (
    *("success_once", "success_at_end", "success_at_chunk_end", "first_success_step", "steps", "queries", "attempts"),
    *("instruction", "scene_hash", "frames_hash", "action_hash", "error", "video", "sim_seconds", "wall_seconds"),
)


def rows_of(loaded: Any) -> list[dict[str, Any]]:
    """The frame's rows as plain Python values, None for missing."""
    columns = {}
    for name in loaded.columns:
        values = loaded[name].astype(object).tolist()
        columns[name] = [None if value is pd.NA or value is None or value != value else value for value in values]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def slow_rows(folder: Path) -> list[dict[str, Any]]:
    """What the frame must say, by its definition: the records of `Run.load`, and a row for each that is missing."""
    run = Run.load(folder)
    experiment = run.experiment
    seeds = {(task, index): seed for task, index, seed in run.manifest["episodes"]}
    records = {record.episode.key: record for record in run.records}
    counters = sorted({name for record in run.records for name in record.retarget})
    rows = []
    for task, index in listed_keys(run.manifest):
        record = records.get((task, index))
        row: dict[str, Any] = {
            "suite": experiment["suite"]["name"],
            "task": task,
            "index": index,
            "seed": seeds[task, index],
            "outcome": "missing" if record is None else str(record.outcome),
        }
        row.update({name: None if record is None else getattr(record, name) for name in PLAIN})
        row["success"] = {"success": True, "failure": False}.get(row["outcome"])
        row.update({f"retarget.{name}": None if record is None else record.retarget.get(name) for name in counters})
        rows.append(row)
    return rows


def read_or_refused(read: Callable[[Path], list[dict[str, Any]]], folder: Path) -> list[dict[str, Any]] | str:
    """The rows, or the words of the error."""
    try:
        return read(folder)
    except RecordError as problem:
        return str(problem)


def require_same(folder: Path) -> bool:
    """Both readers agree: on every value, or on every word of the error. Tells whether the run could be read."""
    wanted = read_or_refused(slow_rows, folder)
    found = read_or_refused(lambda path: rows_of(frame.load(path)), folder)
    if isinstance(wanted, str):
        assert found == wanted
        return False
    huge = any(
        type(value) is int and value >= 2**63 and name != "seed" for row in wanted for name, value in row.items()
    )
    if huge:  # the one thing that a frame cannot hold
        assert isinstance(found, str) and "larger than" in found
        return False
    assert isinstance(found, list), found
    assert not found or set(found[0]) - set(wanted[0]) == {"run", "protocol", "protocol_id", "policy", "unpinned"}
    assert [{name: row[name] for name in wanted[0]} for row in found] == wanted
    return True


def good_run(folder: Path) -> Path:
    """A run with all outcomes, counters in some records, several spans, and an unrecorded episode."""
    write_run(
        folder,
        {"Reach": "sfes", "a|b\n": "fsms"},
        retarget={"clipped": 3},
        video={("Reach", 0): "videos/a.mp4"},
        success_at_chunk_end={("Reach", 1): False},
    )
    lines = (folder / EPISODES).read_text().splitlines()
    spans = {**json.loads(lines[0]), "success_spans": [[10, 10], [12, 14]], "steps": 20, "retarget": {"late": 1}}
    (folder / EPISODES).write_text("\n".join([json.dumps(spans), *lines[1:]]) + "\n")
    return folder


def copy(folder: Path, parent: Path) -> Path:
    new = parent / folder.name
    new.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, EPISODES):
        (new / name).write_bytes((folder / name).read_bytes())
    return new

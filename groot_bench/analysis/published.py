"""Success rates that others have published: `results/published/*.csv`, read, checked, and put beside a run.

The columns and the rules for a row are in results/README.md. A published number stands beside a run only under the same
protocol and over the same tasks; every other row of the suite is refused, by name and with the reason.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from groot_bench.analysis.published_rows import EVIDENCE, FIELDS, NO_RATE, UNKNOWN, FieldError, parse_row
from groot_bench.episode import parts_of
from groot_bench.errors import RecordError, UsageError
from groot_bench.pins import MEANING
from groot_bench.stats import wilson

if TYPE_CHECKING:
    from groot_bench.analysis.table import Table, Value

MEAN = "mean"  # the task of a row that averages over its suite
JOINT = "+"  # between the parts, or patterns of parts ("libero_*_swap"), that a row averages over
HEAD = ("task", "model or run", "data or policy", "success", "source", "evidence", "note")
_KEY = ("suite", "protocol", "model", "variant", "task", "source")
_PACKAGE = Path(__file__).resolve().parents[1]


class Refusal(NamedTuple):
    """A published row that does not stand beside the run.

    Attributes:
        name: "model (variant), task, protocol".
        reason: why not, in words.
    """

    name: str
    reason: str


def home() -> Path:
    """The folder of the published rows: the one in the wheel, else the one of the checkout."""
    packed = _PACKAGE / "results_published"
    return packed if packed.is_dir() else _PACKAGE.parent / "results" / "published"


def read(folder: str | Path | None = None) -> pd.DataFrame:
    """All published rows, in the order of file names and lines.

    Columns: those of `published_rows.FIELDS` (text as str; `rate`, `rate_low`, `rate_high` as Float64 in percent;
    `tasks`, `successes`, `n`, `seeds` as Int64), then `counted` (Int64: the successes behind the interval, see
    `parse_row`), `low` and `high` (Float64, percent: Wilson 95 %; NA is unknown), `where` ("libero.csv:12").

    Args:
        folder: where the CSV files lie; None for those that come with groot-bench.

    Raises:
        RecordError: no rows, or a row that is wrong or occurs twice; names file, line and field.
    """
    folder = home() if folder is None else Path(folder)
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise RecordError(f"{folder} has no published rows: expected files like libero.csv in it")
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[str, ...], str] = {}
    for path in paths:
        for line, row in _rows(path):
            key = tuple(row[name] for name in _KEY)
            row["where"] = f"{path.name}:{line}"
            if key in seen:
                raise RecordError(f"{path}:{line}: {', '.join(_KEY)}: the same row stands at {seen[key]}")
            seen[key] = row["where"]
            rows.append(row)
    return _typed(rows)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = next(reader, [])
            if tuple(head) != FIELDS:
                raise RecordError(f"{path}:1: the columns must be {','.join(FIELDS)}; got {','.join(head)}")
            for cells in reader:
                if len(cells) != len(FIELDS):
                    raise RecordError(f"{path}:{reader.line_num}: {len(cells)} fields where {len(FIELDS)} are expected")
                try:
                    yield reader.line_num, parse_row(dict(zip(FIELDS, cells, strict=True)))
                except FieldError as problem:
                    raise RecordError(f"{path}:{reader.line_num}: {problem}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise RecordError(f"{path}: {problem}") from None


def _typed(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a frame; the interval is in percent, as the rates are."""
    intervals = [None if row["counted"] is None else wilson(row["counted"], row["n"]) for row in rows]
    frame = pd.DataFrame(list(rows), columns=[*FIELDS, "counted", "where"])
    frame.insert(len(FIELDS) + 1, "low", [None if i is None else 100 * i.low for i in intervals])
    frame.insert(len(FIELDS) + 2, "high", [None if i is None else 100 * i.high for i in intervals])
    types = dict.fromkeys(("rate", "rate_low", "rate_high", "low", "high"), "Float64")
    types.update(dict.fromkeys(("tasks", "successes", "n", "seeds", "counted"), "Int64"))
    return frame.astype(types)


def beside(frame: pd.DataFrame, published: pd.DataFrame) -> tuple[Table, list[Refusal]]:
    """A run, or several of one protocol, on top of the published rows that were measured in the same way.

    A row stands there when its protocol is the run's, the run departs from that protocol in nothing, and the run has
    measured every task that the row averages over: the task of that name; or all tasks of a part of a suite, see
    `episode.parts_of`, or of several, joined by "+", in whose names "*" is any text; or, for "mean", all tasks of the
    suite. They must be as many as the row says.

    Args:
        frame: an episode frame, see `frame.load`.
        published: see `read`.

    Returns:
        The table, in which the run stands even when no row does; and every other row of the suite with why not.

    Raises:
        UsageError: no episodes, several suites or protocols, a suite without any published row, or an unpinned run.
    """
    suite, label = _only(frame, "suite", "suite"), _protocol(frame)
    _require_pinned(frame)
    rows = published[published["suite"] == suite]
    if rows.empty:
        known = ", ".join(sorted(set(published["suite"])))
        raise UsageError(f"no published results for suite {suite!r}; there are some for: {known}")
    runs = [(str(name), part) for name, part in frame.groupby("run", observed=True, sort=False)]
    standing: dict[str, list[Any]] = {}
    refusals = []
    for row in rows.itertuples(index=False):
        reason = _refusal(row, label, runs)
        if reason:
            refusals.append(Refusal(_name(row), reason))
        else:
            standing.setdefault(row.task, []).append(row)
    return _table(label, runs, standing), refusals


def _only(frame: pd.DataFrame, column: str, word: str) -> str:
    values = list(dict.fromkeys(map(str, frame[column].tolist())))
    if not values:
        raise UsageError("nothing to put beside published results: the run lists no episode")
    if len(values) > 1:
        raise UsageError(f"runs of one {word} only can stand beside published results; got {', '.join(values)}")
    return values[0]


def _protocol(frame: pd.DataFrame) -> str:
    """The protocol's label. Two entries may differ under one label, so the ids decide."""
    label = _only(frame, "protocol", "protocol")
    if frame["protocol_id"].nunique() > 1:
        raise UsageError(f"the runs' protocols are all called {label!r} but differ in their rules; give one run")
    return label


def _require_pinned(frame: pd.DataFrame) -> None:
    differs = frame.groupby("run", observed=True, sort=False)["unpinned"].first()
    for run, words in differs.items():
        if words:
            raise UsageError(f"{run} is unpinned: {words}; {MEANING}. Run it again under the pinned versions")


def _name(row: Any) -> str:
    variant = f" ({row.variant})" if row.variant else ""
    return f"{row.model}{variant}, {row.task}, {row.protocol}"


def _refusal(row: Any, label: str, runs: Sequence[tuple[str, pd.DataFrame]]) -> str:
    """Why a row may not stand beside the runs; "" when it may."""
    name = label.partition(" (")[0]
    if row.protocol == UNKNOWN:
        return "its protocol is unknown"
    if row.protocol != name:
        return f"its protocol is {row.protocol}, the run's is {name}"
    if label != name:
        return f"the run departs from {name}: {label[len(name) + 2 : -1]}"
    if row.note.startswith(NO_RATE):
        return f"it has {row.note}"
    for run, part in runs:
        problem = _other_tasks(row, part)
        if problem:
            return problem if len(runs) == 1 else f"{run}: {problem}"
    return ""


def _other_tasks(row: Any, run: pd.DataFrame) -> str:
    if row.task == UNKNOWN:
        return "its tasks are unknown"
    tasks = _tasks(run, row.task)
    if row.task in tasks:
        needed = 1
    elif pd.isna(row.tasks):
        return "how many tasks it averages over is unknown"
    else:
        needed = int(row.tasks)
    if len(tasks) != needed:
        return f"it is of {needed} task{'s' * (needed > 1)} ({row.task}), of which the run has {len(tasks)}"
    measured = set(map(str, run["task"][run["outcome"].isin(["success", "failure"])]))
    empty = [task for task in tasks if task not in measured]
    return f"the run has no measured episode of {', '.join(empty)}" if empty else ""


def _tasks(run: pd.DataFrame, task: str) -> list[str]:
    """The tasks of the run that a published row of `task` is about."""
    names = list(dict.fromkeys(map(str, run["task"].tolist())))
    if task in names:
        return [task]
    if task == MEAN:
        return names
    known = {part for name in names for part in parts_of(name)}
    wanted = {part for part in known if any(fnmatchcase(part, word) for word in task.split(JOINT))}
    return [name for name in names if not wanted.isdisjoint(parts_of(name))]


def _table(label: str, runs: Sequence[tuple[str, pd.DataFrame]], standing: dict[str, list[Any]]) -> Table:
    from groot_bench.analysis.table import Table

    lines: list[tuple[Value, ...]] = []
    for task in standing or [MEAN]:
        lines.extend(_run_line(name, run, task) for name, run in runs)
        lines.extend(_published_line(row) for row in standing.get(task, []))
    evidence = "; ".join(f"{letter}: {meaning}" for letter, meaning in EVIDENCE.items())
    notes = (
        "Intervals are Wilson 95 % and take episodes as independent. Without n, both are unknown.",
        "Where a source prints a rate and n but no count, the count is the nearest to the rate.",
        f"Evidence: {evidence}.",
        *([] if standing else ["No published row was measured in the same way; the refusals say why."]),
    )
    return Table(f"Beside published results: {label}", HEAD, tuple(lines), notes)


def _run_line(name: str, run: pd.DataFrame, task: str) -> tuple[Value, ...]:
    from groot_bench.analysis.table import Rate

    tasks = _tasks(run, task)
    counts = run["outcome"][run["task"].astype(str).isin(tasks)].astype(str).value_counts()
    successes, failures, errors, missing = (
        int(counts.get(outcome, 0)) for outcome in ("success", "failure", "error", "missing")
    )
    policy = ", ".join(dict.fromkeys(map(str, run["policy"].tolist())))
    over = "" if tasks == [task] else f"{len(tasks)} task{'s' * (len(tasks) > 1)}, pooled over episodes"
    return task, name, policy, Rate.of(successes, successes + failures, errors, missing), "this run", "measured", over


def _published_line(row: Any) -> tuple[Value, ...]:
    return row.task, row.model, row.variant, _published_rate(row), row.source, row.evidence, row.note


def _published_rate(row: Any) -> Value:
    from groot_bench.analysis.table import Rate

    if not pd.isna(row.counted):
        return Rate.of(int(row.counted), int(row.n))
    n = f"n = {row.n}, interval unknown" if not pd.isna(row.n) else "n and interval unknown"
    printed = f"{row.rate:g} %" if not pd.isna(row.rate) else f"{row.rate_low:g} to {row.rate_high:g} %"
    return f"{printed} ({n})"

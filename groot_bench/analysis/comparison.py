"""Two runs beside each other: rates, differences, tests, and how many more episodes would decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from groot_bench.analysis import contrasts
from groot_bench.analysis.contingency import ERROR, FAILURE, MISSING, SUCCESS, Contingency, pair, separate
from groot_bench.analysis.contrasts import Contrast
from groot_bench.analysis.table import Difference, Rate, Table
from groot_bench.episode import parts_in
from groot_bench.errors import SampleError, UsageError
from groot_bench.pins import FIELD
from groot_bench.stats.multiple import benjamini_hochberg, holm

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
TOTAL = "total"
MEAN = "mean over tasks like these"
CORRECTIONS = {"holm": holm, "bh": benjamini_hochberg}


@dataclass(frozen=True)
class Line:
    """One task, those of a part of the suite, or all of them.

    Attributes:
        task: its name, the part's, or "total".
        a, b: rates of the episodes that are compared; errors stand beside them.
        contrast: a less b over measured episodes (of pairs: measured in both).
        pessimistic: the same with errors as failures; None where there is no error.
        corrected: the p value corrected over the tasks, or over the parts; None for the total, and where it is unknown.
        more: about how many more episodes of each run would decide; 0 when it is decided, None when nobody can say.
    """

    task: str
    a: Rate
    b: Rate
    contrast: Contrast
    pessimistic: Contrast | None
    corrected: float | None
    more: int | None


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        names, protocols, policies: of run a and run b.
        paired: whether the same episodes were compared.
        correction: of the p values over tasks: "holm" or "bh".
        lines: the tasks.
        parts: the suite's parts that have several of the tasks (see `episode.parts_in`); they may overlap.
        total: all of them.
        over_tasks: the mean difference for tasks like these; None where the tasks say too little, or without pairs.
        notes: what was left out and what is not proven.
    """

    names: tuple[str, str]
    protocols: tuple[str, str]
    policies: tuple[str, str]
    paired: bool
    correction: str
    lines: tuple[Line, ...]
    parts: tuple[Line, ...]
    total: Line
    over_tasks: Difference | None
    notes: tuple[str, ...]

    def table(self) -> Table:
        """One row a task, one a part, then the total, then the mean over tasks; of very many tasks only the parts."""
        from groot_bench.analysis.comparison_output import to_table

        return to_table(self)

    def to_json(self) -> dict[str, Any]:
        """The same numbers, unrounded, as plain JSON values."""
        from groot_bench.analysis.comparison_output import to_json

        return to_json(self)


def compare(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    paired: bool = True,
    errors: str = "refuse",
    unfinished: bool = False,
    correction: str = "holm",
    ignore: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Comparison:
    """Holds two runs against each other.

    Only episodes of tasks that both have are compared. Paired episodes are equal in task, index and seed, and in the
    scene's hash wherever both have one.

    Args:
        a, b: episode frames of one run each, see `frame.load`.
        paired: False takes the runs as independent samples.
        errors: "refuse", or "both": leave them out, and beside that count them as failures.
        unfinished: leave out episodes that have no record (of pairs: in either run) instead of refusing.
        correction: of p values over tasks: "holm" (no false claim at all) or "bh" (few among the claims).
        ignore: fields of the manifests that may differ; "protocol" or "unpinned", or one of their fields, lets the
            protocols differ.
        notes: more sentences to print below.

    Raises:
        UsageError: no or several runs in a frame, other suites or protocols, episodes that are not the same, errors,
            unrecorded episodes, or an unknown option.
    """
    if errors not in ("refuse", "both") or correction not in CORRECTIONS:
        raise UsageError(f"errors must be refuse or both, correction holm or bh; got {errors!r}, {correction!r}")
    names = (_one(a, "run"), _one(b, "run"))
    _require_one_protocol(a, b, names, ignore)
    counts = (pair if paired else separate)(a, b, names)
    left_out = _left_out(counts, names)
    counts, unrecorded = _recorded(counts, names, unfinished)
    errors_seen = _errors(counts, names, errors)
    lines = [_line(task, counts.of([place])) for place, task in enumerate(counts.tasks)]
    places = {task: place for place, task in enumerate(counts.tasks)}
    parts = [
        _line(part, counts.of([places[task] for task in members])) for part, members in parts_in(counts.tasks).items()
    ]
    mean, unknown = _over_tasks(counts)
    return Comparison(
        names,
        (_one(a, "protocol"), _one(b, "protocol")),
        (_one(a, "policy"), _one(b, "policy")),
        paired,
        correction,
        tuple(_corrected(lines, correction)),
        tuple(_corrected(parts, correction)),
        _with_more(_line(TOTAL, counts), None, LEVEL),
        mean,
        (*unknown, *left_out, *unrecorded, *errors_seen, *notes),
    )


def _one(frame: pd.DataFrame, column: str) -> str:
    """The value that all episodes of a run share."""
    values = frame[column].unique().tolist()
    if len(values) != 1:
        told = ", ".join(map(repr, values)) or "no episode"
        raise UsageError(f"compare takes a frame of one run on each side, with one {column}; got {told}")
    return str(values[0])


def _require_one_protocol(a: pd.DataFrame, b: pd.DataFrame, names: Sequence[str], ignore: Sequence[str]) -> None:
    suites = [_one(frame, "suite") for frame in (a, b)]
    if suites[0] != suites[1]:
        raise UsageError(f"{names[0]} is of suite {suites[0]!r}, {names[1]} of {suites[1]!r}: nothing to compare")
    told = [f"{_one(frame, 'protocol')!r} [{_one(frame, 'protocol_id')}]" for frame in (a, b)]
    if told[0] != told[1] and not any(field.partition(".")[0] in ("protocol", FIELD) for field in ignore):
        raise UsageError(
            f"{names[0]} was measured under {told[0]}, {names[1]} under {told[1]}: their numbers do not compare. "
            "To hold them against each other anyway, name the field that may differ (ignore, --ignore)"
        )


def _left_out(counts: Contingency, names: Sequence[str]) -> list[str]:
    told = [
        f"{number} episodes of {name} are not in the other run's list and are left out."
        for name, number in zip(names, counts.left_out, strict=True)
        if number
    ]
    if counts.unproven:
        told.append(f"{counts.unproven} pairs have no scene hash: that their scenes were equal is not proven.")
    return told


def _recorded(counts: Contingency, names: Sequence[str], unfinished: bool) -> tuple[Contingency, list[str]]:
    """The counts of recorded episodes only (of pairs: in both runs); refuses others unless they may be left out."""
    missing = [int(part[:, MISSING].sum()) for part in (counts.a, counts.b)]
    if not any(missing):
        return counts, []
    told = " and ".join(f"{number} of {name}" for name, number in zip(names, missing, strict=True) if number)
    if not unfinished:
        raise UsageError(
            f"episodes without a record: {told}. The fast ones finish first, so what is there flatters or blames a "
            "policy; finish the run with its `groot-bench eval` command, or leave them out with --unfinished"
        )
    note = f"Unfinished: {told} have no record and are left out{' in both' if counts.pairs is not None else ''}."
    return counts.without_missing(), [f"{note} Episodes that finish early are not a fair sample."]


def _errors(counts: Contingency, names: Sequence[str], errors: str) -> list[str]:
    found = [int(part[:, ERROR].sum()) for part in (counts.a, counts.b)]
    if not any(found):
        return []
    told = " and ".join(f"{number} of {name}" for name, number in zip(names, found, strict=True) if number)
    if errors == "refuse":
        raise UsageError(
            f"episodes with an error instead of an outcome: {told}. Run them again (`groot-bench eval ... "
            "--retry-errors`), or see both denominators with --errors both"
        )
    return [f"Errors: {told}. They are left out, and, in the columns that say so, counted as failures."]


def _line(task: str, counts: Contingency) -> Line:
    """The rates and differences of some tasks together."""
    a, b = (_rate(part.sum(axis=0)) for part in (counts.a, counts.b))
    pessimistic = _contrast(counts, contrasts.errors_as_failures) if a.errors or b.errors else None
    return Line(task, a, b, _contrast(counts, contrasts.measured_only), pessimistic, None, None)


def _rate(counts: np.ndarray) -> Rate:
    success, failure, error = (int(counts[outcome]) for outcome in (SUCCESS, FAILURE, ERROR))
    return Rate.of(success, success + failure, error)


def _contrast(counts: Contingency, kept: Callable[[np.ndarray], np.ndarray]) -> Contrast:
    if counts.pairs is not None:
        return contrasts.paired(kept(counts.pairs).sum(axis=0))
    return contrasts.unpaired_total(kept(counts.a), kept(counts.b))


def _over_tasks(counts: Contingency) -> tuple[Difference | None, list[str]]:
    """The mean over tasks like these; or a sentence that says why it is not known."""
    if counts.pairs is None or len(counts.tasks) < 2:
        return None, []
    try:
        return contrasts.over_tasks(contrasts.measured_only(counts.pairs)), []
    except SampleError as problem:
        return None, [f"{MEAN}: unknown, since {problem}."]


def _corrected(lines: Sequence[Line], correction: str) -> Iterator[Line]:
    """The lines with their p values corrected over all of them that have one."""
    known = [line.contrast.difference.p for line in lines if line.contrast.difference.p is not None]
    corrected = iter(CORRECTIONS[correction](known).tolist() if known else [])
    level = LEVEL / len(known) if known and correction == "holm" else LEVEL
    for line in lines:
        unknown = line.contrast.difference.p is None
        yield _with_more(line, None if unknown else next(corrected), level)


def _with_more(line: Line, corrected: float | None, level: float) -> Line:
    p = line.contrast.difference.p if corrected is None else corrected
    decided = p is not None and p < LEVEL
    more = 0 if decided else contrasts.more_episodes(line.contrast, level)
    return dataclasses.replace(line, corrected=corrected, more=more)

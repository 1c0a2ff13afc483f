"""A comparison as a table, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from groot_bench.analysis.comparison import LEVEL, MEAN, Comparison, Line
from groot_bench.analysis.contrasts import BOOTSTRAP_SEED, EXACT, POWER, Contrast
from groot_bench.analysis.table import Difference, PValue, Table, Value
from groot_bench.analysis.table_data import numbers
from groot_bench.episode import too_many

CORRECTED = {"holm": "Holm", "bh": "Benjamini-Hochberg"}
DECIDED = "decided"
NO_DIFFERENCE = "no difference seen"

PAIRED = (
    "They are of episodes that both runs measured, n pairs of equal task, index, seed and scene: Tango's interval, "
    "and the exact McNemar test. The test is the stricter one: the interval may just leave out 0 where p is above 0.05."
)
UNPAIRED = (
    "The runs are taken as independent samples, n episodes of both together: Newcombe's interval and Barnard's exact "
    f"test (above {EXACT} episodes the pooled z test)."
)
PAIRED_TOTAL = (
    "all pairs together. If the policies are equal, every pair that tells them apart is a fair coin within its task, "
    "so this exact test is stratified by task."
)
UNPAIRED_TOTAL = (
    "stratified by task, with Mantel and Haenszel's weights and the Cochran-Mantel-Haenszel test; the two rates are "
    "pooled."
)
OVER_TASKS = (
    "every task has the same weight, and the interval is a bootstrap that draws tasks and then their episodes "
    f"(clustered by task; seed {BOOTSTRAP_SEED})."
)


def to_table(comparison: Comparison) -> Table:
    """See `Comparison.table`."""
    with_errors = comparison.total.pessimistic is not None
    one, two = _column_names(comparison)
    head = ["task", one, two, f"{one} - {two}", "p", f"p ({CORRECTED[comparison.correction]})", "more episodes"]
    if with_errors:
        head += [f"{one} - {two}, errors as failures", "p, errors as failures"]
    shown = comparison.parts if too_many(comparison.lines, comparison.parts) else (*comparison.lines, *comparison.parts)
    rows = [_row(line, with_errors) for line in (*shown, comparison.total)]
    if comparison.over_tasks is not None:
        rows.append((MEAN, "", "", comparison.over_tasks, "", "", "", *["", ""] * with_errors))
    protocols = dict.fromkeys(comparison.protocols)
    title = f"{comparison.names[0]} against {comparison.names[1]}: {' against '.join(protocols)}"
    return Table(title, tuple(head), tuple(rows), tuple(explanations(comparison)))


def _column_names(comparison: Comparison) -> Sequence[str]:
    """The runs, each with its protocol where the protocols differ."""
    if comparison.protocols[0] == comparison.protocols[1]:
        return comparison.names
    return [f"{name} under {rules}" for name, rules in zip(comparison.names, comparison.protocols, strict=True)]


def _row(line: Line, with_errors: bool) -> tuple[Value, ...]:
    total = line.corrected is None and line.contrast.difference.p is not None
    cells = [line.task, line.a, line.b, *_difference(line.contrast)]
    cells += ["" if total else _p(line.corrected, line.contrast), _more(line)]
    if with_errors:
        cells += _difference(line.pessimistic or line.contrast)
    return tuple(cells)


def _difference(contrast: Contrast) -> list[Value]:
    difference = contrast.difference
    return [Difference(difference.value, difference.interval, difference.n), _p(difference.p, contrast)]


def _p(p: float | None, contrast: Contrast) -> Value:
    return None if p is None else PValue(p, contrast.difference.n)


def _more(line: Line) -> Value:
    if line.more is None:
        return None if line.contrast.difference.value is None else NO_DIFFERENCE
    return line.more or DECIDED


def explanations(comparison: Comparison) -> list[str]:
    """What the numbers are, in sentences."""
    one, two = comparison.names
    corrected, parts = (
        sum(line.corrected is not None for line in lines) for lines in (comparison.lines, comparison.parts)
    )
    strict = comparison.correction == "holm" and corrected > 1
    of_parts = f", {LEVEL}/{parts} in a part" if parts else ""
    level = f"{LEVEL}/{corrected} in a task{of_parts} and {LEVEL} over all" if strict else f"{LEVEL}"
    told = [
        f"{one}: {comparison.policies[0]}; {two}: {comparison.policies[1]}.",
        f"Rates are successes/n with Wilson's {100 * (1 - LEVEL):.0f} % interval. Differences are in points, {one} "
        f"less {two}. {PAIRED if comparison.paired else UNPAIRED}",
        f"total: {PAIRED_TOTAL if comparison.paired else UNPAIRED_TOTAL} It speaks of these tasks only.",
        f"p ({CORRECTED[comparison.correction]}): corrected over the tasks, {corrected} in number"
        + (", or over the parts by themselves." if comparison.parts else "."),
        "more episodes: about so many of each run would find the difference seen here, were it the true one, with "
        f"{100 * POWER:.0f} % power at level {level}.",
    ]
    if comparison.over_tasks is not None:
        told.append(f"{MEAN}: {OVER_TASKS}")
    if too_many(comparison.lines, comparison.parts):
        told.append(f"{len(comparison.lines)} tasks are not listed one by one; --json has them.")
    return [*told, *comparison.notes]


def to_json(comparison: Comparison) -> dict[str, Any]:
    """See `Comparison.to_json`."""
    mean = comparison.over_tasks
    return {
        "runs": [
            {"name": name, "protocol": protocol, "policy": policy}
            for name, protocol, policy in zip(comparison.names, comparison.protocols, comparison.policies, strict=True)
        ],
        "paired": comparison.paired,
        "confidence": 1 - LEVEL,
        "correction": comparison.correction,
        "tasks": [_line(line) for line in comparison.lines],
        "parts": [_line(line) for line in comparison.parts],
        "total": _line(comparison.total),
        "mean_over_tasks": None if mean is None else numbers(mean),
        "notes": explanations(comparison),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "task": line.task,
        "a": numbers(line.a),
        "b": numbers(line.b),
        **_contrast(line.contrast),
        "p_corrected": line.corrected,
        "more_episodes": line.more,
        "errors_as_failures": None if line.pessimistic is None else _contrast(line.pessimistic),
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    pairs = None if contrast.table is None else contrast.table._asdict()
    return {"difference": numbers(contrast.difference), "pairs": pairs}

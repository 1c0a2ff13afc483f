"""Tables of an episode frame: each is a function of the frame, and shows one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from groot_bench.analysis.columns import OUTCOMES
from groot_bench.analysis.table import Rate, Table, Value
from groot_bench.episode import parts_in, too_many
from groot_bench.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

TOTAL = "total"
INTERVALS = "Rates are successes/n with Wilson's 95 % interval, which takes episodes as independent."


def overview_table(frame: pd.DataFrame) -> Table:
    """One row a run: policy, tasks, and its rate over all episodes.

    Args:
        frame: episodes of one protocol, see `frame.load`.

    Raises:
        UsageError: no episode, or several protocols.
    """
    label = one_protocol(frame)
    counts = outcome_counts(frame, ("run",))
    facts = frame.groupby("run", observed=True, sort=False).agg(policy=("policy", "first"), tasks=("task", "nunique"))
    rows: list[tuple[Value, ...]] = [
        (str(run), str(facts["policy"][run]), int(facts["tasks"][run]), rate_of(counts[(str(run),)]))
        for run in facts.index
    ]
    notes = (INTERVALS, "success: over all episodes of the run, whatever their task.")
    return Table(f"Runs under {label}", ("run", "policy", "tasks", "success"), tuple(rows), notes)


def task_table(frame: pd.DataFrame) -> Table:
    """One row a task and one a part of the suite, one column a run; the total of each run is the last row.

    None stands where a run has nothing of a task. Very many tasks are not listed where they have parts.

    Args:
        frame: episodes of one protocol, see `frame.load`.

    Raises:
        UsageError: no episode, or several protocols.
    """
    label = one_protocol(frame)
    counts = outcome_counts(frame, ("task", "run"))
    runs, tasks = names(frame, "run"), names(frame, "task")
    parts = parts_in(tasks)
    brief = too_many(tasks, parts)
    groups = {**({} if brief else {task: [task] for task in tasks}), **parts}
    rows: list[tuple[Value, ...]] = []
    for name, members in groups.items():
        found = [[counts[(task, run)] for task in members if (task, run) in counts] for run in runs]
        rows.append((name, *(rate_of(_sum(of_run)) if of_run else None for of_run in found)))
    whole = outcome_counts(frame, ("run",))
    rows.append((TOTAL, *(rate_of(whole[(run,)]) for run in runs)))
    notes = (INTERVALS, *([f"{len(tasks)} tasks are not listed one by one."] if brief else []))
    return Table(f"Success by task under {label}", ("task", *runs), tuple(rows), notes)


def _sum(counts: Sequence[Mapping[str, int]]) -> Mapping[str, int]:
    return {outcome: sum(one[outcome] for one in counts) for outcome in OUTCOMES}


def one_protocol(frame: pd.DataFrame) -> str:
    """The label of the protocol of all episodes.

    Raises:
        UsageError: no episode, or several protocols: their numbers must not share a column or a figure.
    """
    if not len(frame):
        raise UsageError("no episodes; there is nothing to show")
    found = frame[["protocol_id", "protocol"]].drop_duplicates()
    if len(found) > 1:
        told = ", ".join(f"{label} [{one}]" for one, label in found.itertuples(index=False))
        raise UsageError(
            f"two protocols never share a column or a figure, and these episodes have {len(found)}: {told}. "
            "Take each by itself: frame[frame['protocol_id'] == ...]"
        )
    return str(found["protocol"].iat[0])


def names(frame: pd.DataFrame, column: str) -> list[str]:
    """The different values of a column, in the order in which they come."""
    return [str(name) for name in frame[column].unique()]


def outcome_counts(frame: pd.DataFrame, by: Sequence[str]) -> Mapping[tuple[str, ...], Mapping[str, int]]:
    """Numbers of episodes of each outcome, for each group of `by` that has any."""
    sizes = frame.groupby([*by, "outcome"], observed=True, sort=False).size()
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for (*group, outcome), number in sizes.items():
        found.setdefault(tuple(map(str, group)), dict.fromkeys(OUTCOMES, 0))[outcome] = int(number)
    return found


def rate_of(counts: Mapping[str, int]) -> Rate:
    """The rate of some outcomes; what is not in its denominator stands beside it."""
    success, failure, error, missing = (counts[outcome] for outcome in OUTCOMES)
    return Rate.of(success, success + failure, error, missing)

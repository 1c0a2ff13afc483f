"""What `groot-bench show` and `eval` print of a run: successes/n with an interval, per task and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groot_bench import pins
from groot_bench.episode import EpisodeRecord, Outcome, parts_in, too_many
from groot_bench.record import Run
from groot_bench.stats import Interval, wilson


@dataclass(frozen=True)
class Row:
    """Counts of one task, of those of a part of the suite, or of all.

    Attributes:
        name: the task, the part, or "total".
        successes, failures, errors, missing: numbers of episodes.
        steps: mean control steps of the measured episodes, or None without any.
    """

    name: str
    successes: int
    failures: int
    errors: int
    missing: int
    steps: float | None

    @property
    def measured(self) -> int:
        """Episodes that could be measured: the first denominator."""
        return self.successes + self.failures

    @property
    def attempted(self) -> int:
        """Measured episodes and errors: the second denominator, which counts every error as no success."""
        return self.measured + self.errors

    @property
    def interval(self) -> Interval | None:
        """Wilson 95 % of successes/measured; None when nothing was measured."""
        return wilson(self.successes, self.measured) if self.measured else None

    @property
    def pessimistic(self) -> Interval | None:
        """Wilson 95 % of successes/attempted; None when nothing was attempted."""
        return wilson(self.successes, self.attempted) if self.attempted else None

    def to_json(self) -> dict[str, Any]:
        low_high = None if self.interval is None else [self.interval.low, self.interval.high]
        pessimistic = None if self.pessimistic is None else [self.pessimistic.low, self.pessimistic.high]
        return {
            "name": self.name,
            "successes": self.successes,
            "measured": self.measured,
            "rate": self.successes / self.measured if self.measured else None,
            "wilson_95": low_high,
            "errors": self.errors,
            "attempted": self.attempted,
            "rate_errors_as_failures": self.successes / self.attempted if self.attempted else None,
            "wilson_95_errors_as_failures": pessimistic,
            "missing": self.missing,
            "mean_steps": self.steps,
        }


def summarize(run: Run) -> list[Row]:
    """One row for each task in the run's order, and the total last."""
    recorded, listed = _by_task(run)
    rows = [_row(task, recorded[task], listed[task]) for task in run.experiment["tasks"]]
    return [*rows, _row("total", run.records, sum(listed.values()))]


def summarize_parts(run: Run) -> list[Row]:
    """One row for each part of the suite (see `episode.parts_of`) of which the run has several tasks, but not only
    these; episodes are pooled."""
    recorded, listed = _by_task(run)
    return [
        _row(part, [record for task in tasks for record in recorded[task]], sum(listed[task] for task in tasks))
        for part, tasks in parts_in(run.experiment["tasks"]).items()
    ]


def _by_task(run: Run) -> tuple[Mapping[str, Sequence[EpisodeRecord]], Mapping[str, int]]:
    """The records of each task, and how many of its episodes the run's shard lists."""
    i, n = run.manifest["shard"]
    recorded: dict[str, list[EpisodeRecord]] = {task: [] for task in run.experiment["tasks"]}
    for record in run.records:
        recorded[record.episode.task].append(record)
    return recorded, Counter(task for task, _, _ in run.manifest["episodes"][i - 1 :: n])


def _row(name: str, records: Sequence[EpisodeRecord], listed: int) -> Row:
    counts = {outcome: sum(record.outcome is outcome for record in records) for outcome in Outcome}
    steps = [record.steps for record in records if record.outcome is not Outcome.ERROR]
    return Row(
        name,
        counts[Outcome.SUCCESS],
        counts[Outcome.FAILURE],
        counts[Outcome.ERROR],
        listed - len(records),
        sum(steps) / len(steps) if steps else None,
    )


def to_markdown(run: Run) -> str:
    """The run as a Markdown page: what it is, its table, and its errors."""
    *tasks, total = summarize(run)
    parts = summarize_parts(run)
    brief = too_many(tasks, parts)
    rows = [*parts, total] if brief else [*tasks, *parts, total]
    lines = [f"# {_title(run)}", "", *_facts(run), "", *_table(rows, bool(total.errors), bool(total.missing))]
    if brief:
        lines += ["", f"{len(tasks)} tasks are not listed one by one; --json has them."]
    if total.errors:
        lines += ["", *_errors(run)]
    return "\n".join(lines) + "\n"


def to_json(run: Run) -> dict[str, Any]:
    """The same numbers, for programs."""
    *tasks, total = (row.to_json() for row in summarize(run))
    return {
        "folder": str(run.folder),
        "complete": run.is_complete,
        "experiment": dict(run.experiment),
        "shard": run.manifest["shard"],
        "tasks": tasks,
        "parts": [row.to_json() for row in summarize_parts(run)],
        "total": total,
    }


def _title(run: Run) -> str:
    policy: Mapping[str, Any] = run.experiment["policy"]
    return cell(f"{policy['name']} on {pins.rules_label(run.experiment)}")


def _facts(run: Run) -> list[str]:
    experiment = run.experiment
    suite: Mapping[str, Mapping[str, Any]] = experiment["suite"]
    policy: Mapping[str, Any] = experiment["policy"]
    packages = ", ".join(f"{name} {number}" for name, number in suite["packages"].items())
    i, n = run.manifest["shard"]
    facts = [f"run: `{run.folder}`", f"episodes: {len(run.records)} of {run.expected} recorded"]
    if n > 1:
        facts[-1] += f" (shard {i}/{n})"
    if experiment.get("first_episode"):
        facts[-1] += f", from index {experiment['first_episode']} on"
    facts.append(f"run seed {experiment['seed']}, policy seed {policy.get('seed')}")
    if packages:
        facts.append(
            f"simulator: {packages}" + (f", graphics {experiment['graphics']}" if experiment.get("graphics") else "")
        )
    differs = pins.unpinned(experiment)
    if differs:
        facts.append(f"**unpinned**: {differs}; {pins.MEANING}")
    if "rescored" in experiment:
        facts.append(f"**rescored** from a recorded run by rule {experiment['rescored']['rule']}; nothing was executed")
    if policy.get("privileged"):
        facts.append("**this policy reads the simulator's hidden state**")
    return [f"- {cell(fact)}" for fact in facts]


def _table(rows: Sequence[Row], with_errors: bool, with_missing: bool) -> list[str]:
    head = ["task", "success", "rate", "95 % interval (Wilson)", "mean steps"]
    if with_errors:
        head += ["errors", "errors as failures"]
    if with_missing:
        head.append("missing")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [cell(row.name), f"{row.successes}/{row.measured}", *_rate(row.successes, row.measured, row.interval)]
        cells.append("unknown" if row.steps is None else f"{row.steps:.1f}")
        if with_errors:
            rate, interval = _rate(row.successes, row.attempted, row.pessimistic)
            cells += [str(row.errors), f"{row.successes}/{row.attempted} = {rate} ({interval})"]
        if with_missing:
            cells.append(str(row.missing))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _rate(successes: int, trials: int, interval: Interval | None) -> tuple[str, str]:
    if interval is None:
        return "unknown", "unknown"
    return f"{100 * successes / trials:.1f} %", f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def _errors(run: Run) -> list[str]:
    lines = ["Errors (episodes that could not be measured):", ""]
    for record in run.records:
        if record.outcome is Outcome.ERROR:
            last = (record.error or "").strip().splitlines() or ["unknown"]
            told = last[0] if len(last) == 1 else f"{last[0]} ... {last[-1]}"
            lines.append(f"- {cell(str(record.episode))}: {cell(told)[:300]}")
    return lines


def cell(text: str) -> str:
    """Text that cannot break the table or the page: no line breaks, bars, tags or terminal escapes."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("|", "\\|").replace("<", "&lt;")

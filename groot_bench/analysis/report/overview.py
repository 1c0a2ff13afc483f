"""The upper part of the page: for each protocol its runs, tables, deltas and figures; then manifests and commands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from groot_bench import pins
from groot_bench.analysis import tables
from groot_bench.analysis.comparable import require_comparable
from groot_bench.analysis.comparison import compare
from groot_bench.analysis.report.commands import run_commands
from groot_bench.analysis.report.fields import leaf
from groot_bench.analysis.report.figures import Picture, pictures
from groot_bench.analysis.report.html_table import to_html
from groot_bench.analysis.table import Rate, Table
from groot_bench.analysis.text import visible, visible_all
from groot_bench.errors import GrootBenchError
from groot_bench.provenance import differences

if TYPE_CHECKING:
    import pandas as pd

    from groot_bench.analysis.figures.gallery import Factor
    from groot_bench.analysis.frame import RunInfo

    Manifests = Mapping[str, Mapping[str, Any]]  # of the runs with these labels


@dataclass(frozen=True)
class Group:
    """Runs under one protocol: the only ones whose numbers may stand in one column.

    Attributes:
        label: of the protocol.
        tables, deltas: as HTML.
        matrix: rows = runs, columns = tasks, as HTML; None for one run.
        notes: why a delta is not there.
        pictures: figures.
    """

    label: str
    tables: Sequence[Markup]
    matrix: Markup | None
    deltas: Sequence[Markup]
    notes: Sequence[str]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class RunFacts:
    """What is said of one run beside its numbers."""

    label: str
    state: str
    facts: Sequence[tuple[str, str]]
    commands: Sequence[str]
    manifest: str


def groups(
    frame: pd.DataFrame, runs: Sequence[RunInfo], baseline: str | None = None, factor: Factor | None = None
) -> list[Group]:
    """One group for each protocol, in the order of the runs.

    Args:
        frame: the episodes of `runs`.
        baseline: the label of the run that others of its protocol are held against; None for no deltas.
        factor: what success is drawn against; None for nothing.
    """
    ids = list(frame["protocol_id"].unique())
    manifests = {run.label: run.manifest for run in runs}
    return [_group(frame[frame["protocol_id"] == one], manifests, baseline, factor, len(ids) > 1) for one in ids]


def _group(
    frame: pd.DataFrame, manifests: Manifests, baseline: str | None, factor: Factor | None, several: bool
) -> Group:
    frame = frame.assign(run=frame["run"].cat.remove_unused_categories())
    runs = tables.names(frame, "run")
    label = visible(str(frame["protocol"].iat[0]))
    if several:
        label += f" [{frame['protocol_id'].iat[0]}]"
    made = [to_html(tables.overview_table(frame)), to_html(tables.task_table(frame))]
    across = to_html(matrix(frame)) if len(runs) > 1 else None
    deltas: list[Markup] = []
    notes: list[str] = []
    if baseline is not None and baseline in runs:
        deltas, notes = _deltas(frame, {run: manifests[run] for run in runs}, baseline)
    return Group(label, made, across, deltas, notes, pictures(frame, baseline, factor))


def matrix(frame: pd.DataFrame) -> Table:
    """Rows = runs, columns = tasks and the total, cells = rates; one protocol only."""
    runs, tasks = tables.names(frame, "run"), tables.names(frame, "task")
    counts, whole = tables.outcome_counts(frame, ("run", "task")), tables.outcome_counts(frame, ("run",))

    def rate(group: tuple[str, ...]) -> Rate | None:
        found = counts.get(group) or whole.get(group)
        return None if found is None else tables.rate_of(found)

    rows = tuple((run, *(rate((run, task)) for task in tasks), rate((run,))) for run in runs)
    return Table("Runs and tasks", ("run", *tasks, "total"), rows, (tables.INTERVALS,))


def _deltas(frame: pd.DataFrame, manifests: Manifests, baseline: str) -> tuple[list[Markup], list[str]]:
    there = frame[frame["run"] == baseline]
    made, notes = [], []
    for run, manifest in manifests.items():
        if run == baseline:
            continue
        try:
            require_comparable(manifests[baseline], manifest, (baseline, run))
            held = compare(frame[frame["run"] == run], there, errors="both", unfinished=True)
            made.append(to_html(held.table()))
        except (GrootBenchError, ValueError) as problem:
            notes.append(visible(f"{run} is not held against {baseline}: {problem}"))
    return made, notes


def run_facts(run: RunInfo, frame: pd.DataFrame) -> RunFacts:
    """What is known of a run; `frame` holds its episodes."""
    experiment: Mapping[str, Any] = run.manifest["experiment"]
    policy, suite = experiment["policy"], experiment["suite"]
    recorded, listed = int((frame["outcome"] != "missing").sum()), len(frame)
    i, n = run.manifest["shard"]
    packages = ", ".join(f"{name} {number}" for name, number in suite["packages"].items())
    facts = [
        ("folder", str(run.folder)),
        ("policy", str(policy["name"]) + (f", checkpoint {policy['checkpoint']}" if policy.get("checkpoint") else "")),
        ("protocol", str(frame["protocol"].iat[0]) if listed else str(experiment["protocol"]["name"])),
        ("episodes", f"{recorded} of {listed} recorded" + (f" (shard {i}/{n})" if n > 1 else "")),
        ("seeds", f"run {experiment['seed']}, policy {'none' if policy.get('seed') is None else policy['seed']}"),
        ("suite", f"{suite['name']}" + (f" ({packages})" if packages else "")),
    ]
    if experiment.get("graphics"):
        facts.append(("graphics", str(experiment["graphics"])))
    if experiment.get(pins.FIELD):
        facts.append(("unpinned", f"{pins.unpinned(experiment)}; {pins.MEANING}"))
    if policy.get("privileged"):
        facts.append(("note", "this policy reads the simulator's hidden state"))
    state = "complete" if recorded == listed else f"{listed - recorded} episodes missing"
    shown = {key: value for key, value in run.manifest.items() if key != "episodes"}
    text = json.dumps(visible_all(shown), indent=1, ensure_ascii=False, sort_keys=True)
    plain = [(name, visible(value)) for name, value in facts]
    return RunFacts(visible(run.label), state, plain, run_commands(run.manifest), text)


def manifest_differences(runs: Sequence[RunInfo]) -> Markup | None:
    """The fields in which the experiments of the runs differ, one column a run; None for one run or equal ones."""
    experiments = [run.manifest["experiment"] for run in runs]
    fields = sorted({field for other in experiments[1:] for field in differences(experiments[0], other)})
    if not fields:
        return None
    rows = [(field, *(_short(leaf(experiment, field)) for experiment in experiments)) for field in fields]
    head = ("field", *(run.label for run in runs))
    return to_html(Table("What differs between the runs' experiments", head, tuple(rows)))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 200 else f"{text[:200]} ... ({len(text)} characters)"

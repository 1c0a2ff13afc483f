"""One call, several suites: which task, which protocol and which folder belong to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from groot_bench.errors import UnknownName, UsageError
from groot_bench.evaluation import Settings
from groot_bench.suite import Suite


def per_suite(settings: Settings, suites: Sequence[Suite], protocols: Sequence[str] = ()) -> list[Settings]:
    """The settings of each suite's own evaluation.

    A suite takes the tasks that it has and the protocol that is its own ("libero/oft-50"); a short name of a protocol
    ("oft-50") is meant for every suite. `settings.out` becomes a parent folder, with one run for each suite in it.

    Args:
        settings: what all have in common; its tasks may be of any of the suites.
        suites: at least one, all different.
        protocols: names, at most one for a suite.

    Raises:
        UsageError: a suite is named twice, or would run without any of the tasks, or with two protocols.
        UnknownName: a task or a protocol is of none of the suites.
        SuiteNotReady: the tasks of one are known only once it is set up.
    """
    names = [suite.name for suite in suites]
    if len(set(names)) < len(names):
        raise UsageError(f"a suite is named twice: {', '.join(names)}")
    if len(suites) == 1:
        return [replace(settings, suite=suites[0], protocol=_protocol(suites[0], protocols))]
    tasks = {suite.name: _tasks(suite, settings.tasks) for suite in suites}
    known = [name for suite in suites for name in (*suite.parts, *suite.tasks)]
    for task in settings.tasks or ():
        if not any(task in found for found in tasks.values() if found):
            raise UnknownName(f"task of the suites {', '.join(names)}", task, known)
    for name in protocols:
        if "/" in name and name.partition("/")[0] not in names:
            raise UnknownName("suite of a protocol", name, names)
    return [
        replace(
            settings,
            suite=suite,
            tasks=tasks[suite.name],
            protocol=_protocol(suite, [name for name in protocols if "/" not in name or _owns(suite, name)]),
            out=None if settings.out is None else Path(settings.out) / suite.name,
        )
        for suite in suites
    ]


def _tasks(suite: Suite, wanted: Sequence[str] | None) -> list[str] | None:
    if wanted is None:
        return None
    suite.require_tasks()
    found = [task for task in wanted if task in suite.tasks or task in suite.parts]
    if not found:
        raise UsageError(f"suite {suite.name!r} has none of the tasks {', '.join(wanted)}; name one of its own, too")
    return found


def _protocol(suite: Suite, wanted: Sequence[str]) -> str | None:
    if len(wanted) > 1:
        raise UsageError(f"suite {suite.name!r} was given {len(wanted)} protocols: {', '.join(wanted)}")
    return wanted[0] if wanted else None


def _owns(suite: Suite, protocol: str) -> bool:
    return protocol.partition("/")[0] == suite.name

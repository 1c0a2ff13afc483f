"""What `groot-bench list` prints. It looks for a suite's packages without importing any of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from groot_bench import graphics
from groot_bench.errors import SuiteNotReady, UsageError
from groot_bench.interpreter import probe_versions
from groot_bench.suite import Suite, load_suite, suite_names

READY = "ready"


def list_suites(python: str | None = None) -> list[dict[str, Any]]:
    """Each installed suite: name, tasks, protocols (the default first), `state`, and `fix`.

    The state is "ready", perhaps with a restriction, or what is missing; the fix is the command that mends it, or "".

    Args:
        python: the interpreter of the environments; None for each suite's own.
    """
    return [_entry(name, python) for name in suite_names()]


def _entry(name: str, python: str | None) -> dict[str, Any]:
    try:
        suite = load_suite(name)
    except UsageError as problem:
        return {"name": name, "tasks": [], "protocols": [], "state": f"broken: {problem}", "fix": ""}
    state, fix = _state(suite, python)
    return {"name": name, "tasks": list(suite.tasks), "protocols": list(suite.protocols), "state": state, "fix": fix}


def _state(suite: Suite, python: str | None) -> tuple[str, str]:
    if suite.missing and python is None:
        return suite.missing, suite.install
    try:
        versions = probe_versions(python or suite.python or sys.executable, suite.packages, suite.variables)
    except SuiteNotReady as problem:
        return str(problem), ""
    unready = suite.unready(versions)
    if unready:
        return unready, suite.install
    lacking = suite.lacking_starts() if suite.lacking_starts is not None else ""
    if lacking:
        return lacking, f"groot-bench setup {suite.name} --make-seeds"
    backend = graphics.backend(suite.variables)
    if backend in graphics.BACKENDS and not graphics.is_present(backend):
        return f"{READY} without cameras", graphics.install_command(backend)
    return READY, ""


def to_markdown(suites: Sequence[dict[str, Any]]) -> str:
    """The list as a table."""
    lines = ["| suite | tasks | protocols | state |", "|---|---|---|---|"]
    for suite in suites:
        tasks, protocols = ", ".join(_brief(suite["tasks"])), ", ".join(suite["protocols"])
        fix = f": {suite['fix']}" if suite["fix"] else ""
        lines.append(f"| {suite['name']} | {tasks} | {protocols} | {suite['state']}{fix} |")
    return "\n".join(lines)


def _brief(tasks: Sequence[str]) -> list[str]:
    """The tasks, or the parts where a suite has those: "libero_goal (10)"; `--task` takes parts, too."""
    parts = Counter(name.rpartition("/")[0] for name in tasks)
    return [f"{part} ({count})" for part, count in parts.items()] if "" not in parts else list(tasks)

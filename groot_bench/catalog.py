"""What `groot-bench list` prints. It looks for a suite's packages without importing any of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from groot_bench import graphics
from groot_bench.suite import Suite, load_suite, suite_names
from groot_bench.workers import probe_versions


def list_suites(python: str | None = None) -> list[dict[str, Any]]:
    """Each installed suite: name, tasks, protocols (the default first), and `state`.

    The state is "ready", or what is missing and the command that brings it.
    """
    return [_entry(load_suite(name), python or sys.executable) for name in suite_names()]


def _entry(suite: Suite, python: str) -> dict[str, Any]:
    return {
        "name": suite.name,
        "tasks": list(suite.tasks),
        "protocols": list(suite.protocols),
        "state": state(suite, python),
    }


def state(suite: Suite, python: str) -> str:
    """Whether a suite can run under that interpreter, in words."""
    versions = probe_versions(python, suite.packages)
    missing = [name for name in suite.packages if versions[name] is None]
    if missing:
        return f"missing {', '.join(missing)}: {suite.install}"
    backend = graphics.backend(suite.variables)
    if backend in graphics.BACKENDS and not graphics.is_present(backend):
        return f"ready without cameras; for cameras: {graphics.install_command(backend)}"
    return "ready"


def to_markdown(suites: Sequence[dict[str, Any]]) -> str:
    """The list as a table."""
    lines = ["| suite | tasks | protocols | state |", "|---|---|---|---|"]
    for suite in suites:
        tasks, protocols = ", ".join(suite["tasks"]), ", ".join(suite["protocols"])
        lines.append(f"| {suite['name']} | {tasks} | {protocols} | {suite['state']} |")
    return "\n".join(lines)

"""Whether a suite can run under an interpreter: it is set up, its packages are there, in the versions it stands for."""

from __future__ import annotations

import sys

from groot_bench import pins
from groot_bench.errors import SuiteNotReady
from groot_bench.interpreter import probe_versions
from groot_bench.suite import Suite


def require_ready(suite: Suite, python: str, unpinned: bool = False) -> dict[str, str | None]:
    """The versions of the suite's packages under that interpreter.

    Args:
        unpinned: whether other versions than the pinned ones will do.

    Raises:
        SuiteNotReady: the suite is not set up, or a package is missing or has another version than the pinned one.
    """
    # An interpreter named by --python may do for a suite that is not set up, but not where the set-up brings its tasks.
    if suite.missing and (python == sys.executable or suite.complete is not None):
        raise SuiteNotReady(f"suite {suite.name!r}: {suite.missing}; run: {suite.install}")
    versions = probe_versions(python, suite.packages, suite.variables)
    problem = suite.absent(versions) if unpinned else suite.unready(versions)
    if problem:
        message = f"suite {suite.name!r}: {problem} under {python}; run: {suite.install}"
        if not suite.absent(versions):
            message += f"\nor let `groot-bench eval` have these versions with --unpinned: {pins.MEANING}"
        raise SuiteNotReady(message)
    return versions

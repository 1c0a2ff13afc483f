"""Questions to a simulator itself: programs of tests/ that a suite's own interpreter runs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from typing import Any

import pytest
from conftest import ROOT

from groot_bench import Suite, load_suite


def set_up(name: str, mended_by: str) -> Suite:
    """The suite; skips the test where it is not set up."""
    suite = load_suite(name)
    if suite.missing:
        pytest.skip(f"{name} is {suite.missing}: {mended_by}")
    return suite


def ask(suite: Suite, script: str, *question: str, timeout: float = 900.0) -> Any:
    """The answer of tests/<script>, which prints one JSON value on its last line."""
    assert suite.python is not None
    with tempfile.TemporaryDirectory() as folder:  # MuJoCo writes its log into the current one
        done = subprocess.run(
            [suite.python, str(ROOT / "tests" / script), str(ROOT / "envs"), *question],
            env={**os.environ, **suite.variables, "PYTHONPATH": os.pathsep.join(suite.paths)},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])

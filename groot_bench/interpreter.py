"""The interpreter of a suite's environments: what it is started with, and what is installed in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from groot_bench.errors import SuiteNotReady

PROBE = """
import sys
if sys.path[0] == "": sys.path.pop(0)  # the current folder, whose files must not stand in for the library's
import importlib.metadata as m, json, platform
found = {}
for name in sys.argv[1:]:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: found[name] = None
print(json.dumps({"python": platform.python_version(), "packages": found}))
"""


def child_environment(python: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a worker process: the suite's, then the user's own, which win.

    Two are fixed. String hashes must be the same in every worker, since simulators iterate over sets of strings. And
    PYTHONPATH and PYTHONHOME of this interpreter are not handed to another one, whose packages they would hide; two
    virtual environments are two interpreters, though their programs be links to the same file.
    """
    own = dict(os.environ)
    if os.path.abspath(python) != os.path.abspath(sys.executable):
        for name in ("PYTHONPATH", "PYTHONHOME"):
            own.pop(name, None)
    hash_seed = variables.get("PYTHONHASHSEED", "0")
    return {**variables, **own, "PYTHONHASHSEED": hash_seed, "PYTHONUNBUFFERED": "1"}


def probe_versions(
    python: str, packages: Sequence[str], variables: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """The versions of these distributions under that interpreter (None where absent), and its own as "python".

    Raises:
        SuiteNotReady: the interpreter does not run.
    """
    try:
        done = subprocess.run(
            [python, "-c", PROBE, *packages],
            env=child_environment(python, variables or {}),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise SuiteNotReady(f"the interpreter {python!r} failed: {done.stderr.strip()[-500:]}")
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        raise SuiteNotReady(f"the interpreter {python!r} does not run: {problem}") from None
    return {"python": found["python"], **found["packages"]}

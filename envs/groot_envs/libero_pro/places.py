"""Where LIBERO-PRO's files lie, as the harness finds them: in the suite's own folder, or with a package of the user's.

Of the user's interpreter only Python itself is started, not LIBERO, which asks at the terminal when it is imported for
the first time.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from groot_bench.errors import SuiteNotReady
from groot_bench.interpreter import child_environment
from groot_bench.setup.state import Ready, variable_of
from groot_envs.libero_pro.tasks import Root, require_pro

NAME = "libero_pro"
SOURCE, TASKS = "LIBERO-PRO", "tasks"  # the repository's and the task files' folders in the suite's own folder
SECONDS = 60  # for the interpreter to answer

# Finds the package and its settings, which are lines "name: folder", as LIBERO itself does (libero/libero/__init__.py).
ASK = """
import sys
if sys.path[0] == "": sys.path.pop(0)  # the current folder, which workers do not look into
import importlib.util, json, os
spec = importlib.util.find_spec("libero")
found = [os.path.join(place, "libero") for place in (spec.submodule_search_locations or [])] if spec else []
config = os.path.join(os.environ.get("LIBERO_CONFIG_PATH", os.path.expanduser("~/.libero")), "config.yaml")
lines = open(config, encoding="utf-8").read(65536).splitlines() if os.path.isfile(config) else []
values = dict(line.split(": ", 1) for line in lines if ": " in line)
print(json.dumps({"packages": found, "values": {name: text.strip(" '\\"") for name, text in values.items()}}))
"""


def roots(python: str, paths: Sequence[str]) -> tuple[Root, ...]:
    """The folders in which the parts are looked for, the first one first.

    Args:
        python: the suite's interpreter.
        paths: what the suite's own set-up puts onto sys.path: the repository; () for an interpreter of the user's own.

    Raises:
        SuiteNotReady: the user's interpreter does not run, or its package is not LIBERO-PRO.
    """
    if not paths:
        return _asked(python)
    source = Path(paths[0])
    return _root(source.parent / TASKS), _root(source / "libero" / "libero")


def source(paths: Sequence[str]) -> dict[str, str]:
    """{"source": the commit that was set up, or the digest of a copy's files}; meshes and textures are in it, too.

    {} for a package of the user's own, and before the set-up is finished.
    """
    ready = Ready.load(Path(paths[0]).parent) if paths else None
    return {"source": str(ready.repositories[SOURCE]["commit"])} if ready is not None else {}


def _root(folder: Path) -> Root:
    return Root(str(folder / "bddl_files"), str(folder / "init_files"))


def _asked(python: str) -> tuple[Root, ...]:
    variable = variable_of(NAME)
    try:
        done = subprocess.run(
            [python, "-c", ASK],
            env=child_environment(python, {}),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        answer = json.loads(done.stdout)
        packages, values = list(answer["packages"]), dict(answer["values"])
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
        raise SuiteNotReady(
            f"the interpreter {python!r} that ${variable} names does not run: {problem}; unset it, or name another"
        ) from None
    if not packages:
        raise SuiteNotReady(f"{python!r}, which ${variable} names, has no package `libero`; unset it, or name another")
    try:
        require_pro(packages[0])
    except RuntimeError as problem:
        raise SuiteNotReady(f"${variable} is {python!r}, but {problem}; unset it, or name another") from None
    own = _root(Path(packages[0]))
    return Root(values.get("bddl_files", own.bddl), values.get("init_states", own.starts)), own

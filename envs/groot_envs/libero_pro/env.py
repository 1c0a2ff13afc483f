"""The environment side of suite `libero_pro`: LIBERO's environment, with LIBERO-PRO's package and files."""

from __future__ import annotations

import os
from typing import Any, Mapping

from groot_envs.libero import simulator
from groot_envs.libero.env import Definition, LiberoEnv
from groot_envs.libero.tasks import instruction
from groot_envs.libero_pro import tasks
from groot_envs.libero_pro.problem import read_instruction


def make_env(task: str, settings: Mapping[str, Any]) -> LiberoEnv:
    """The environment of that task.

    Args:
        task: "<part>/<LIBERO's task>".
        settings: as LIBERO's (`groot_envs.libero.env.make_env`), and "protocol", which decides the instruction, and
            "files", part -> digest of the files that the harness has listed.

    Raises:
        RuntimeError: the package is not LIBERO-PRO, or its files are not those that the harness has listed.
        ValueError: a file of the task is not what it should be.
        OSError: a file cannot be read.
    """
    package = os.path.dirname(os.path.abspath(simulator.package.__file__))
    tasks.require_pro(package)
    own = tasks.Root(os.path.join(package, "bddl_files"), os.path.join(package, "init_files"))
    name = task.partition("/")[0]
    part = tasks.find_part([tasks.Root(*simulator.folders("libero_pro")), own], name)
    listed = settings.get("files", {}).get(name)
    if part is None or part.digest != listed:
        # The manifest names the files by their contents: numbers of other files are other numbers.
        raise RuntimeError(
            "the files of %s are not those that the harness has listed (%s here, %s there); an interpreter of your own "
            "is named by GROOT_BENCH_LIBERO_PRO_PYTHON, not by --python" % (name, part and part.digest, listed)
        )
    bddl, starts = tasks.task_files(part, task)
    words = read_instruction(bddl)  # also where they are not used: it refuses what LIBERO would run as Python
    if settings["protocol"] == tasks.FILE_NAMES:
        words = instruction(task)
    return LiberoEnv(Definition(bddl, starts, words), settings)

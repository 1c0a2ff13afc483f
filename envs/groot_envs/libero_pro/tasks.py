"""LIBERO-PRO's parts and where their files lie; both sides read this, neither needs LIBERO for it.

A task's name is "<part>/<LIBERO's task>", for example "libero_goal_swap/put_the_bowl_on_the_plate". A part is one cell
of LIBERO-PRO's table: a suite of LIBERO as it is, or that suite with one perturbation, whose tasks have the same names.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from groot_envs.libero import tasks as libero

SUITES = ("libero_goal", "libero_spatial", "libero_10", "libero_object")  # in the order of LIBERO-PRO's table

# How upstream's folders call a perturbation ("perturbation_mapping" in evaluation_config.yaml) -> its table's column.
PERTURBATIONS = {"": "ori", "object": "obj", "swap": "pos", "lan": "sem", "task": "task", "env": "env"}

# Upstream has not published files of "env" (issue 9 of its repository); its perturbation program makes some.
PUBLISHED = ("object", "swap", "lan", "task")

# Which instruction a protocol gives: that of the task's definition, or the words of its file's name.
OFFICIAL, FILE_NAMES = "libero_pro/official", "libero_pro/file-names"

BDDL, STARTS = ".bddl", ".pruned_init"
MAX_TASKS = 1000  # of a part; upstream's have 10
MAX_BYTES = 1 << 24  # of a file; the largest of upstream's has 59 KB
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,199}")


class Root(NamedTuple):
    """A folder of parts with their BDDL files, and one with their initial states."""

    bddl: str
    starts: str


class Part(NamedTuple):
    """One cell of the table, as files.

    Attributes:
        root: where it lies.
        tasks: of which there is a definition or a file of initial states, sorted.
        digest: of the names and contents of all of these files.
    """

    root: Root
    tasks: Tuple[str, ...]
    digest: str


def part_name(suite: str, perturbation: str) -> str:
    """As upstream's folder: ("libero_goal", "swap") -> "libero_goal_swap", ("libero_goal", "") -> "libero_goal"."""
    return suite + "_" + perturbation if perturbation else suite


PARTS = tuple(part_name(suite, perturbation) for suite in SUITES for perturbation in PERTURBATIONS)


def cell(task: str) -> Tuple[str, str]:
    """The cell of LIBERO-PRO's table that a task (or a part) counts in: its suite, and one of PERTURBATIONS' values."""
    part = task.partition("/")[0]
    if part not in PARTS:
        raise KeyError("%r is no part of LIBERO-PRO; it has %s" % (part, ", ".join(PARTS)))
    (suite,) = (suite for suite in SUITES if part in (suite, *(part_name(suite, key) for key in PERTURBATIONS)))
    return suite, PERTURBATIONS[part[len(suite) + 1 :]]


def published_names() -> Tuple[str, ...]:
    """The 200 tasks of which upstream has published files, in the order of its table and of LIBERO's benchmark."""
    names = {suite: [name for name in libero.task_names() if name.startswith(suite + "/")] for suite in SUITES}
    parts = [(suite, part_name(suite, key)) for suite in SUITES for key in ("", *PUBLISHED)]
    return tuple(part + "/" + name.partition("/")[2] for suite, part in parts for name in names[suite])


def find_parts(roots: Sequence[Root]) -> Dict[str, Part]:
    """The parts that lie in these folders, in the table's order; of a part that lies in two of them, the first.

    Raises:
        ValueError: a part has too many files, a file is too large or no plain file, or has a name that no task has.
        OSError: a folder or file cannot be read.
    """
    found = {name: find_part(roots, name) for name in PARTS}
    return {name: part for name, part in found.items() if part is not None}


def find_part(roots: Sequence[Root], name: str) -> Optional[Part]:
    """One part, or None where it is in none of these folders; see `find_parts`."""
    for root in roots:
        if name in PARTS and os.path.isdir(os.path.join(root.bddl, name)):
            return _part(root, name)
    return None


def task_files(part: Part, task: str) -> Tuple[str, str]:
    """The definition and the initial states of a task of that part. Raises ValueError where the part has none such."""
    folder, _, name = task.partition("/")
    if name not in part.tasks:
        raise ValueError("%r is none of the %d tasks in %s" % (task, len(part.tasks), part.root.bddl))
    return os.path.join(part.root.bddl, folder, name + BDDL), os.path.join(part.root.starts, folder, name + STARTS)


def _part(root: Root, part: str) -> Part:
    digest, tasks = hashlib.blake2b(digest_size=16), set()
    for folder, ending in ((os.path.join(root.bddl, part), BDDL), (os.path.join(root.starts, part), STARTS)):
        for name in _names(folder, ending):
            path = os.path.join(folder, name)
            if not os.path.isfile(path) or os.path.getsize(path) > MAX_BYTES:
                raise ValueError("%s is no plain file of at most %d bytes" % (path, MAX_BYTES))
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES)
            digest.update(("%s %d\n" % (name, len(data))).encode() + data)
            tasks.add(name[: -len(ending)])
    return Part(root, tuple(sorted(tasks)), digest.hexdigest())


def _names(folder: str, ending: str) -> List[str]:
    """The files of that kind; others (upstream's classification.json, unpruned .init) are none of ours."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(ending)) if os.path.isdir(folder) else []
    if len(names) > MAX_TASKS:
        raise ValueError("%s has %d files; %d are the most that a part may have" % (folder, len(names), MAX_TASKS))
    for name in names:
        if not _TASK.fullmatch(name[: -len(ending)]):
            raise ValueError("%s: %r has not the name of a task: letters, digits and _" % (folder, name))
    return names


def require_pro(package: str) -> None:
    """Raises RuntimeError unless that folder (`libero/libero`) is LIBERO-PRO's, whose objects are other ones.

    LIBERO, LIBERO-plus and LIBERO-PRO all install a package of the same name. Only the last one's list of tasks has the
    perturbed parts, since November 2025.
    """
    path = os.path.join(package, "benchmark", "libero_suite_task_map.py")
    try:
        with open(path, encoding="utf-8") as file:
            known = '"libero_goal_swap"' in file.read(MAX_BYTES)
    except (OSError, ValueError):
        known = False
    if not known:
        raise RuntimeError(
            "the package `libero` in %s is not LIBERO-PRO, or one from before November 2025: its list of tasks, "
            "benchmark/libero_suite_task_map.py, does not name libero_goal_swap" % package
        )

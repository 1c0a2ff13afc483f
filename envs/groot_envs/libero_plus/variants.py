"""Which variants there are, read from what is installed: LIBERO-plus states no license, so its list is not here.

What is read was downloaded and is not trusted: its size is bounded, and `tasks.parse` must understand every name.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from groot_bench.errors import SuiteNotReady
from groot_bench.interpreter import child_environment
from groot_bench.setup.state import variable_of
from groot_envs.libero_plus.tasks import CATEGORIES, COUNTS, Variant, parse

MAX_BYTES = 1 << 24  # of the file; it has 2 MB
MAX_NAME = 255
CLASSIFICATION = Path("benchmark", "task_classification.json")
RENEW = "run: groot-bench setup libero_plus"
OTHER = f"where {variable_of('libero_plus')} is set, unset it, or name another interpreter in it"

# Under the suite's interpreter: where its `libero` is, and whether ImageMagick's library can be loaded.
PROBE = """
import importlib.util, json, sys
if sys.path[0] == "": sys.path.pop(0)
sys.path[:0] = sys.argv[1:]
found = {"folder": None, "magick": None, "problem": ""}
spec = importlib.util.find_spec("libero")
if spec is not None: found["folder"] = next(iter(spec.submodule_search_locations or []), None)
try:
    from wand.version import MAGICK_VERSION
    found["magick"] = MAGICK_VERSION
except ImportError as problem: found["problem"] = str(problem).strip().splitlines()[0]
print(json.dumps(found))
"""


class Installed(NamedTuple):
    """What an interpreter has.

    Attributes:
        package: the folder `libero/libero`. magick: ImageMagick's version, in its own words.
    """

    package: Path
    magick: str


@functools.lru_cache(maxsize=8)
def find(python: str, paths: tuple[str, ...]) -> Installed:
    """Looks for LIBERO-plus, and for what its pictures need, without importing it.

    Raises:
        SuiteNotReady: the interpreter does not run, has another LIBERO or none, or ImageMagick's library is missing.
    """
    try:
        done = subprocess.run(
            [python, "-c", PROBE, *paths],
            env=child_environment(python, {}),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as problem:
        raise SuiteNotReady(f"the interpreter {python!r} cannot be asked: {problem}; {OTHER}") from None
    if found["folder"] is None:
        raise SuiteNotReady(f"{python} has no package `libero`; {OTHER}")
    package = Path(found["folder"]) / "libero"
    if not (package / CLASSIFICATION).is_file():
        raise SuiteNotReady(
            f"the package `libero` of {python} is another one than LIBERO-plus: it has no {package / CLASSIFICATION}; "
            f"{OTHER}"
        )
    if found["magick"] is None:
        raise SuiteNotReady(
            f"{python} cannot load ImageMagick's library, which LIBERO-plus blurs pictures with ({found['problem']}); "
            "on Debian and Ubuntu: apt-get install -y libmagickwand-6.q16-6 (or libmagickwand-7.q16-10); elsewhere set "
            "MAGICK_HOME to where it is"
        )
    return Installed(package, found["magick"])


class Listed(NamedTuple):
    """One variant of upstream's list; `difficulty` is 1 to 5, or None where upstream has none."""

    variant: Variant
    difficulty: int | None


def read(file: Path) -> dict[str, Listed]:
    """The variants that upstream's classification lists: task -> what it is, in upstream's order.

    Raises:
        SuiteNotReady: the file is not what LIBERO-plus has at the pinned commit; says what is wrong.
    """
    found: dict[str, Listed] = {}
    pages = _load(file)
    for suite, count in COUNTS.items():
        entries = pages.get(suite)
        if not isinstance(entries, list) or len(entries) != count:
            have = len(entries) if isinstance(entries, list) else "no list of"
            raise SuiteNotReady(f"{file} has {have} variants of {suite} instead of {count}; {RENEW}")
        for place, entry in enumerate(entries, 1):
            task, listed = _listed(file, suite, place, entry)
            if task in found:
                raise SuiteNotReady(f"{file}: {suite}, entry {place}: {task!r} stands there twice; {RENEW}")
            found[task] = listed
    return found


def _load(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise SuiteNotReady(f"{file} has more than {MAX_BYTES:,} bytes; {RENEW}")
        pages = json.loads(data)
    except (OSError, ValueError, RecursionError) as problem:
        raise SuiteNotReady(f"{file} cannot be read: {problem}; {RENEW}") from None
    if not isinstance(pages, dict):
        raise SuiteNotReady(f"{file} holds {type(pages).__name__}, not a list of variants for each suite; {RENEW}")
    return pages


def _listed(file: Path, suite: str, place: int, entry: object) -> tuple[str, Listed]:
    where = f"{file}: {suite}, entry {place}"
    if not isinstance(entry, dict):
        raise SuiteNotReady(f"{where} is {type(entry).__name__}, not a variant; {RENEW}")
    name, category, level = (entry.get(key) for key in ("name", "category", "difficulty_level"))
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise SuiteNotReady(f"{where} has no name of at most {MAX_NAME} characters; {RENEW}")
    if not isinstance(category, str) or category not in CATEGORIES:
        raise SuiteNotReady(f"{where} is of none of the seven categories; {RENEW}")
    task = f"{suite}/{CATEGORIES[category]}/{name}"
    try:
        variant = parse(task)
    except ValueError as problem:
        raise SuiteNotReady(f"{where}: {problem}; {RENEW}") from None
    return task, Listed(variant, level if type(level) is int and 1 <= level <= 5 else None)

"""The steps of `groot-bench setup SUITE`: each is skipped where an earlier call has finished it."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from groot_bench.errors import SuiteNotReady, UnknownName, UsageError
from groot_bench.setup import packages, sources
from groot_bench.setup.assets import assets
from groot_bench.setup.recipe import Recipe
from groot_bench.setup.stamps import Stamps, write_json
from groot_bench.setup.state import READY_FILE, Ready, folder_of, recipe_digest
from groot_bench.setup.verify import first_frame
from groot_bench.suite import Suite, completed

Say = Callable[[str], None]


def set_up(
    suite: Suite,
    *,
    sources_given: Sequence[str] = (),
    assets_given: Sequence[str] = (),
    say: Say = lambda text: None,
) -> Ready:
    """Makes, or completes, the suite's own environment, and verifies it by one reset and one frame.

    Args:
        suite: as `load_suite` gives it.
        sources_given, assets_given: local copies, "NAME=PATH", or a mere path where the recipe has one of the kind.
        say: told what is being done.

    Raises:
        UsageError: the suite has no recipe, or a copy does not exist or has a name that the recipe does not know;
            nothing is changed then.
        SuiteNotReady: a step cannot be done; says what is missing and what mends it. Finished steps stay finished.
    """
    recipe = suite.recipe
    if recipe is None:
        how = f"; what it needs: {suite.install}" if suite.install else ""
        raise UsageError(f"suite {suite.name!r} has no environment of its own to set up{how}")
    local_sources = _named(sources_given, [item.name for item in recipe.repositories], "--source", suite.name)
    local_assets = _named(assets_given, [item.name for item in recipe.assets], "--assets", suite.name)
    folder = folder_of(suite.name)
    with _alone(folder):
        stamps = Stamps(folder)
        (folder / READY_FILE).unlink(missing_ok=True)  # from here on, until it is verified again, it is not ready
        if stamps.read("venv") is None:
            say(f"setting up {suite.name} in {folder}: about {-(-recipe.seconds // 60)} minutes on a usual machine")
        python = packages.environment(folder, recipe, stamps, say)
        site, versions = packages.listing(python)
        places = {"folder": str(folder), "python": str(python), "site": site}
        repositories = {
            item.name: sources.repository(folder, item, local_sources.get(item.name), stamps, say)
            for item in recipe.repositories
        }
        _edit(folder, recipe)
        brought = {
            item.name: assets(folder, item, local_assets.get(item.name), places, stamps, say) for item in recipe.assets
        }
        for where, text in recipe.files.items():
            path = folder / where.format(**places)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.format(**places))
        ready = Ready(
            digest=recipe_digest(recipe),
            python=str(python),
            paths=tuple(str(folder / item.name / item.path) for item in recipe.repositories if item.path is not None),
            variables={name: text.format(**places) for name, text in recipe.variables.items()},
            assets={name: entry for name, entry in brought.items() if entry is not None},
            repositories=repositories,
            packages=versions,
        )
        say(f"resetting {recipe.check} once, and rendering one frame")
        ready = replace(ready, frame=_verified(suite, recipe, ready))
        write_json(folder / READY_FILE, ready.to_json())
    return ready


def _verified(suite: Suite, recipe: Recipe, ready: Ready) -> str | None:
    paths, variables = (*ready.paths, *suite.paths), {**suite.variables, **ready.variables}
    settings = {**suite.settings, **recipe.check_settings}
    made = replace(suite, missing="", python=ready.python, paths=paths, variables=variables, settings=settings)
    made = completed(made)
    if made.missing:
        raise SuiteNotReady(f"suite {suite.name!r}: {made.missing}")
    return first_frame(made, recipe.check)


def _named(given: Sequence[str], known: Sequence[str], option: str, suite: str) -> dict[str, Path]:
    """ "NAME=PATH" texts as a mapping."""
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals and len(known) == 1:
            name, path = known[0], text
        elif not equals:
            raise UsageError(
                f"{option} needs NAME=PATH, where NAME is one of {', '.join(known) or 'none'}, got {text!r}"
            )
        if name not in known:
            raise UnknownName(f"{option} of suite {suite!r}", name, known)
        found[name] = Path(path).expanduser()
        if not found[name].exists():
            raise UsageError(f"{option} {text}: {path} does not exist; give a folder or an archive")
    return found


def _edit(folder: Path, recipe: Recipe) -> None:
    """Makes the recipe's changes of fetched files; one that is made already stays."""
    for where, old, new in recipe.edits:
        path = folder / where
        try:
            text = path.read_text()
        except OSError as problem:
            raise SuiteNotReady(f"{path} cannot be read: {problem}") from None
        if new in text and (old in new or old not in text):
            continue
        if text.count(old) != 1:
            raise SuiteNotReady(
                f"{path} is not the file that is known: {text.count(old)} times instead of once {old!r}"
            )
        part = path.with_name(path.name + ".part")
        part.write_text(text.replace(old, new))
        part.replace(path)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two set-ups of one suite must not build the same folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as problem:
        raise SuiteNotReady(
            f"{folder} cannot be written: {problem}; set $GROOT_BENCH_CACHE to another folder"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SuiteNotReady(f"another set-up is at work in {folder}; wait for it") from None
        yield

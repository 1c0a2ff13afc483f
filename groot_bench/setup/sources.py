"""A simulator's source: by git at the pinned commit, or from a local repository, folder or archive."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from groot_bench.errors import SuiteNotReady
from groot_bench.setup.packages import clean, run
from groot_bench.setup.recipe import Repository
from groot_bench.setup.stamps import Stamps
from groot_bench.setup.state import contents_of
from groot_bench.setup.unpack import bring, inner


def repository(
    folder: Path, wanted: Repository, local: Path | None, stamps: Stamps, say: Callable[[str], None]
) -> dict[str, str]:
    """Makes `folder`/<name> the source at the pinned commit; returns {"commit", "origin"}.

    Args:
        local: a git repository, a folder or an archive to take it from; None for the network.

    Raises:
        SuiteNotReady: it cannot be had, or does not hold what it should.
    """
    place = folder / wanted.name
    done = stamps.read(wanted.name)
    given = None if local is None else str(local.absolute())
    if done is not None and place.is_dir() and done["wanted"] == wanted.commit and given in (None, done["given"]):
        return {"commit": done["commit"], "origin": done["origin"]}
    part = folder / f"{wanted.name}.part"
    say(f"bringing {wanted.name} from {local or f'{wanted.url} ({wanted.about})'}")
    try:
        found = fetch(part, wanted, local)
    except SuiteNotReady as problem:
        hint = f"; where there is no network, give a copy of it: --source {wanted.name}=PATH" if local is None else ""
        raise SuiteNotReady(
            f"{wanted.name} at commit {wanted.commit[:12]} cannot be brought: {problem}{hint}"
        ) from None
    require_holds(part, wanted.holds, f"the source of {wanted.name}")
    stamps.drop(wanted.name)
    shutil.rmtree(place, ignore_errors=True)
    part.rename(place)
    stamps.write(wanted.name, {**found, "wanted": wanted.commit, "given": given})
    return found


def fetch(part: Path, wanted: Repository, local: Path | None) -> dict[str, str]:
    """Fills the folder `part`; returns {"commit", "origin"}. A copy without git is named by the digest of its files."""
    if local is not None and not _is_git(local):
        shutil.rmtree(part, ignore_errors=True)
        whole = part.with_suffix(".whole")
        shutil.rmtree(whole, ignore_errors=True)
        bring(local, whole)
        inner(whole, wanted.holds).rename(part)
        shutil.rmtree(whole, ignore_errors=True)
        return {"commit": f"files {contents_of(part)}", "origin": f"a copy of {local.name}, whose commit is not known"}
    variables = {**clean(), "GIT_TERMINAL_PROMPT": "0"}
    if local is not None:
        # The user named this repository; git itself takes it only from its owner, or where the user's settings say so.
        trust = part.with_suffix(".gitconfig")
        trust.write_text("[safe]\n\tdirectory = *\n")
        variables["GIT_CONFIG_GLOBAL"] = str(trust)
    _checkout(part, wanted, str(local.absolute()) if local is not None else wanted.url, variables, local is None)
    (part.with_suffix(".gitconfig")).unlink(missing_ok=True)
    return {"commit": wanted.commit, "origin": wanted.url if local is None else f"a copy of {wanted.url}"}


def _checkout(part: Path, wanted: Repository, url: str, variables: dict[str, str], remote: bool) -> None:
    """One commit without its history, in a repository that a killed attempt may have begun."""
    if shutil.which("git") is None:
        raise SuiteNotReady("git is not installed; install it (apt-get install -y git)")

    def git(*words: str) -> str:
        return run(["git", "-C", str(part), *words], variables)

    part.mkdir(parents=True, exist_ok=True)
    if not (part / ".git").is_dir():
        git("init", "--quiet")
    if wanted.sparse:
        git("sparse-checkout", "set", *wanted.sparse)
    # Without the files' contents, which the checkout then fetches as far as they are wanted.
    filtered = ["--filter=blob:none"] if remote and wanted.sparse else []
    if filtered:
        git("config", "remote.origin.url", url)
        git("config", "remote.origin.promisor", "true")
        git("config", "remote.origin.partialclonefilter", "blob:none")
        url = "origin"
    git("fetch", "--quiet", "--depth", "1", *filtered, url, wanted.commit)
    git("-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", wanted.commit)
    head = git("rev-parse", "HEAD").strip()
    if head != wanted.commit:
        raise SuiteNotReady(f"git brought commit {head}, not {wanted.commit}")


def _is_git(path: Path) -> bool:
    return (path / ".git").exists() or ((path / "objects").is_dir() and (path / "HEAD").is_file())


def require_holds(folder: Path, holds: Mapping[str, int], what: str) -> None:
    """Raises SuiteNotReady unless each glob finds at least as many files as it should."""
    short = []
    for pattern, least in holds.items():
        count = sum(1 for path in folder.glob(pattern) if path.is_file())
        if count < least:
            short.append(f"{count} files {pattern!r} instead of {least} or more")
    if short:
        raise SuiteNotReady(f"{what} is not complete: it has {', '.join(short)} ({folder})")

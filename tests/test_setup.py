"""`groot-bench setup`: what it brings in, what it refuses, and what it finds again; without the network."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groot_bench import Suite, load_suite
from groot_bench.errors import SuiteNotReady, UnknownName, UsageError
from groot_bench.setup import packages, steps
from groot_bench.setup.assets import assets, link
from groot_bench.setup.recipe import Assets, Recipe, Repository
from groot_bench.setup.sources import repository
from groot_bench.setup.stamps import Stamps
from groot_bench.setup.state import Ready, folder_of, installed, variable_of
from groot_bench.setup.unpack import bring

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("GROOT_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "..\\out"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_no_member_of_an_archive_leaves_its_folder(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"evil.{kind}"
    if kind == "tar":
        tar_of(path, (entry("fine"), b"1"), (entry(name), b"2"))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, "2")
    with pytest.raises(SuiteNotReady, match="leads out of the folder"):
        bring(path, tmp_path / "inside" / "target")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "inside" / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_not_unpacked(kind: bytes, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "evil.tar.xz", (entry("a", kind, "/etc/passwd"), b""))
    with pytest.raises(SuiteNotReady, match="link or device"):
        bring(path, tmp_path / "target")


def test_link_in_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        info = zipfile.ZipInfo("a")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SuiteNotReady, match="link or device"):
        bring(tmp_path / "evil.zip", tmp_path / "target")


def test_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in range(3):
            archive.writestr(f"{name}", b"\0" * (40 << 20))
    with pytest.raises(SuiteNotReady, match=r"unpacks to more than [\d,]+ bytes"):
        bring(tmp_path / "bomb.zip", tmp_path / "target")
    assert sum(path.stat().st_size for path in (tmp_path / "target").iterdir()) <= 2 * (40 << 20)


def test_folder_is_copied_without_links_that_lead_out(tmp_path: Path) -> None:
    source = tree(tmp_path / "source", "a/b", "c")
    (source / "inside").symlink_to(source / "c")
    bring(source, tmp_path / "copy")
    assert not (tmp_path / "copy" / "inside").is_symlink()
    assert (tmp_path / "copy" / "inside").read_text() == "c"
    (source / "a" / "outside").symlink_to("/etc/passwd")
    with pytest.raises(SuiteNotReady, match="is a link"):
        bring(source, tmp_path / "copy2")


@pytest.mark.parametrize("what", ["missing", "text", "cut", "damaged"])
def test_what_is_no_archive_is_named(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.xz"
    if what != "missing":
        whole = tar_of(path, (entry("a"), os.urandom(50_000).hex().encode())).read_bytes()
        damaged = whole[:30_000] + b"\xff" * 60 + whole[30_060:]
        path.write_bytes({"text": b"words", "cut": whole[:20_000], "damaged": damaged}[what])
    with pytest.raises(SuiteNotReady, match=str(path)):
        bring(path, tmp_path / "target")


MESHES = Assets(name="meshes", holds={"*.xml": 2}, links={"{folder}/simulator/assets": ""}, about="2 files")


def bring_meshes(cache: Path, local: Path | None, said: list[str]) -> dict[str, Any] | None:
    folder = cache / "mine"
    folder.mkdir(parents=True, exist_ok=True)
    return assets(folder, MESHES, local, {"folder": str(folder)}, Stamps(folder), said.append)


def test_assets_are_brought_once_and_again_where_they_were_damaged(cache: Path, tmp_path: Path) -> None:
    source, said = tree(tmp_path / "source", "top/a.xml", "top/b.xml"), []
    first = bring_meshes(cache, source, said)
    assert (cache / "mine" / "simulator" / "assets" / "a.xml").read_text() == "top/a.xml"
    assert bring_meshes(cache, None, said) == bring_meshes(cache, source, said) == first
    assert len(said) == 1
    (cache / "mine" / "meshes" / "a.xml").write_text("damaged")
    with pytest.raises(SuiteNotReady, match=r"--assets meshes=PATH"):
        bring_meshes(cache, None, said)
    assert bring_meshes(cache, source, said) == first
    assert len(said) == 2


def test_assets_that_are_not_complete_leave_the_old_ones_in_place(cache: Path, tmp_path: Path) -> None:
    bring_meshes(cache, tree(tmp_path / "source", "a.xml", "b.xml"), [])
    with pytest.raises(SuiteNotReady, match=r"meshes is not complete: it has 1 files '\*.xml' instead of 2"):
        bring_meshes(cache, tree(tmp_path / "short", "a.xml"), [])
    assert (cache / "mine" / "meshes" / "b.xml").exists()


def test_link_never_replaces_a_file(tmp_path: Path) -> None:
    tree(tmp_path, "place")
    with pytest.raises(SuiteNotReady, match="is there already"):
        link(tmp_path / "place", tmp_path / "target")


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, str]:
    """A git repository, and its first commit, which is not its newest."""
    folder = tree(tmp_path / "upstream", "code/a.py", "other/b.py")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    commit = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    tree(folder, "code/c.py")
    for words in (["add", "."], [*author, "commit", "-qm", "two"]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    return folder, commit


def test_source_is_the_pinned_commit_and_no_other(cache: Path, upstream: tuple[Path, str]) -> None:
    folder, commit = upstream
    wanted = Repository("sim", "https://nowhere.invalid/sim.git", commit, sparse=("code",), holds={"code/*.py": 1})
    (cache / "mine").mkdir(parents=True)
    found = repository(cache / "mine", wanted, folder, Stamps(cache / "mine"), lambda text: None)
    assert found["commit"] == commit
    assert (cache / "mine" / "sim" / "code" / "a.py").exists()
    assert not (cache / "mine" / "sim" / "code" / "c.py").exists()
    missing = replace(wanted, commit="0" * 40)
    with pytest.raises(SuiteNotReady, match="sim at commit 000000000000 cannot be brought"):
        repository(cache / "mine", missing, folder, Stamps(cache / "mine"), lambda text: None)
    # What was there is still there, and still known: no network is needed to go on with it.
    assert repository(cache / "mine", wanted, None, Stamps(cache / "mine"), lambda text: None) == found


def fake_suite(**changes: object) -> Suite:
    recipe = Recipe("libero.txt", check="Reach", python=(sys.version_info[1],), assets=(MESHES,))
    return replace(load_suite("toy"), recipe=recipe, **changes)  # type: ignore[arg-type]


def make_empty_environment(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Instead of a virtual environment with packages, this interpreter; returns what was asked for."""
    asked: list[str] = []

    def environment(folder: Path, recipe: Recipe, stamps: Stamps, say: object) -> Path:
        asked.append(recipe.requirements)
        return Path(sys.executable)

    monkeypatch.setattr(packages, "environment", environment)
    return asked


def test_set_up_suite_is_found_and_a_changed_one_is_not(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_empty_environment(monkeypatch)
    suite, source = fake_suite(), tree(tmp_path / "source", "a.xml", "b.xml")

    def found() -> dict[str, Any]:
        return installed("toy", suite.recipe, (), {}, {})

    assert found() == {"missing": "not set up"}
    ready = steps.set_up(suite, assets_given=[str(source)])
    assert ready.frame is not None
    assert found()["python"] == sys.executable
    assert found()["settings"] == {"assets": {"meshes": ready.assets["meshes"]["digest"]}}
    assert steps.set_up(suite) == ready
    (folder_of("toy") / "meshes" / "a.xml").unlink()
    assert found() == {"missing": "its meshes changed since they were verified (1 files, 2 expected)"}
    assert suite.recipe is not None
    assert "another version" in installed("toy", replace(suite.recipe, seconds=1), (), {}, {})["missing"]
    (folder_of("toy") / "ready.json").write_text('{"schema": 1')
    assert found() == {"missing": "set-up not finished"}
    assert Ready.load(folder_of("toy")) is None


def test_set_up_that_stops_halfway_is_not_ready_and_goes_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_empty_environment(monkeypatch)
    suite = fake_suite()
    with pytest.raises(SuiteNotReady, match=r"--assets meshes=PATH"):
        steps.set_up(suite)
    assert installed("toy", suite.recipe, (), {}, {}) == {"missing": "set-up not finished"}
    steps.set_up(suite, assets_given=[f"meshes={tree(tmp_path / 'source', 'a.xml', 'b.xml')}"])
    assert "missing" not in installed("toy", suite.recipe, (), {}, {})


def test_interpreter_of_the_users_own_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert variable_of("libero") == "GROOT_BENCH_LIBERO_PYTHON"
    assert load_suite("libero").missing == "not set up"
    monkeypatch.setenv("GROOT_BENCH_LIBERO_PYTHON", "/somewhere/python")
    suite = load_suite("libero")
    assert (suite.python, suite.missing) == ("/somewhere/python", "")


def test_wrong_words_are_refused_before_anything_is_made(cache: Path) -> None:
    for given, error, words in (
        ({"sources_given": ["somewhere"]}, UsageError, "--source needs NAME=PATH"),
        ({"assets_given": ["mesh=somewhere"]}, UnknownName, "did you mean 'meshes'"),
    ):
        with pytest.raises(error, match=words):
            steps.set_up(fake_suite(), **given)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no environment of its own"):
        steps.set_up(load_suite("toy"))
    assert not cache.exists()


def test_copy_that_does_not_exist_leaves_a_finished_set_up_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_empty_environment(monkeypatch)
    ready = steps.set_up(fake_suite(), assets_given=[str(tree(tmp_path / "source", "a.xml", "b.xml"))])
    with pytest.raises(UsageError, match=r"--assets .*nowhere does not exist"):
        steps.set_up(fake_suite(), assets_given=[str(tmp_path / "nowhere")])
    assert Ready.load(folder_of("toy")) == ready


def test_two_set_ups_of_one_suite_do_not_meet(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_empty_environment(monkeypatch)
    with steps._alone(folder_of("toy")), pytest.raises(SuiteNotReady, match="another set-up is at work"):
        steps.set_up(fake_suite())


def test_edit_of_a_source_is_made_once_or_refused(cache: Path) -> None:
    folder = tree(cache / "mine", "sim/a.py")
    recipe = Recipe("libero.txt", check="", edits=(("sim/a.py", "sim", "simulator"),))
    for _ in range(2):
        steps._edit(folder, recipe)
        assert (folder / "sim" / "a.py").read_text() == "simulator/a.py"
    (folder / "sim" / "a.py").write_text("something else")
    with pytest.raises(SuiteNotReady, match="is not the file that is known"):
        steps._edit(folder, recipe)


def test_suite_that_is_not_set_up_is_named_with_the_command(cli: Cli, tmp_path: Path) -> None:
    empty = {"GROOT_BENCH_CACHE": str(tmp_path / "empty")}
    done = cli("eval", "--suite", "libero", "--policy", "zero", "--out", "run", **empty)
    assert done.returncode == 2
    assert "suite 'libero': not set up; run: groot-bench setup libero" in done.stderr
    assert not (tmp_path / "run").exists()
    page = json.loads(cli("list", "--json", **empty).stdout)
    states = {suite["name"]: suite["state"] for suite in page["suites"]}
    assert states["libero"] == "not set up: groot-bench setup libero"
    assert states["toy"] == "ready"

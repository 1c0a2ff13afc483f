"""Suite `libero_plus` without LIBERO-plus: what its names say, what is read from a set-up, and what is refused."""

from __future__ import annotations

import csv
import http.server
import json
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from groot_bench import Suite, load_suite
from groot_bench.errors import SuiteNotReady, UnknownName
from groot_envs.libero.tasks import task_names
from groot_envs.libero_plus import fetch_assets, variants
from groot_envs.libero_plus.tasks import BASE_WORDS, CATEGORIES, COUNTS, OFFICIAL, STILL, Camera, parse

OWN = "GROOT_BENCH_LIBERO_PLUS_PYTHON"
BASES = [name for name in task_names() if name.partition("/")[0] in COUNTS]
FROM_TABLE = "libero_spatial/camera/pick_up_the_black_bowl_from_table_center_and_place_it_on_the_plate"
SCENES = st.from_regex(r"(table|tb|light|add)_[0-9]{1,4}|(moved_)?level[0-9]_sample[0-9]{1,2}", fullmatch=True)
CAMERAS = st.builds(Camera, *(st.integers(low, 359) for low in (0, 0, 1, 0, 0)))


@given(
    st.sampled_from(BASES),
    st.sampled_from(list(CATEGORIES.values())),
    st.none() | SCENES,
    st.booleans(),
    st.none() | st.tuples(CAMERAS, st.integers(0, 500), st.integers(0, 50)),
)
def test_name_says_what_was_changed_whatever_words_the_task_has(
    base: str, category: str, scene: str | None, reworded: bool, seen: tuple[Camera, int, int] | None
) -> None:
    suite, _, name = base.partition("/")
    before_view = name + (f"_{scene}" if scene else "") + ("_language_7" if reworded else "")
    camera, robot, noise = seen or (STILL, 0, 0)
    view = f"_view_{'_'.join(map(str, camera))}_initstate_{robot}" + (f"_noise_{noise}" if noise else "")
    variant = parse(f"{suite}/{category}/{before_view}{view if seen else ''}")
    assert (variant.base, variant.scene, variant.reworded) == (name, scene or "", reworded)
    assert (variant.camera, variant.robot, variant.noise) == (camera, robot, noise)
    assert variant.bddl == f"{suite}/{before_view}.bddl"
    own_state = bool(scene) and not str(scene).startswith(("table", "tb", "light"))
    assert variant.fixed_starts == (1 if own_state else 50)
    assert own_state or variant.starts == f"{suite}/{name}.pruned_init"


def test_instruction_has_the_parameters_as_words_under_upstreams_rules_only() -> None:
    variant = parse(f"{FROM_TABLE}_view_0_0_100_2_352_initstate_0")
    words = "pick up the black bowl from table center and place it on the plate"
    assert variant.words(OFFICIAL) == f"{words} view 0 0 100 2 352 initstate 0"
    assert variant.words(BASE_WORDS) == words
    kitchen = parse("libero_10/light/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove_light_3")
    assert kitchen.words(OFFICIAL) == "put both moka pots on the stove light 3"


@pytest.mark.parametrize(
    "name",
    [
        "libero_goal/camera/../../../etc/passwd",
        "libero_goal/camera/a.b",
        "libero_goal/camera/",
        "libero_goal/camera/a/b",
        "libero_goal/colour/turn_on_the_stove_light_1",
        "libero_90/light/KITCHEN_SCENE3_turn_on_the_stove_light_1",
        "turn_on_the_stove_light_1",
        "libero_goal/robot/turn_on_the_stove_view_0_0_100_0_0_initstate_501",
        "libero_goal/noise/turn_on_the_stove_view_0_0_100_0_0_initstate_0_noise_51",
        "libero_goal/camera/turn_on_the_stove_view_0_0_0_0_0_initstate_0",
        "libero_goal/light/turn_on_the_stove_light_1\n",
        "libero_goal/light/" + "a" * 10_000,
    ],
)
def test_what_is_no_variant_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="LIBERO-plus"):
        parse(name)


def pages() -> dict[str, Any]:
    """A made-up classification of two variants a suite."""
    made: dict[str, Any] = {}
    for suite in COUNTS:
        name = next(task for task in BASES if task.startswith(suite)).partition("/")[2]
        made[suite] = [
            {"id": 1, "name": f"{name}_light_1", "category": "Light Conditions", "difficulty_level": 3},
            {"id": 2, "name": f"{name}_add_2", "category": "Objects Layout", "difficulty_level": None},
        ]
    return made


@pytest.fixture
def two_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "COUNTS", dict.fromkeys(COUNTS, 2))


@pytest.mark.usefixtures("two_each")
def test_classification_is_read_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(json.dumps(pages()))
    found = variants.read(tmp_path / "file.json")
    assert [name.split("/")[:2] for name in found] == [[s, c] for s in COUNTS for c in ("light", "layout")]
    assert [listed.difficulty for listed in found.values()] == [3, None] * 4


def _damaged(change: Callable[[list[Any]], object]) -> str:
    made = pages()
    change(made["libero_goal"])
    return json.dumps(made)


@pytest.mark.usefixtures("two_each")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("[]", "holds list"),
        ("[" * 100_000, "cannot be read"),
        ("{}", "no list of variants of libero_spatial instead of 2"),
        (_damaged(lambda page: page.pop()), "1 variants of libero_goal instead of 2"),
        (_damaged(lambda page: page.__setitem__(1, page[0])), "libero_goal, entry 2: .* twice"),
        (_damaged(lambda page: page.__setitem__(0, "x")), "entry 1 is str"),
        (_damaged(lambda page: page[0].update(name="../x")), "entry 1: .*no variant"),
        (_damaged(lambda page: page[0].update(name="a" * 300)), "entry 1 has no name"),
        (_damaged(lambda page: page[0].update(category=["x"])), "entry 1 is of none of the seven"),
        (" " * (1 << 24) + "{}", "more than 16,777,216 bytes"),
    ],
)
def test_damaged_classification_is_refused_by_name_and_place(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(SuiteNotReady, match=says) as refused:
        variants.read(tmp_path / "file.json")
    assert "groot-bench setup libero_plus" in str(refused.value)


def test_suite_that_is_not_set_up_says_so_wherever_its_tasks_are_wanted(
    cli: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    empty = {"GROOT_BENCH_CACHE": str(tmp_path / "empty")}
    done = cli("eval", "--suite", "libero_plus", "--task", "libero_goal/camera", "--policy", "zero", **empty)
    assert done.returncode == 2
    assert "not set up" in done.stderr and "groot-bench setup libero_plus" in done.stderr
    listed = cli("list", "--json", **empty)
    (page,) = (page for page in json.loads(listed.stdout)["suites"] if page["name"] == "libero_plus")
    assert page["tasks"] == [] and page["state"] == "not set up: groot-bench setup libero_plus"
    assert page["protocols"] == [OFFICIAL, BASE_WORDS]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An interpreter of the user's own, named as such; what lies in the folder is what it can import beside ours."""
    folder = tmp_path / "packages"
    folder.mkdir()
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv(OWN, str(python))
    variants.find.cache_clear()
    yield folder
    variants.find.cache_clear()


def _package(folder: Path, classification: str | None = None, magick: bool = False) -> None:
    place = folder / "libero" / "libero" / variants.CLASSIFICATION
    place.parent.mkdir(parents=True)
    if classification is not None:
        place.write_text(classification)
    (folder / "wand").mkdir()
    text = "MAGICK_VERSION = 'ImageMagick 6'" if magick else "raise ImportError('MagickWand shared library not found.')"
    (folder / "wand/version.py").write_text(text + "\n")


def test_interpreter_with_another_libero_or_none_is_refused_in_words(interpreter: Path) -> None:
    suite = load_suite("libero_plus")
    assert "has no package `libero`" in suite.missing
    _package(interpreter)
    variants.find.cache_clear()
    suite = load_suite("libero_plus")
    assert "is another one than LIBERO-plus" in suite.missing
    with pytest.raises(SuiteNotReady, match="another one than LIBERO-plus"):
        suite.select(["libero_goal"])


def test_missing_imagemagick_is_said_before_anything_runs(interpreter: Path) -> None:
    _package(interpreter, classification="{}")
    assert "MagickWand shared library not found" in load_suite("libero_plus").missing
    assert "apt-get install -y libmagickwand" in load_suite("libero_plus").missing


@pytest.mark.usefixtures("two_each")
def test_tasks_are_those_that_are_installed_and_every_part_of_a_name_selects(interpreter: Path) -> None:
    _package(interpreter, classification=json.dumps(pages()), magick=True)
    suite = load_suite("libero_plus")
    assert suite.missing == "" and len(suite.tasks) == 8
    assert suite.settings["imagemagick"] == "ImageMagick 6"
    assert _selected(suite, "libero_goal") == {"light": 1, "layout": 1}
    assert _selected(suite, "libero_goal/layout") == {"layout": 1}
    assert _selected(suite, "layout") == {"layout": 4}
    assert [task.starts for task in suite.select("libero_goal")] == [50, 1]
    protocol = suite.protocol()
    assert (protocol.name, protocol.episodes_per_task, protocol.settle_steps) == (OFFICIAL, 1, 10)
    caps = {name.partition("/")[0]: cap for name, cap in protocol.step_caps.items()}
    assert caps == {"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520}
    with pytest.raises(UnknownName, match="did you mean 'libero_goal/layout'"):
        suite.select("libero_goal/layuot")


def _selected(suite: Suite, part: str) -> Counter[str]:
    return Counter(task.name.split("/")[1] for task in suite.select(part))


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves one file, and any end of it."""

    data = b""

    def do_GET(self) -> None:
        start = int((self.headers["Range"] or "bytes=0-").partition("=")[2].rstrip("-"))
        data = self.data[start:]
        self.send_response(416 if not data else 206 if start else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An archive with the assets deep in it, and with what belongs to none of them."""
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        for name in ("some/where/assets/scenes/a.xml", "some/where/assets/new_objects/b/b.xml", "some/note.txt"):
            archive.writestr(name, name)
    handler = type("Serving", (Hub,), {"data": (tmp_path / "made.zip").read_bytes()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("have", [0, 100, None])
def test_assets_are_fetched_from_where_a_killed_call_was(have: int | None, tmp_path: Path) -> None:
    (tmp_path / "assets.zip.part").write_bytes((tmp_path / "made.zip").read_bytes()[:have])
    (tmp_path / "target").mkdir()
    fetch_assets.main(tmp_path / "target")
    found = {path.relative_to(tmp_path / "target").as_posix() for path in (tmp_path / "target").rglob("*.*")}
    assert found == {"scenes/a.xml", "new_objects/b/b.xml"}
    assert not list(tmp_path.glob("assets.zip*"))


@pytest.mark.parametrize(("members", "says"), [(("x/scenes/a",), "0 folders with scenes"), ((), "no archive")])
def test_archive_without_assets_is_refused(members: tuple[str, ...], says: str, tmp_path: Path) -> None:
    (tmp_path / "assets.zip").write_bytes(b"words")
    if members:
        with zipfile.ZipFile(tmp_path / "assets.zip", "w") as archive:
            for name in members:
                archive.writestr(name, name)
    with pytest.raises(SystemExit, match=says):
        fetch_assets.main(tmp_path / "target")


@pytest.mark.parametrize("name", ["/{}/evil", "../evil", "scenes/../../evil", "..\\evil", "C:/evil"])
def test_archive_that_leads_out_of_the_folder_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "assets.zip", "w") as archive:
        for member in ("scenes/a.xml", "new_objects/b.xml", name.format(tmp_path)):
            archive.writestr(member, "words")
    with pytest.raises(SystemExit, match="leads out of the folder"):
        fetch_assets.main(tmp_path / "target")
    assert [path.name for path in tmp_path.rglob("*")] == ["assets.zip"]


def test_damaged_archive_is_thrown_away(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "assets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for member in ("scenes/a.xml", "new_objects/b.xml"):
            archive.writestr(member, "words of different kinds " * 50)
    data = bytearray((tmp_path / "assets.zip").read_bytes())
    place = data.index(b"scenes/a.xml") + len("scenes/a.xml")
    data[place : place + 8] = b"\xff" * 8
    (tmp_path / "assets.zip").write_bytes(data)
    with pytest.raises(SystemExit, match="was thrown away; run this again"):
        fetch_assets.main(tmp_path / "target")
    assert not (tmp_path / "assets.zip").exists()


def test_published_totals_are_the_categories_weighted_by_their_sizes() -> None:
    with (ROOT / "results/published/libero_plus.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["evidence"] == "R"]
    by_model: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        by_model.setdefault(row["model"], {})[row["task"]] = row
    assert len(by_model) == 11
    for model, tasks in by_model.items():
        total = tasks.pop("mean")
        assert set(tasks) == set(CATEGORIES.values())
        assert sum(int(row["tasks"]) for row in tasks.values()) == int(total["tasks"]) == sum(COUNTS.values())
        weighted = sum(float(row["rate"]) * int(row["tasks"]) for row in tasks.values()) / int(total["tasks"])
        assert (abs(weighted - float(total["rate"])) <= 0.06) == ("though" not in total["note"]), model

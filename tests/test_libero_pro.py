"""LIBERO-PRO's suite without its simulator: which tasks it finds, what it refuses, and where an instruction is from.

The simulator itself is in test_libero_pro_simulator.py.
"""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from groot_bench import Suite, load_suite
from groot_bench.errors import SuiteNotReady
from groot_bench.setup.stamps import write_json
from groot_bench.setup.state import READY_FILE, Ready
from groot_bench.suite import completed
from groot_envs.libero_pro import fetch_tasks, places
from groot_envs.libero_pro.problem import MAX_BYTES, MAX_DEPTH, read_instruction
from groot_envs.libero_pro.suite import make_suite
from groot_envs.libero_pro.tasks import PARTS, SUITES, Root, cell, find_parts, published_names, require_pro, task_files

Cli = Callable[..., subprocess.CompletedProcess[str]]

BOWL = "libero_goal_swap/put_the_bowl_on_the_plate"
TEXT = """(define (problem LIBERO_Tabletop_Manipulation)  ; a comment (
  (:domain robosuite)
  (:language %s)
  (:regions (bowl_region (:target main_table) (:ranges ((-0.1 0.1 0.0 0.2))) (:yaw_rotation ((%s)))))
  (:fixtures main_table - table)
  (:init (On bowl_1 main_table_bowl_region))
  (:goal (And (On bowl_1 plate_1))))
"""


def problem(path: Path, words: str = "Put the bowl on the plate", angles: str = "0.0 0.0", text: str = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text % (words, angles), encoding="utf-8")
    return path


def starts(path: Path, count: int = 50) -> Path:
    """Initial states as upstream's generate_init_states.py writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(np.arange(3.0 * count).reshape(count, 3)))
    return path


def put(root: Path, task: str, **definition: str) -> None:
    """The two files of a task."""
    problem(root / "bddl_files" / f"{task}.bddl", **definition)
    starts(root / "init_files" / f"{task}.pruned_init")


def root_of(folder: Path) -> Root:
    return Root(str(folder / "bddl_files"), str(folder / "init_files"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What a set-up brings, as far as the harness looks at it; returns the folder for sys.path."""
    put(tmp_path / "LIBERO-PRO/libero/libero", "libero_goal/turn_on_the_stove", words="Turn on the stove")
    put(tmp_path / "LIBERO-PRO/libero/libero", "libero_goal_with_mug/turn_on_the_stove")
    put(tmp_path / "tasks", "libero_goal_lan/turn_on_the_stove", words="ignite the stove\u2019s burner")
    put(tmp_path / "tasks", BOWL)
    put(tmp_path / "tasks", "libero_goal_swap/open_the_middle_drawer_of_the_cabinet")
    put(tmp_path / "tasks", "libero_10_task/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove")
    maps = tmp_path / "LIBERO-PRO/libero/libero/benchmark/libero_suite_task_map.py"
    maps.parent.mkdir()
    maps.write_text('libero_task_map = {"libero_goal_swap": []}')
    return tmp_path / "LIBERO-PRO"


def set_up(package: Path) -> Suite:
    """The suite as `load_suite` completes it once it is set up."""
    return completed(replace(make_suite(), python=sys.executable, paths=(str(package),)))


def test_a_parts_name_says_its_cell_of_upstreams_table() -> None:
    assert len(PARTS) == len(set(PARTS)) == 24
    assert cell("libero_object_object/pick_up_the_milk_and_place_it_in_the_basket") == ("libero_object", "obj")
    assert cell("libero_10") == ("libero_10", "ori")
    assert [cell(part) for part in PARTS] == [
        (suite, column) for suite in SUITES for column in ("ori", "obj", "pos", "sem", "task", "env")
    ]
    for wrong in ("libero_90", "libero_goal_with_mug/put", "libero_goal_"):
        with pytest.raises(KeyError, match="is no part of LIBERO-PRO"):
            cell(wrong)


def test_published_tasks_are_40_in_each_of_five_columns_under_liberos_names() -> None:
    names = published_names()
    assert len(set(names)) == 200
    columns = [cell(name)[1] for name in names]
    assert {column: columns.count(column) for column in columns} == dict.fromkeys(
        ("ori", "obj", "pos", "sem", "task"), 40
    )
    for suite in SUITES:
        own = [{name.partition("/")[2] for name in names if name.startswith(part)} for part in _parts_of(suite)]
        assert all(tasks == own[0] and len(tasks) == 10 for tasks in own)


def _parts_of(suite: str) -> list[str]:
    return [f"{part}/" for part in PARTS if cell(part)[0] == suite and cell(part)[1] != "env"]


def test_set_up_fetches_the_published_parts() -> None:
    assert {part for part in PARTS if cell(part)[1] not in ("ori", "env")} == set(fetch_tasks.PARTS)


@pytest.mark.parametrize("brought", [None, 9, 10])
def test_download_that_fails_or_is_short_is_one_sentence(
    brought: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot_download(name: str, *, local_dir: Path, allow_patterns: list[str], **_: str) -> None:
        if brought is None:
            raise ConnectionError("no route to the hub")
        for pattern in allow_patterns:
            for number in range(brought):
                path = local_dir / pattern.replace("*", str(number))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    if brought == 10:
        fetch_tasks.main(tmp_path)
        return
    says = "cannot be fetched: no route to the hub" if brought is None else "has not 10 files of each of bddl_files/"
    with pytest.raises(SystemExit, match=f"zhouxueyang/LIBERO-Pro at c86fc3b.* {says}"):
        fetch_tasks.main(tmp_path)


def test_requirements_are_liberos_without_hf_libero() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "envs/groot_envs/requirements" / name).read_text()
        return {line for line in text.splitlines() if "==" in line and not line.startswith("#")}

    assert {line for line in pins("libero.txt") if not line.startswith("hf-libero")} <= pins("libero_pro.txt")
    assert not any(line.startswith("hf-libero") for line in pins("libero_pro.txt"))


def test_protocols_are_oft_50_with_the_caps_of_the_base_suite_and_differ_in_the_instruction_only(package: Path) -> None:
    suite = set_up(package)
    official, file_names = suite.protocols.values()
    oft = load_suite("libero").protocol("oft-50")
    told = {"name", "step_caps", "language", "source"}
    assert {key for key, value in official.to_json().items() if value != oft.to_json()[key]} == told
    assert {key for key, value in official.to_json().items() if value != file_names.to_json()[key]} == told - {
        "step_caps"
    }
    assert official.name == "libero_pro/official"
    assert official.cap(BOWL) == oft.cap("libero_goal/put_the_bowl_on_the_plate") == 300
    assert official.cap("libero_10_task/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove") == 520


def test_tasks_are_those_that_were_set_up_in_the_order_of_the_table_and_of_liberos_benchmark(package: Path) -> None:
    suite = set_up(package)
    assert suite.missing == ""
    assert list(suite.tasks) == [
        "libero_goal/turn_on_the_stove",
        "libero_goal_swap/open_the_middle_drawer_of_the_cabinet",
        BOWL,
        "libero_goal_lan/turn_on_the_stove",
        "libero_10_task/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove",
    ]
    assert (
        suite.tasks["libero_goal_lan/turn_on_the_stove"].about == "sem of libero_goal: ignite the stove\u2019s burner"
    )
    assert set(suite.settings["files"]) == {"libero_goal", "libero_goal_swap", "libero_goal_lan", "libero_10_task"}


def test_source_is_named_as_it_was_set_up(package: Path) -> None:
    """It holds the meshes and textures: pictures of stand-ins are no LIBERO-PRO pictures."""
    assert "source" not in set_up(package).settings  # not finished
    ready = Ready("", sys.executable, repositories={"LIBERO-PRO": {"commit": "files 12ab", "origin": "a copy"}})
    write_json(package.parent / READY_FILE, ready.to_json())
    assert set_up(package).settings["source"] == "files 12ab"


@pytest.mark.parametrize("damage", ["no starts", "no definition", "49 starts", "hostile starts", "hostile angle"])
def test_suite_with_a_file_that_is_not_what_it_should_be_is_not_ready(damage: str, package: Path) -> None:
    tasks = package.parent / "tasks"
    path = tasks / f"init_files/{BOWL}.pruned_init"
    if damage == "no starts":
        path.unlink()
    elif damage == "49 starts":
        starts(path, 49)
    elif damage == "hostile starts":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    else:
        path = tasks / f"bddl_files/{BOWL}.bddl"
        path.unlink() if damage == "no definition" else problem(path, angles="__import__[os] 0")
    suite = set_up(package)
    assert "not all of its tasks can be read" in suite.missing
    assert path.name in suite.missing
    assert suite.python is None


def test_files_are_named_by_their_contents_wherever_they_lie(tmp_path: Path) -> None:
    digests = []
    for number, words in enumerate(("Put it", "Put it", "Put that")):
        put(tmp_path / str(number), BOWL, words=words)
        digests.append(find_parts([root_of(tmp_path / str(number))])["libero_goal_swap"].digest)
    assert digests[0] == digests[1] != digests[2]
    starts(tmp_path / f"0/init_files/{BOWL}.pruned_init", 51)
    assert find_parts([root_of(tmp_path / "0")])["libero_goal_swap"].digest != digests[0]


def test_part_that_lies_in_two_places_is_taken_from_the_first_and_never_mixed(tmp_path: Path) -> None:
    put(tmp_path / "one", BOWL)
    put(tmp_path / "two", "libero_goal_swap/turn_on_the_stove")
    roots = [root_of(tmp_path / "one"), root_of(tmp_path / "two")]
    part = find_parts(roots)["libero_goal_swap"]
    assert part.tasks == ("put_the_bowl_on_the_plate",)
    assert task_files(part, BOWL) == (f"{roots[0].bddl}/{BOWL}.bddl", f"{roots[0].starts}/{BOWL}.pruned_init")
    for wrong in ("libero_goal_swap/turn_on_the_stove", "libero_goal_swap/../libero_goal/put", "libero_goal_swap"):
        with pytest.raises(ValueError, match="is none of the 1 tasks"):
            task_files(part, wrong)


@pytest.mark.parametrize("name", ["a b", "-a", "ä", "a.b", "a" * 201, ""])
def test_file_whose_name_is_no_tasks_is_refused(name: str, tmp_path: Path) -> None:
    put(tmp_path, "libero_goal_swap/x")
    (tmp_path / "bddl_files/libero_goal_swap/x.bddl").rename(tmp_path / f"bddl_files/libero_goal_swap/{name}.bddl")
    with pytest.raises(ValueError, match="has not the name of a task"):
        find_parts([root_of(tmp_path)])


def test_folder_in_a_files_place_and_a_part_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bddl_files/libero_goal_swap/a.bddl").mkdir(parents=True)
    with pytest.raises(ValueError, match="is no plain file"):
        find_parts([root_of(tmp_path)])
    monkeypatch.setattr("groot_envs.libero_pro.tasks.MAX_TASKS", 0)
    with pytest.raises(ValueError, match="0 are the most"):
        find_parts([root_of(tmp_path)])


def test_instruction_is_that_of_the_definition_in_lower_case(tmp_path: Path) -> None:
    path = problem(tmp_path / "a.bddl", words="  Open the\n Cabinet\u2019s  middle drawer ; not this\n")
    assert read_instruction(str(path)) == "open the cabinet\u2019s middle drawer"


@pytest.mark.parametrize(
    "angles", ["0.0 0.0", "-1.5707963267948966 -0.7853981633974483", "pi -pi/2", "0 2*pi", "1e-3 .5"]
)
def test_angles_that_libero_computes_are_read(angles: str, tmp_path: Path) -> None:
    assert read_instruction(str(problem(tmp_path / "a.bddl", angles=angles)))


@pytest.mark.parametrize(
    "angle", ["__import__", "np.pi", "9**9**9", "1,2", "[0][0]", "pi/pi/pi", "open", "0x10", "1_0", "'a'*9", "1if", "e"]
)
def test_word_that_libero_would_run_as_python_is_refused(angle: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not an angle"):
        read_instruction(str(problem(tmp_path / "a.bddl", angles=f"0.0 {angle}")))


def test_comment_ends_where_python_ends_a_line(tmp_path: Path) -> None:
    """LIBERO's parser opens the file as text, where a bare carriage return is a line's end, too."""
    text = TEXT.replace("; a comment (", "; a comment\r(:yaw_rotation ((9**9**9)))\r;")
    path = tmp_path / "a.bddl"
    path.write_bytes((text % ("Put it", "0 0")).encode())
    with path.open(encoding="utf-8") as file:  # as bddl does
        assert "9**9**9" in re.sub(r";.*$", "", file.read(), flags=re.MULTILINE)
    with pytest.raises(ValueError, match=r"'9\*\*9\*\*9' is not an angle"):
        read_instruction(str(path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT.replace("(:goal", "(goal"), "0 .:goal"),
        (TEXT.replace("(:domain robosuite)", "(:language twice)"), "2 .:language"),
        (TEXT.replace("(:domain robosuite)", "(:perturbation_config (:case glare))"), "robustness extension"),
        (TEXT.replace("(:language %s)", "(:language)%.0s"), "is not words"),
        (TEXT.replace("(:language %s)", "(:language %s (too))"), "is not words"),
        (TEXT + ")", "closed that was not opened"),
        (TEXT[:-4], "is not closed"),
        ("(%.0s%.0s" + "(" * MAX_DEPTH, "deeper than"),
        (TEXT.replace("define", "undefine"), "not one .define"),
        (TEXT + TEXT.replace("%s", "%%s"), "not one .define"),
        ("%.0s%.0s", "not one .define"),
        (TEXT + " " * MAX_BYTES, "more than 262144 bytes"),
    ],
)
def test_definition_of_another_form_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        read_instruction(str(problem(tmp_path / "a.bddl", text=text)))


@given(st.binary(max_size=300) | st.text(alphabet="()define :lanugoit;\n0", max_size=300).map(str.encode))
def test_any_bytes_that_are_no_definition_are_refused_by_name(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".bddl") as file:
        file.write(data)
        file.flush()
        with pytest.raises(ValueError, match=re.escape(file.name)):  # a definition has more than these letters
            read_instruction(file.name)


def test_suite_that_is_not_set_up_lists_upstreams_tasks_and_says_how_to_get_them(cli: Cli, tmp_path: Path) -> None:
    empty = {"GROOT_BENCH_CACHE": str(tmp_path / "empty")}
    (page,) = [
        page for page in json.loads(cli("list", "--json", **empty).stdout)["suites"] if page["name"] == "libero_pro"
    ]
    assert page["tasks"] == list(published_names())
    assert page["state"] == "not set up: groot-bench setup libero_pro"
    done = cli(
        "eval", "--suite", "libero_pro", "--task", "libero_goal_swap", "--policy", "zero", "--out", "run", **empty
    )
    assert done.returncode == 2
    assert "suite 'libero_pro': not set up; run: groot-bench setup libero_pro" in done.stderr
    words = ("--task", "libero_goal_swap", "--policy", "zero", "--out", "run", "--python", "/usr/bin/env")
    other = cli("eval", "--suite", "libero_pro", *words, **empty)  # of which nobody has listed the files
    assert (other.returncode, other.stderr) == (2, done.stderr)


@pytest.fixture
def own(package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter of the user's own, which has LIBERO-PRO; returns its package."""
    monkeypatch.setenv("GROOT_BENCH_LIBERO_PRO_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.setenv("LIBERO_CONFIG_PATH", str(package))
    return package / "libero" / "libero"


def test_interpreter_of_the_users_own_tells_where_its_tasks_are(own: Path) -> None:
    assert list(load_suite("libero_pro").tasks) == ["libero_goal/turn_on_the_stove"]
    tasks = own.parents[2] / "tasks"
    config = f"benchmark_root: {own}\nbddl_files: '{tasks}/bddl_files'\ninit_states: {tasks}/init_files\n"
    (own.parents[1] / "config.yaml").write_text(config)
    suite = load_suite("libero_pro")
    assert len(suite.tasks) == 5
    assert (suite.python, suite.missing) == (sys.executable, "")


def test_plain_libero_under_the_users_interpreter_is_refused(own: Path) -> None:
    (own / "benchmark/libero_suite_task_map.py").write_text('libero_task_map = {"libero_goal": []}')
    suite = load_suite("libero_pro")
    assert f"the package `libero` in {own} is not LIBERO-PRO" in suite.missing
    assert "$GROOT_BENCH_LIBERO_PRO_PYTHON" in suite.missing
    with pytest.raises(RuntimeError, match="is not LIBERO-PRO"):
        require_pro(str(own))


def test_package_in_the_current_folder_is_not_the_interpreters(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.chdir(own.parents[1])
    (own.parents[1] / "json.py").write_text("raise SystemExit('run')")
    assert "has no package `libero`" in load_suite("libero_pro").missing


def test_interpreter_without_libero_or_that_does_not_run_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(own))
    assert "has no package `libero`" in load_suite("libero_pro").missing
    with pytest.raises(SuiteNotReady, match=r"'/nowhere/python' that .* does not run"):
        places.roots("/nowhere/python", ())

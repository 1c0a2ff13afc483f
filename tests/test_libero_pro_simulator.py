"""LIBERO-PRO itself, where it is set up (`groot-bench setup libero_pro`); most of it is slow: `make test-slow`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from sides import ask, set_up

from groot_bench import Suite, evaluate, load_suite
from groot_bench.testing import check_suite
from groot_envs.libero.tasks import instruction
from groot_envs.libero_pro.tasks import FILE_NAMES, OFFICIAL, cell

BOWL = "put_the_bowl_on_the_plate"
BLIND = {"episodes": 1, "max_steps": 4, "cameras": "none", "slots": 1}
MENDED_BY = "groot-bench setup libero_pro, or name an interpreter in GROOT_BENCH_LIBERO_PRO_PYTHON"

# One task of each published perturbation, in each of the three kinds of scenes.
ONE_EACH = (
    f"libero_goal_swap/{BOWL}",
    "libero_goal_object/open_the_middle_drawer_of_the_cabinet",
    "libero_10_lan/KITCHEN_SCENE8_put_both_moka_pots_on_the_stove",
    "libero_object_task/pick_up_the_ketchup_and_place_it_in_the_basket",
)


@pytest.fixture(scope="module")
def pro() -> Suite:
    """The suite, where it is set up."""
    return set_up("libero_pro", MENDED_BY)


@pytest.fixture(scope="module")
def one_each(pro: Suite) -> tuple[str, ...]:
    missing = [task for task in ONE_EACH if task not in pro.tasks]
    if missing:
        pytest.skip(f"what is set up has no {', '.join(missing)}")
    return ONE_EACH


def told(suite: Suite, out: Path, tasks: list[str], protocol: str) -> dict[str, str]:
    """task -> the instruction that a run of one episode of it has recorded."""
    run = evaluate("random", suite=suite, tasks=tasks, protocol=protocol, out=out, **BLIND)
    assert not [record.error for record in run.records if record.error]
    return {record.episode.task: str(record.instruction) for record in run.records}


def test_instructions_are_those_that_liberos_own_parser_reads(pro: Suite) -> None:
    words = ask(pro, "libero_pro_side.py", "words", *pro.tasks)
    assert {name: task.about.partition(": ")[2] for name, task in pro.tasks.items()} == words


def test_perturbed_words_reach_the_policy_under_the_official_rules_and_file_names_never_change(
    pro: Suite, one_each: tuple[str, ...], tmp_path: Path
) -> None:
    task = next(name for name in one_each if cell(name)[1] == "sem")
    official = told(pro, tmp_path / "official", [task], OFFICIAL)[task]
    assert official == pro.tasks[task].about.partition(": ")[2]
    assert told(pro, tmp_path / "names", [task], FILE_NAMES)[task] == instruction(task) != official


@pytest.mark.slow
def test_suite_keeps_the_contract_on_one_task_of_each_perturbation(pro: Suite, one_each: tuple[str, ...]) -> None:
    check_suite(pro, one_each, episodes=1, steps=6, cameras=False)  # frames: the next test, and LIBERO's own


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ONE_EACH)))
def test_reset_that_keeps_the_model_equals_libero_pros_hard_reset_bit_by_bit(
    number: int, pro: Suite, one_each: tuple[str, ...]
) -> None:
    cameras = "cameras" if number == 1 else "blind"  # the task with objects that LIBERO does not have
    assert ask(pro, "libero_side.py", "equal", one_each[number], cameras, "1") == {"differing": []}


@pytest.mark.slow
def test_perturbed_goals_that_are_forced_count_as_success(pro: Suite, one_each: tuple[str, ...]) -> None:
    assert ask(pro, "libero_side.py", "visit", *one_each) == dict.fromkeys(one_each, "forced")


@pytest.fixture(scope="module")
def made(pro: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One task of LIBERO, perturbed in each of the five ways by tests/libero_pro_side.py."""
    folder = tmp_path_factory.mktemp("made")
    assert len(ask(pro, "libero_pro_side.py", "make", str(folder), "50")) == 5
    return folder


@pytest.mark.slow
def test_each_perturbation_changes_what_it_says(pro: Suite, made: Path) -> None:
    scenes = ask(pro, "libero_pro_side.py", "scenes", str(made))
    plain = scenes["lan"]["places"]

    def distance(kind: str, one: str, other: str) -> float:
        return float(np.linalg.norm(np.subtract(scenes[kind]["places"][one], plain[other])[:2]))

    bowl, cheese = "akita_black_bowl_1", "cream_cheese_1"
    assert distance("lan", bowl, cheese) > 0.1
    assert max(distance("swap", bowl, cheese), distance("swap", cheese, bowl)) < 0.03
    assert "yellow_plate_1" in scenes["object"]["places"]
    assert scenes["env"]["problem"] == "Libero_Kitchen_Tabletop_Manipulation"
    assert scenes["task"]["places"] == plain
    for kind, scene in scenes.items():
        assert scene["reached"] == {bowl: kind != "task", cheese: kind == "task"}


@pytest.mark.slow
def test_files_of_ones_own_run_under_an_interpreter_of_ones_own(
    pro: Suite, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment that sees LIBERO-PRO and its packages, and a config.yaml that names the files."""
    assert pro.python is not None
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([pro.python, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (package,) = pro.paths
    (Path(_site_of(str(python))) / "pro.pth").write_text(f"{_site_of(pro.python)}\n{package}\n")
    config = {
        "benchmark_root": f"{package}/libero/libero",
        "bddl_files": str(made / "bddl_files"),
        "init_states": str(made / "init_files"),
        "datasets": str(tmp_path),
        "assets": f"{package}/libero/libero/assets",
    }
    (tmp_path / "config.yaml").write_text("".join(f"{name}: {place}\n" for name, place in config.items()))
    monkeypatch.setenv("LIBERO_CONFIG_PATH", str(tmp_path))
    monkeypatch.setenv("GROOT_BENCH_LIBERO_PRO_PYTHON", str(python))
    suite = load_suite("libero_pro")
    assert suite.missing == ""
    perturbed = [f"libero_goal_{kind}/{BOWL}" for kind in ("object", "swap", "lan", "task", "env")]
    assert [name for name in suite.tasks if cell(name)[1] != "ori"] == perturbed
    found = told(suite, tmp_path / "run", [f"libero_goal/{BOWL}", *perturbed], OFFICIAL)
    assert found == {name: suite.tasks[name].about.partition(": ")[2] for name in [f"libero_goal/{BOWL}", *perturbed]}
    assert found[f"libero_goal_lan/{BOWL}"] == "the plate\u2019s place is under the bowl"


def _site_of(python: str) -> str:
    program = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    return subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout.strip()

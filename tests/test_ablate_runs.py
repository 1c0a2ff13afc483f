"""`groot-bench ablate` as a user runs it: what is missing runs, whatever stopped it before, and becomes tables."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ablations import TOY, tree, write_plan
from laws import children, results, wait_gone

pytest.importorskip("pandas")

from groot_bench import Run
from groot_bench.cli import main

PLAN = TOY.replace("episodes = 4", "episodes = 4\npolicy_seeds = [0, 1]") + '[factors]\npolicy = ["zero", "random"]\n'
UNTIL = TOY + '[factors]\npolicy = ["random"]\nlatency = [1]\n' + "[until]\nround = 4\nmost = 12\n"
LONG = TOY.replace("episodes = 4", "episodes = 90").replace('"Coin90", ', "") + '[factors]\npolicy = ["zero"]\n'
QUIET = "--no-figures"


def ablate(*words: object) -> int:
    return main(["ablate", *map(str, words), QUIET])


def starts(out: Path) -> int:
    """How often `eval` has begun to run something."""
    return sum(len(Run.load(path.parent).manifest["invocations"]) for path in out.glob("runs/*/run.json"))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan that was carried out; tests copy it."""
    path = write_plan(tmp_path_factory.mktemp("done"), PLAN)
    assert ablate(path) == 0
    return path


@pytest.fixture
def mine(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done.parent, tmp_path / "mine")
    return tmp_path / "mine" / done.name


def test_a_plan_becomes_runs_and_tables_in_four_forms(done: Path) -> None:
    out = done.with_suffix("")
    assert len(list(out.glob("runs/*/run.json"))) == 4, "expert and zero once, random with two policy seeds"
    names = {"summary", "tasks-toy", "seeds-toy"}
    assert {path.name for path in (out / "tables").iterdir()} == {
        f"{name}.{form}" for name in names for form in ("md", "tex", "csv", "json")
    }
    summary = json.loads((out / "tables" / "summary.json").read_text())
    assert [row[0] for row in summary["rows"]] == ["expert (baseline)", "zero", "random"]
    expert, zero, random = (row[1] for row in summary["rows"])
    assert (expert["n"], zero["n"], random["n"]) == (8, 8, 16)
    assert zero["successes"] == 0
    markdown = (out / "tables" / "tasks-toy.md").read_text()
    assert "| expert (baseline) | 4/4 = 100.0 % (51.0 to 100.0) | baseline |" in markdown
    assert not list(out.rglob("*.tmp"))


def test_the_same_command_again_runs_nothing_and_writes_the_same_bytes(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, begun = tree(mine.parent), starts(mine.with_suffix(""))
    assert ablate(mine) == 0
    assert "[1/" not in capsys.readouterr().err
    assert tree(mine.parent) == before
    assert starts(mine.with_suffix("")) == begun


def test_what_is_missing_runs_and_nothing_else(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = mine.with_suffix("")
    before = tree(out / "tables")
    cut, gone, *others = sorted(out.glob("runs/*/episodes.jsonl"))
    kept = {path: path.read_bytes() for path in others}
    cut.write_bytes(cut.read_bytes()[:-200])  # killed in the middle of a line
    shutil.rmtree(gone.parent)
    assert ablate(mine) == 0
    said = capsys.readouterr().err
    assert "[2/2]" in said and "[3/" not in said
    assert tree(out / "tables") == before
    assert {path: path.read_bytes() for path in others} == kept


def test_json_on_stdout_is_what_the_files_say(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate(mine, "--json") == 0
    page = json.loads(capsys.readouterr().out)
    for name, table in page.items():
        assert json.loads((mine.with_suffix("") / "tables" / f"{name}.json").read_text()) == table


def test_run_folders_alone_give_the_same_numbers(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = mine.with_suffix("")
    folders = sorted(path.parent for path in out.glob("runs/*/run.json"))
    expert = next(folder for folder in folders if "expert" in folder.name)
    assert ablate(out / "runs", "--baseline", expert, "--pool-seeds", "--json") == 0
    rows = {row[0]: row[1:] for row in json.loads(capsys.readouterr().out)["summary"]["rows"]}
    planned = json.loads((out / "tables" / "summary.json").read_text())
    assert rows == {row[0]: row[1:] for row in planned["rows"]}
    assert ablate(*folders, "--json") == 0
    each = [row[0] for row in json.loads(capsys.readouterr().out)["summary"]["rows"]]
    assert sorted(each) == ["expert (baseline)", "random, policy seed 0", "random, policy seed 1", "zero"]


@pytest.mark.parametrize("fault", ["schema", "record", "list", "seed", "twice"])
def test_a_broken_run_folder_exits_with_2_and_leaves_the_tables_alone(
    fault: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = next(mine.with_suffix("").glob("runs/toy-zero-*"))
    manifest = json.loads((folder / "run.json").read_text())
    lines = (folder / "episodes.jsonl").read_text().splitlines(keepends=True)
    if fault == "schema":
        manifest["schema"] = 99
    elif fault == "list":
        manifest["episodes"] = manifest["episodes"][:-1]
    elif fault == "seed":
        manifest["experiment"]["seed"] = 1
    (folder / "run.json").write_text(json.dumps(manifest))
    if fault == "record":
        lines[2] = lines[2].replace('"steps": ', '"steps": -')
    elif fault == "twice":
        lines[2] = lines[1]
    (folder / "episodes.jsonl").write_text("".join(lines))
    before = tree(mine.parent, lambda path: path.name != ".lock")
    assert ablate(mine) == 2
    said = capsys.readouterr()
    assert str(folder) in said.err
    assert said.out == ""
    assert tree(mine.parent, lambda path: path.name != ".lock") == before


def test_runs_that_were_measured_otherwise_may_not_share_a_column(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(mine.with_suffix("").glob("runs/toy-zero-*/run.json"))
    path.write_text(path.read_text().replace('"numpy": "', '"numpy": "9.'))
    assert ablate(mine) == 2
    assert "suite.packages.numpy: " in capsys.readouterr().err
    assert ablate(mine, "--ignore", "suite.packages.numpy") == 0
    assert "The runs differ in suite.packages.numpy, which was ignored." in capsys.readouterr().out


def test_errors_are_told_leave_differences_unknown_and_can_run_again(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = next(mine.with_suffix("").glob("runs/toy-zero-*/episodes.jsonl"))
    before = tree(mine.with_suffix("") / "tables")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    empty = {"success_once": None, "success_at_end": None, "success_at_chunk_end": None, "first_success_step": None}
    lines[0].update(outcome="error", error="the simulator died", success_spans=[], **empty)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert ablate(mine) == 1
    said = capsys.readouterr()
    assert "1 episodes are errors; --retry-errors runs them again" in said.err
    assert "| zero | 0/7 = 0.0 % (0.0 to 35.4); 1 error; as failures: 0/8 = 0.0 % (0.0 to 32.4) | unknown |" in said.out
    assert "1 of the episodes have an error" in said.out
    assert ablate(mine, "--retry-errors") == 0
    assert tree(mine.with_suffix("") / "tables") == before


def test_what_eval_refuses_is_told_by_its_field_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_plan(tmp_path, TOY + '[factors]\nlatency = [1]\ncamera = ["wrist:black"]\n')
    assert ablate(path) == 2
    said = capsys.readouterr().err
    assert f"{path}: factors.camera[0]: eval refuses it on 'toy': unknown camera that policy 'expert' reads" in said
    assert list(tree(tmp_path)) == ["plan.toml"]
    assert not (tmp_path / "plan").exists()


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "groot_bench", "ablate", str(path), QUIET],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recorded(path: Path) -> int:
    return sum(one.read_bytes().count(b"\n") for one in path.with_suffix("").glob("runs/*/episodes.jsonl"))


def family(pid: int) -> list[int]:
    """The child of an `ablate`, and its workers."""
    return [one for child in children(pid) for one in (child, *children(child))]


def test_stopped_or_killed_at_any_point_the_same_command_ends_with_the_same_records(tmp_path: Path) -> None:
    path = write_plan(tmp_path, LONG)
    for number, episodes in ((signal.SIGKILL, 5), (signal.SIGINT, 40), (signal.SIGTERM, 100), (signal.SIGKILL, 120)):
        before = recorded(path)
        process = start(path)
        deadline = time.monotonic() + 120
        while recorded(path) < max(episodes, before + 1):  # not while Python is still starting
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        whole = family(process.pid)
        process.send_signal(number)
        out, said = process.communicate(timeout=60)
        wait_gone(whole)
        assert out == ""
        if number is not signal.SIGKILL:
            assert process.returncode == 130, said
            assert f"groot-bench ablate {path}" in said
            assert "Traceback" not in said
    assert 120 <= recorded(path) < 180, "nothing that was recorded is lost, and something is left to do"
    assert not (tmp_path / "plan" / "tables").exists(), "no table of half a plan"
    assert ablate(path) == 0
    for folder in (tmp_path / "plan" / "runs").glob("*-*"):
        words = Run.load(folder).manifest["invocations"][0]["command"].split()[1:]
        alone = tmp_path / f"alone-{folder.name}"
        assert main([*(word for word in words if not word.startswith("--out")), f"--out={alone}"]) == 0
        assert results(Run.load(folder)) == results(Run.load(alone))


def test_two_processes_cannot_carry_out_one_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_plan(tmp_path, LONG)
    first = start(path)
    try:
        while not recorded(path):
            assert first.poll() is None
            time.sleep(0.01)
        assert ablate(path) == 2
        assert "is in use by another `groot-bench ablate`" in capsys.readouterr().err
    finally:
        first.terminate()
        first.communicate(timeout=60)


def test_until_decided_spends_rounds_on_what_is_undecided_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_plan(tmp_path, UNTIL)
    assert ablate(path, "--until", "decided") == 0
    out = capsys.readouterr().out
    spans: dict[str, list[tuple[int, int]]] = {}
    for folder in (tmp_path / "plan" / "runs").glob("*-*"):
        run = Run.load(folder)
        indices = sorted({record.episode.index for record in run.records})
        name = run.experiment["policy"]["name"]
        spans.setdefault(name, []).append((indices[0], indices[-1] + 1))
    # latency of one step costs the expert nothing, so that it is never decided; random fails at all of Reach
    assert sorted(spans["ablated(expert)"]) == sorted(spans["expert"]) == [(0, 4), (4, 8), (8, 12)]
    assert sorted(spans["random"])[:2] == [(0, 4), (4, 8)]
    assert "McNemar" not in out and "valid at any time" in out
    before, begun = tree(tmp_path), starts(tmp_path / "plan")
    assert ablate(path, "--until", "decided") == 0
    assert capsys.readouterr().out == out
    assert (tree(tmp_path), starts(tmp_path / "plan")) == (before, begun)
    shutil.rmtree(next(folder for folder in (tmp_path / "plan" / "runs").glob("toy-random-*")))
    assert ablate(path, "--until", "decided") == 0
    assert capsys.readouterr().out == out
    assert ablate(tmp_path / "plan" / "runs") == 0
    assert "McNemar" not in capsys.readouterr().out, "rounds that are analysed as plain runs stay rounds"
    assert ablate(path) == 0
    fixed = capsys.readouterr().out
    assert "start states of each: 4." in fixed and "McNemar" in fixed
    assert "Further episodes of --until decided lie beside these and are not counted" in fixed


def test_until_decided_needs_one_policy_seed(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ablate(mine, "--until", "decided") == 2
    assert "policy_seeds: --until decided needs a single one" in capsys.readouterr().err


def test_anonymized_runs_name_no_host_and_no_path_and_say_the_same(mine: Path) -> None:
    out = mine.with_suffix("")
    before = {path: results(Run.load(path.parent)) for path in out.glob("runs/*/run.json")}
    tables = tree(out / "tables")
    assert ablate(mine, "--anonymize") == 0
    for path, known in before.items():
        assert results(Run.load(path.parent)) == known
        assert str(mine.parent) not in path.read_text()
        assert not {"host", "environment_python"} & {
            key for one in Run.load(path.parent).manifest["invocations"] for key in one
        }
    assert tree(out / "tables") == tables
    assert ablate(mine) == 0


def test_two_protocols_never_share_a_column(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["eval", "--suite=toy", "--task=Reach", "--task=Coin90", "--policy=zero", "--episodes=4", "--slots=2"]
    assert main([*words, "--max-steps=70", f"--out={tmp_path / 'short'}"]) == 0
    expert = next(mine.with_suffix("").glob("runs/toy-expert-*"))
    capsys.readouterr()
    assert ablate(expert, tmp_path / "short", "--json") == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["head"] == ["row", "toy/v1", "toy/v1 (step_caps=70)"]
    assert [[type(cell) for cell in row[1:]] for row in summary["rows"]] == [[dict, str], [str, dict]]
    assert main([*words[:2], *words[3:], f"--out={tmp_path / 'fewer'}"]) == 0
    assert ablate(expert, tmp_path / "fewer") == 2
    assert "has other tasks than" in capsys.readouterr().err


def test_figures_are_drawn_for_differences_and_factors_and_are_the_same_again(mine: Path) -> None:
    pytest.importorskip("matplotlib")
    out = mine.with_suffix("")
    assert main(["ablate", str(mine)]) == 0
    drawn = tree(out / "figures")
    assert set(drawn) == {f"{name}-toy.{kind}" for name in ("differences", "policy") for kind in ("svg", "png")}
    shutil.rmtree(out / "figures")
    assert main(["ablate", str(mine)]) == 0
    assert tree(out / "figures") == drawn

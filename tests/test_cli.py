"""The command line: exit codes, where output goes, and what bad input gets."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from laws import results

from groot_bench import Run

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def toy(*words: object) -> list[object]:
    return ["eval", "--suite", "toy", "--policy", "expert", "--episodes", 4, "--slots", 2, *words]


def test_eval_prints_the_table_on_stdout_and_everything_else_on_stderr(cli: Cli, tmp_path: Path) -> None:
    done = cli(*toy("--out", "run"))
    assert done.returncode == 0
    assert "| Reach | 4/4 | 100.0 % | 51.0 to 100.0 % |" in done.stdout
    assert "| total |" in done.stdout
    assert "`run`" in done.stdout
    assert "this policy reads the simulator's hidden state" in done.stdout
    assert "episodes |" in done.stderr
    assert "success " in done.stderr
    assert done.stdout == cli("show", "run").stdout


def test_same_command_again_is_a_no_op_and_names_its_own_folder(cli: Cli, tmp_path: Path) -> None:
    first = cli(*toy())
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("toy-expert-")
    again = cli(*toy("--slots", 1))
    assert again.returncode == 0
    assert "is complete: 12 episodes are recorded" in again.stderr
    assert again.stdout == first.stdout
    other = cli(*toy("--seed", 1))
    assert other.returncode == 0
    assert len(list((tmp_path / "results").iterdir())) == 2


def test_json_has_counts_rates_and_intervals(cli: Cli) -> None:
    page = json.loads(cli(*toy("--out", "run", "--json")).stdout)
    assert page == json.loads(cli("show", "run", "--json").stdout)
    assert page["complete"] is True
    assert [row["name"] for row in page["tasks"]] == ["Reach", "Coin50", "Coin90"]
    reach = page["tasks"][0]
    assert (reach["successes"], reach["measured"], reach["rate"], reach["errors"]) == (4, 4, 1.0, 0)
    assert 0.5 < reach["wilson_95"][0] < reach["wilson_95"][1] == 1.0


def test_list_shows_each_suite_with_its_state(cli: Cli) -> None:
    page = json.loads(cli("list", "--json").stdout)
    assert set(page) == {"suites"}
    suites = {suite["name"]: suite for suite in page["suites"]}
    assert set(suites["toy"]) == {"name", "tasks", "protocols", "state"}
    assert suites["toy"]["state"] == "ready"
    assert suites["toy"]["protocols"] == ["toy/v1"]
    assert {"Lift", "Stack", "Door", "NutAssemblySquare", "PickPlaceCan", "TwoArmLift", "LiftPandaOmron"} <= set(
        suites["robosuite"]["tasks"]
    )
    assert suites["robosuite"]["protocols"][0] == "robosuite/v1"
    table = cli("list").stdout
    for name in suites:
        assert f"| {name} |" in table


BAD = [
    (["eval", "--suite", "toi", "--policy", "zero"], r"unknown suite: 'toi'; did you mean 'toy'\?"),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--task", "Coin5"],
        r"did you mean 'Coin50'\? \(known: Reach, Coin50",
    ),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--protocol", "v2"],
        r"unknown protocol of suite 'toy': 'v2'.*toy/v1",
    ),
    (["eval", "--suite", "toy", "--policy", "zeros"], r"unknown policy: 'zeros'; did you mean 'zero'"),
    (["eval", "--suite", "toy", "--ckpt", "x"], r"x"),
    (["eval", "--suite", "toy", "--policy", "groot"], r"--policy groot takes its checkpoint from --ckpt PATH"),
    (["eval", "--suite", "toy", "--policy", "zero", "--strict"], r"--strict: only a policy of --ckpt has these"),
    (["eval", "--suite", "toy", "--ckpt", "x", "--dtype", "float16"], r"unknown --dtype: 'float16'; did you mean"),
    (["eval", "--suite", "toy", "--ckpt", "x", "--device", "tpu"], r"unknown --device: 'tpu'"),
    (["eval", "--suite", "toy", "--ckpt", "x", "--device", "cuda:abc"], r"unknown --device: 'cuda:abc'"),
    (["eval", "--suite", "toy", "--ckpt", "x", "--batch-size", "0"], r"--batch-size must be a whole number"),
    (["eval", "--suite", "toy", "--policy", "zero", "--ablation", "camera=x"], r"camera"),
    (["ckpt", "nowhere"], r"nowhere"),
    (["ckpt", "golden", "nowhere"], r"nowhere is no golden folder"),
    (["ckpt", "tiny", "out", "--family", "n15", "--suite", "toyy"], r"did you mean 'toy'"),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--retarget", "gr1"],
        r"task '\w+' is not of robot 'gr1'",
    ),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--episodes", "0"],
        r"episodes_per_task must be a whole number from 1 to 1,000,000, got 0",
    ),
    (["eval", "--suite", "toy", "--policy", "zero", "--max-steps", "-3"], r"step_caps\[Reach\] must be .*, got -3"),
    (
        ["eval", "--suite", "toy", "--policy", "expert", "--actions-per-query", "17"],
        r"executes 17 actions per query, but policy 'expert' returns 16; use --actions-per-query 16 or less",
    ),
    (["eval", "--suite", "toy", "--policy", "zero", "--shard", "4/3"], r"shard 4/3 is impossible"),
    (["eval", "--suite", "toy", "--policy", "zero", "--shard", "x"], r"expected I/N, as in 1/3, got 'x'"),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--episodes", "100000000000"],
        r"episodes_per_task must be a whole number from 1 to 1,000,000, got 100000000000",
    ),
    (["eval", "--suite", "toy", "--policy", "zero", "--slots", "0"], r"slots must be 1 or more, got 0"),
    (
        ["eval", "--suite", "toy", "--policy", "zero", "--cameras", "some"],
        r"cameras must be one of all, none, got 'some'",
    ),
    (["eval", "--suite", "toy", "--policy", "zero", "--video", "best"], r"video must be all, failed or first:N"),
    (["eval", "--suite", "toy", "--policy", "zero", "--timeout", "0"], r"timeout must be more than 0 seconds"),
    (["eval", "--suite", "toy", "--policy", "zero", "--seed", "-1"], r"seed must be a whole number, 0 or more, got -1"),
    (["eval", "--suite", "toy", "--policy", "replay"], r"--policy replay and --replay RUN belong together"),
    (["eval", "--suite", "toy", "--policy", "replay", "--replay", "none"], r"none is not a run folder"),
    (["eval", "--suite", "toy", "--policy", "zero", "--python", "./nope"], r"the interpreter '\./nope' does not run"),
    (["eval", "--suite", "none.toml", "--policy", "zero"], r"none\.toml"),
    (["eval", "--suite", "toy"], r"one of the arguments --policy --ckpt is required"),
    (["eval", "--policy", "zero"], r"the following arguments are required: --suite"),
    (["show", "nowhere"], r"nowhere is not a run folder"),
    (["merge", "out", "nowhere"], r"nowhere is not a run folder"),
    (["frobnicate"], r"invalid choice: 'frobnicate'"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words[1:])[:60] or words[0] for words, _ in BAD])
def test_bad_input_is_named_with_what_is_allowed_and_nothing_is_written(
    words: list[str], message: str, cli: Cli, tmp_path: Path
) -> None:
    done = cli(*words)
    assert done.returncode == 2
    assert re.search(message, done.stderr), done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_run_folder_of_another_manifest_is_refused_with_a_diff(cli: Cli, tmp_path: Path) -> None:
    cli(*toy("--out", "run"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    done = cli(*toy("--out", "run", "--actions-per-query", 4, "--seed", 3))
    assert done.returncode == 2
    assert "experiment.protocol.actions_per_query: 8 there, 4 here" in done.stderr
    assert "experiment.seed: 0 there, 3 here" in done.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_missing_gl_library_is_named_with_its_package(cli: Cli, tmp_path: Path) -> None:
    from groot_bench import graphics

    if graphics.is_present("osmesa"):
        pytest.skip("OSMesa is installed here")
    pytest.importorskip("robosuite", reason="robosuite is not installed: make test installs it")
    words = ["eval", "--suite", "robosuite", "--task", "Lift", "--policy", "zero", "--episodes", "1"]
    done = cli(*words, MUJOCO_GL="osmesa")
    assert done.returncode == 2
    assert "apt-get install -y libosmesa6" in done.stderr
    assert "--cameras none" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert "apt-get install -y libosmesa6" in cli("doctor").stdout
    nonsense = cli(*words, MUJOCO_GL="eg")
    assert nonsense.returncode == 2
    assert "did you mean 'egl'" in nonsense.stderr


def test_errors_give_exit_code_1_and_both_denominators(cli: Cli, tmp_path: Path) -> None:
    script = (
        "import sys; from groot_bench.testing import fake_suite, FakePolicy; from groot_bench import evaluate; "
        "evaluate(FakePolicy(), suite=fake_suite(faults={'1': 'segfault'}), out='run', slots=2)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    page = cli("show", "run").stdout
    assert "| Count | 4/4 | 100.0 % | 51.0 to 100.0 % |" in page
    assert "| 1 | 4/5 = 80.0 % (37.6 to 96.4 %) |" in page
    assert "fake/v1:Count:1: the environment process was killed by SIGSEGV" in page


def test_run_that_ends_in_errors_exits_with_1(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "false").mkdir()
    done = cli(
        *[
            "eval",
            "--suite",
            "toy",
            "--task",
            "Reach",
            "--policy",
            "zero",
            "--episodes",
            2,
            "--slots",
            1,
            "--out",
            "run",
        ],
        *["--python", _broken_interpreter(tmp_path)],
    )
    assert done.returncode == 1
    assert "2 episodes are errors; --retry-errors runs them again" in done.stderr
    assert "| Reach | 0/0 | unknown | unknown | unknown | 2 | 0/2 = 0.0 % (0.0 to 65.8 %) |" in done.stdout
    mended = cli(
        *[
            "eval",
            "--suite",
            "toy",
            "--task",
            "Reach",
            "--policy",
            "zero",
            "--episodes",
            2,
            "--slots",
            1,
            "--out",
            "run",
        ],
        "--retry-errors",
    )
    assert mended.returncode == 0
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 2
    assert results(Run.load(tmp_path / "run"))[0][3].value == "failure"  # type: ignore[attr-defined]


def test_ten_failures_in_a_row_exit_with_1_and_the_childs_words(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "false").mkdir()
    words = ["eval", "--suite", "toy", "--policy", "zero", "--slots", 3, "--out", "run"]
    done = cli(*words, "--python", _broken_interpreter(tmp_path))
    assert done.returncode == 1
    assert "10 environment processes failed in a row" in done.stderr
    assert "exited with code 7 during 'start'" in done.stderr
    assert "broken build" in done.stderr
    assert len(Run.load(tmp_path / "run").records) < 10


def _broken_interpreter(folder: Path) -> Path:
    """An interpreter that answers questions about versions, but crashes as soon as it runs a file."""
    path = folder / "false" / "python"
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\necho broken build >&2\nexit 7\n'
    )
    path.chmod(0o755)
    return path


def test_sharded_runs_merge_on_the_command_line(cli: Cli, tmp_path: Path) -> None:
    for i in (1, 2):
        assert cli(*toy("--shard", f"{i}/2", "--out", f"part{i}")).returncode == 0
    assert "(shard 1/2)" in cli("show", "part1").stdout
    merged = cli("merge", "whole", "part1", "part2")
    assert merged.returncode == 0
    whole = cli(*toy("--out", "alone"))
    assert merged.stdout.replace("`whole`", "`alone`") == whole.stdout
    assert "complete" in cli(*toy("--out", "whole")).stderr


def test_doctor_draws_a_picture_and_names_what_is_missing(cli: Cli) -> None:
    page = json.loads(cli("doctor", "--json").stdout)
    findings = {finding["what"]: finding for finding in page["findings"]}
    assert {"groot-bench", "machine", "suite toy", "suite robosuite", "graphics egl", "graphics osmesa"} <= set(
        findings
    )
    assert findings["suite toy"]["state"] == "ok"
    for finding in findings.values():
        assert finding["state"] in ("ok", "missing", "broken", "unknown")
        assert finding["fix"] or finding["state"] == "ok"


def test_reader_that_goes_away_is_no_error(cli: Cli, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m groot_bench list | head -1", shell=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stderr == ""


OPTIONS = {
    "eval": "--suite --task --protocol --policy --ckpt --replay --retarget --episodes --seed --policy-seed "
    "--actions-per-query --max-steps --cameras --slots --shard --out --video --log-steps --python --timeout "
    "--retry-errors --json --ablation --chunking --embodiment --data-config --tokenizer --revision --denoising-steps "
    "--device --dtype --attn --threads --batch-size --compile --strict --upstream-padding --dry-run --first-episode "
    "--unpinned",
    "list": "--json",
    "show": "--json",
    "merge": "--json",
    "doctor": "--deep --task --json --python",
    "setup": "--source --assets --json --make-seeds --task --config --count",
}


@pytest.mark.parametrize("verb", OPTIONS)
def test_options_are_a_frozen_list(verb: str, cli: Cli) -> None:
    """A new option is a decision: does it belong into the protocol, the policy, or the suite instead?"""
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", cli(verb, "--help").stdout.partition("options:")[2]))
    wanted = set(OPTIONS[verb].split())
    assert found - {"--help"} == wanted


def test_version_is_that_of_the_package(cli: Cli) -> None:
    assert re.fullmatch(r"groot-bench \d+\.\d+\.\d+\n", cli("--version").stdout)

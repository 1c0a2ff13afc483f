"""`--unpinned`: other versions than a suite's numbers stand for are allowed, told, and never mixed up with them."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy
import pytest

from groot_bench import Run, evaluate, load_suite
from groot_bench.analysis.report.commands import run_commands
from groot_bench.cli import main
from groot_bench.errors import ManifestMismatch, RecordError, SuiteNotReady
from groot_bench.merge import merge
from groot_bench.pins import MEANING, unpinned
from groot_bench.record import MANIFEST
from groot_bench.suite import Suite
from groot_bench.summary import to_markdown
from groot_bench.testing import FakePolicy, check_suite, fake_suite

HERE = numpy.__version__
WORDS = f"numpy is {HERE}, not 0.1"


def suite(pin: str = "0.1", packages: tuple[str, ...] = ("numpy",)) -> Suite:
    """A suite that stands for one version of NumPy, and is set up by a command."""
    return dataclasses.replace(fake_suite(), packages=packages, pins={"numpy": pin}, install="groot-bench setup fake")


def other_toy() -> Suite:
    """The suite "toy", standing for a NumPy that is not here."""
    return dataclasses.replace(load_suite("toy"), packages=("numpy",), pins={"numpy": "0.1"}, install="make numpy")


def run(folder: Path, pin: str = "0.1", **settings: object) -> Run:
    return evaluate(FakePolicy(), **{"suite": suite(pin), "out": folder, "episodes": 2, "slots": 1, **settings})


def test_wrong_version_is_refused_with_the_mending_command_before_the_flag(tmp_path: Path) -> None:
    with pytest.raises(SuiteNotReady) as refused:
        run(tmp_path / "run")
    told = str(refused.value)
    assert WORDS in told and sys.executable in told
    assert -1 < told.index("run: groot-bench setup fake") < told.index("--unpinned")
    assert not (tmp_path / "run").exists()


def test_missing_package_is_refused_all_the_same_and_the_flag_is_not_offered(tmp_path: Path) -> None:
    lacking = suite(packages=("numpy", "no-such-simulator"))
    for flag in (False, True):
        with pytest.raises(SuiteNotReady, match=r"missing no-such-simulator under .*; run: groot-bench setup fake$"):
            run(tmp_path / "run", suite=lacking, unpinned=flag)
    with pytest.raises(SuiteNotReady, match=r"not set up; run: groot-bench setup fake$"):
        run(tmp_path / "run", suite=dataclasses.replace(suite(), missing="not set up"), unpinned=True)
    assert not (tmp_path / "run").exists()


def test_manifest_names_the_pins_that_were_broken_and_only_those(tmp_path: Path) -> None:
    both = dataclasses.replace(
        suite(), packages=("numpy", "pytest"), pins={"numpy": "0.1", "pytest": pytest.__version__}
    )
    experiment = run(tmp_path / "run", suite=both, unpinned=True).experiment
    assert experiment["unpinned"] == {"numpy": "0.1"}
    assert experiment["suite"]["packages"]["numpy"] == HERE
    assert unpinned(experiment) == WORDS


def test_flag_that_breaks_nothing_changes_nothing(tmp_path: Path) -> None:
    pinned = run(tmp_path / "run", pin=HERE)
    assert "unpinned" not in pinned.experiment
    again = run(tmp_path / "run", pin=HERE, unpinned=True)
    assert (again.records, again.experiment) == (pinned.records, pinned.experiment)


def test_unpinned_run_resumes_as_itself_and_never_as_a_pinned_one(tmp_path: Path) -> None:
    first = run(tmp_path / "unpinned", unpinned=True)
    assert run(tmp_path / "unpinned", unpinned=True).records == first.records
    with pytest.raises(ManifestMismatch, match="unpinned"):
        run(tmp_path / "unpinned", pin=HERE)
    run(tmp_path / "pinned", pin=HERE)
    with pytest.raises(ManifestMismatch, match="unpinned"):
        run(tmp_path / "pinned", unpinned=True)


def test_unpinned_run_merges_with_no_pinned_one(tmp_path: Path) -> None:
    parts = [run(tmp_path / "a", unpinned=True, shard=(1, 2)), run(tmp_path / "b", unpinned=True, shard=(2, 2))]
    assert unpinned(merge(tmp_path / "ab", parts).experiment) == WORDS
    with pytest.raises(ManifestMismatch, match="unpinned"):
        merge(tmp_path / "mixed", [parts[0], run(tmp_path / "c", pin=HERE, shard=(2, 2))])
    assert not (tmp_path / "mixed").exists()


def test_every_number_shows_the_mark(tmp_path: Path) -> None:
    marked = to_markdown(run(tmp_path / "run", unpinned=True))
    assert f"# fake on fake/v1 (unpinned=numpy {HERE})" in marked
    assert f"**unpinned**: {WORDS}; {MEANING}" in marked
    assert "unpinned" not in to_markdown(run(tmp_path / "pinned", pin=HERE))


@pytest.mark.parametrize("wrong", [{"numpy": 1}, {"sapien": "3.0.0b1"}, ["numpy"], "numpy"])
def test_manifest_with_impossible_pins_is_refused(tmp_path: Path, wrong: object) -> None:
    path = run(tmp_path / "run", unpinned=True).folder / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["experiment"]["unpinned"] = wrong
    path.write_text(json.dumps(manifest))
    with pytest.raises(RecordError, match=r"run\.json: experiment\.unpinned must map packages"):
        Run.load(path.parent)


def test_contract_is_checked_under_other_versions_only_when_asked_for() -> None:
    with pytest.raises(SuiteNotReady, match="--unpinned"):
        check_suite(other_toy(), ["Reach"], episodes=1, steps=2)
    check_suite(other_toy(), ["Reach"], episodes=1, steps=2, unpinned=True)


@pytest.fixture
def toy_of_another_numpy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line's suite "toy", standing for a NumPy that is not here."""
    monkeypatch.setattr("groot_bench.evaluation.load_suite", lambda name: other_toy())
    monkeypatch.chdir(tmp_path)


TOY = ["eval", "--suite", "toy", "--policy", "zero", "--episodes", "2", "--slots", "1", "--task", "Reach"]


@pytest.mark.usefixtures("toy_of_another_numpy")
def test_command_tells_what_differs_and_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(TOY) == 2
    assert "run: make numpy\nor let `groot-bench eval` have these versions with --unpinned" in capsys.readouterr().err
    assert main([*TOY, "--unpinned", "--dry-run"]) == 0
    assert f"unpinned: {WORDS}; {MEANING}" in capsys.readouterr().out
    assert main([*TOY, "--unpinned", "--out", "run"]) == 0
    said = capsys.readouterr()
    assert f"unpinned: {WORDS}; {MEANING}" in said.err
    assert f"toy/v1 (unpinned=numpy {HERE})" in said.out
    manifest = json.loads(Path("run/run.json").read_text())
    assert all("--unpinned" in command for command in run_commands(manifest) if " eval " in command)
    manifest["invocations"][0]["command"] = None  # as of a call from Python
    assert any("--unpinned" in command for command in run_commands(manifest))


@pytest.mark.usefixtures("toy_of_another_numpy")
def test_comparison_refuses_published_rows_and_pinned_runs_and_marks_what_it_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("pandas")
    for folder, seed in (("one", "0"), ("two", "1")):
        assert main([*TOY, "--unpinned", "--out", folder, "--seed", seed]) == 0
    capsys.readouterr()
    assert main(["compare", "one", "--published"]) == 2
    assert f"one is unpinned: {WORDS}; {MEANING}" in capsys.readouterr().err
    assert main(["compare", "one", "two", "--unpaired"]) == 0
    shown = capsys.readouterr().out
    assert f"one is unpinned: {WORDS}" in shown and f"toy/v1 (unpinned=numpy {HERE})" in shown
    manifest = json.loads(Path("two/run.json").read_text())
    del manifest["experiment"]["unpinned"]
    Path("two/run.json").write_text(json.dumps(manifest))
    assert main(["compare", "one", "two", "--unpaired"]) == 2
    assert "unpinned" in capsys.readouterr().err
    assert main(["compare", "one", "two", "--unpaired", "--ignore", "unpinned"]) == 0
    assert "Ignored: unpinned" in capsys.readouterr().out


@pytest.mark.usefixtures("toy_of_another_numpy")
def test_report_says_it_beside_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    from groot_bench.analysis.frame import load_all, run_facts
    from groot_bench.analysis.report import overview

    assert main([*TOY, "--unpinned", "--out", "run"]) == 0
    frame, (info,) = load_all("run")
    assert dict(overview.run_facts(info, frame).facts)["unpinned"] == f"{WORDS}; {MEANING}"
    pinned = {**info.manifest, "experiment": {**info.manifest["experiment"], "unpinned": {}}}
    assert run_facts(pinned)["protocol_id"] != run_facts(info.manifest)["protocol_id"], "no column has both"

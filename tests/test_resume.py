"""Killed at any point and started again, a run finishes what is missing and nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from laws import children, kill_after, recorded, results, wait_gone

from groot_bench import Run, evaluate
from groot_bench.errors import ManifestMismatch, RecordError
from groot_bench.testing import FakePolicy, fake_suite

# 40 episodes of about 7 steps of 4 ms on 3 slots, for about a second of running.
SCRIPT = """
import sys
from groot_bench import evaluate
from groot_bench.testing import FakePolicy, fake_suite
suite = fake_suite(("A", "B"), chance=0.5, step_seconds=0.004)
evaluate(FakePolicy(), suite=suite, episodes=20, slots=3, out=sys.argv[1])
"""

# (episodes after which to kill, seconds later)
KILLS = [(0, 0.0), (1, 0.003), (7, 0.011), (19, 0.0), (30, 0.017), (36, 0.002)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    suite = fake_suite(("A", "B"), chance=0.5, step_seconds=0.004)
    return results(
        evaluate(FakePolicy(), suite=suite, episodes=20, slots=1, out=tmp_path_factory.mktemp("one") / "run")
    )


def test_run_killed_again_and_again_ends_with_the_same_records(
    tmp_path: Path, undisturbed: list[tuple[object, ...]]
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, str(out)]
    interrupted = 0
    for episodes, delay in KILLS:
        workers = kill_after(command, out, episodes, delay, tmp_path)
        interrupted += bool(workers)
        wait_gone(workers)
    assert interrupted >= 3, "the first kill may come before there are workers, the last after the run"
    before = {record.episode.key: record for record in Run.load(out).records}
    subprocess.run(command, check=True)
    after = Run.load(out)
    assert results(after) == undisturbed
    assert len(before) >= 30
    for record in after.records:  # what was recorded stays as it was, times included: it was not run again
        assert before.get(record.episode.key, record) == record
    assert len((out / "episodes.jsonl").read_text().splitlines()) == 40
    noted = after.manifest["invocations"]
    assert interrupted <= len(noted) <= len(KILLS) + 1  # type: ignore[arg-type]


def test_complete_run_is_left_alone(tmp_path: Path) -> None:
    policy = FakePolicy()
    evaluate(policy, suite=fake_suite(), out=tmp_path / "run", slots=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    policy.calls.clear()
    evaluate(policy, suite=fake_suite(), out=tmp_path / "run", slots=2)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    assert policy.calls == []


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_cut_last_line_is_dropped_and_its_episode_runs_again(cut: int, tmp_path: Path) -> None:
    whole = evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1)
    path = tmp_path / "run" / "episodes.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(Run.load(tmp_path / "run").records) == 4
    again = evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1)
    assert results(again) == results(whole)
    assert len(path.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"seed": 1}, "experiment.seed"),
        ({"episodes": 6}, "experiment.protocol.episodes_per_task"),
        ({"actions_per_query": 2}, "experiment.protocol.actions_per_query"),
        ({"max_steps": 7}, "experiment.protocol.step_caps.Count"),
        ({"shard": (1, 2)}, "shard"),
        ({"cameras": "none"}, "experiment.reads"),
    ],
)
def test_manifest_drift_is_refused_and_nothing_is_written(
    change: dict[str, object], field: str, tmp_path: Path
) -> None:
    evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(ManifestMismatch) as caught:
        evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1, **change)
    assert field in caught.value.differences
    assert f"  {field}: " in str(caught.value)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_how_a_run_is_carried_out_is_no_drift(tmp_path: Path) -> None:
    evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1)
    evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=3, timeout=7.0, progress=True)


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)])
    try:
        while recorded(out) < 1:
            time.sleep(0.01)
        suite = fake_suite(("A", "B"), chance=0.5, step_seconds=0.004)
        with pytest.raises(RecordError, match="being written by another process"):
            evaluate(FakePolicy(), suite=suite, episodes=20, slots=3, out=out)
    finally:
        first.wait()
    assert len(Run.load(out).records) == 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_cleanly_and_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    words = ["eval", "--suite", "toy", "--policy", "zero", "--episodes", "300", "--slots", "2", "--out", "run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "groot_bench", *words],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while recorded(tmp_path / "run") < 5:
        assert process.poll() is None
        time.sleep(0.005)
    workers = children(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"groot-bench {' '.join(words)}" in err
    assert "Traceback" not in err
    assert out == ""
    wait_gone(workers)
    assert 5 <= len(Run.load(tmp_path / "run").records) < 900

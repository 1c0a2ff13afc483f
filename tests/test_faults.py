"""A worker that crashes, hangs, talks or cannot start costs its own episode and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from laws import results

from groot_bench import Outcome, Run, evaluate
from groot_bench.errors import SuiteNotReady
from groot_bench.testing import FakePolicy, fake_suite

FAULTS = {
    "segfault": ["killed by SIGSEGV", "about to fail: segfault", "Segmentation fault"],
    "exit": ["exited with code 3", "about to fail: exit"],
    "raise": ["RuntimeError: the physics exploded", "in step", "about to fail: raise"],
    "nan": [],
    "shape": ["the suite declares float32[1, 1], observe() returned float32[1, 2]"],
}


def run(out: Path, **settings: object) -> Run:
    own = {key: settings.pop(key) for key in ("faults", "fault_step", "once") if key in settings}
    settings = {"slots": 2, "episodes": 6, **settings}
    return evaluate(FakePolicy(), suite=fake_suite(success=[9, 12], **own), out=out, **settings)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(tmp_path_factory.mktemp("healthy") / "run")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "nan"])
@pytest.mark.parametrize("step", [0, 6], ids=["in reset", "in a chunk"])
def test_fault_is_an_error_with_the_childs_words(fault: str, step: int, tmp_path: Path, healthy: Run) -> None:
    listed = run(tmp_path / "run", faults={"2": fault}, fault_step=step)
    broken = listed.records[2]
    assert broken.outcome is Outcome.ERROR
    assert broken.attempts == 2
    assert broken.success_once is None
    for words in FAULTS[fault]:
        assert words.replace("in step", "in reset" if step == 0 else "in step") in str(broken.error)
    assert results(listed)[:2] + results(listed)[3:] == results(healthy)[:2] + results(healthy)[3:]


def test_hang_is_killed_at_the_timeout_and_the_others_go_on(tmp_path: Path, healthy: Run) -> None:
    started = time.monotonic()
    listed = run(tmp_path / "run", faults={"2": "hang"}, timeout=8.0)
    assert time.monotonic() - started < 40
    assert "no answer to 'run' within 8 s" in str(listed.records[2].error)
    assert "about to fail: hang" in str(listed.records[2].error)
    assert results(listed)[:2] + results(listed)[3:] == results(healthy)[:2] + results(healthy)[3:]


def test_second_try_in_a_fresh_process_gives_the_same_result(tmp_path: Path, healthy: Run) -> None:
    for fault in ("segfault", "raise"):
        listed = run(tmp_path / fault, faults={"2": f"once:{fault}"}, once=str(tmp_path / f"{fault}.once"))
        assert results(listed) == results(healthy)
        assert [record.attempts for record in listed.records] == [1, 1, 2, 1, 1, 1]


def test_printing_to_stdout_disturbs_nothing(tmp_path: Path, healthy: Run) -> None:
    listed = run(tmp_path / "run", faults={str(index): "print" for index in range(6)})
    assert results(listed) == results(healthy)


def test_observation_that_is_not_finite_reaches_the_policy_as_it_is(tmp_path: Path) -> None:
    """The harness does not repair a simulator; the policy answers NaN with NaN, which is an error of that episode."""
    listed = run(tmp_path / "run", faults={"2": "nan"}, fault_step=3)
    assert "not finite" in str(listed.records[2].error)


def test_error_records_are_run_again_only_when_asked(tmp_path: Path, healthy: Run) -> None:
    out, once = tmp_path / "run", tmp_path / "mended"
    broken = run(out, faults={"2": "segfault"})
    settings = {"faults": {"2": "segfault"}}
    assert broken.records[2].outcome is Outcome.ERROR
    assert results(run(out, **settings)) == results(broken)
    again = run(out, **settings, retry_errors=True)
    assert again.records[2].outcome is Outcome.ERROR
    assert len((out / "episodes.jsonl").read_text().splitlines()) == 6
    assert results(again)[:2] == results(healthy)[:2]
    assert not once.exists()


def test_interpreter_that_does_not_exist_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SuiteNotReady, match="no_such_python"):
        run(tmp_path / "run", python=str(tmp_path / "no_such_python"))
    assert not (tmp_path / "run").exists()


def test_many_failures_over_many_tasks_leave_all_others_untouched(tmp_path: Path) -> None:
    """Second tries move slots between tasks; the queue's own count of slots must survive that."""
    faults = {"A:1": "raise", "B:2": "exit", "B:7": "raise", "C:0": "raise", "C:9": "exit"}
    suite = fake_suite(("A", "B", "C"), success=[2, 18], faults=faults)
    for slots in (2, 4):
        listed = evaluate(FakePolicy(), suite=suite, out=tmp_path / f"{slots}", slots=slots, episodes=10)
        broken = {f"{record.episode.task}:{record.episode.index}" for record in listed.records if record.error}
        assert broken == set(faults)
        assert len(listed.records) == 30


def test_running_out_of_open_files_says_so(tmp_path: Path) -> None:
    code = (
        "import sys, resource; resource.setrlimit(resource.RLIMIT_NOFILE, (45, 45)); from groot_bench.cli import main; "
        "raise SystemExit(main(['eval', '--suite', 'toy', '--policy', 'zero', '--slots', '30', '--out', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "use fewer --slots" in done.stderr
    assert "Traceback" not in done.stderr

"""The run folder: what is written can be read, what is damaged is named, what cannot be written ends the run."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groot_bench import EpisodeRecord, Outcome, Run, evaluate
from groot_bench.episode import make_episode
from groot_bench.errors import RecordError
from groot_bench.schema import parse_record
from groot_bench.summary import to_markdown
from groot_bench.testing import FakePolicy, fake_suite

texts = st.text(max_size=30)
counts = st.integers(0, 10**9)
gaps = st.lists(st.tuples(st.integers(2, 50), st.integers(0, 50)), max_size=4)


def make_record(outcome: Outcome, gaps: list[tuple[int, int]], **fields: object) -> EpisodeRecord:
    """A record that does not contradict itself: spans with these gaps before them and these lengths."""
    if outcome is Outcome.ERROR:
        return EpisodeRecord(outcome=outcome, error="it broke", **fields)  # type: ignore[arg-type]
    spans, at = [], 0
    for gap, length in gaps:
        spans.append((at + gap, at + gap + length))
        at = spans[-1][1]
    first = spans[0][0] if spans else None
    return EpisodeRecord(  # type: ignore[arg-type]
        outcome=outcome,
        success_once=bool(spans),
        first_success_step=first,
        success_spans=tuple(spans),
        steps=at + 3,
        **fields,
    )


records = st.builds(
    make_record,
    outcome=st.sampled_from(Outcome),
    gaps=gaps,
    episode=st.builds(make_episode, texts, texts, texts, counts, st.integers(0, 2**64)),
    success_at_chunk_end=st.none() | st.booleans(),
    queries=counts,
    instruction=st.none() | texts,
    retarget=st.dictionaries(texts, counts, max_size=3),
    sim_seconds=st.floats(0, 1e6),
    wall_seconds=st.floats(0, 1e6),
    video=st.none() | texts,
)


@given(records)
def test_record_survives_the_round_trip(record: EpisodeRecord) -> None:
    line = json.dumps(record.to_json(), allow_nan=False)
    assert "\n" not in line
    assert parse_record(line) == record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run", slots=1)
    return tmp_path / "run"


def edit(path: Path, line: int, text: str) -> None:
    lines = path.read_text().splitlines()
    lines[line] = text
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ("[1, 2]", "expected an object, got list"),
        ("{}", "suite is missing"),
        ("", "Expecting value"),
        ("[" * 100_000, "nested too deeply"),
        ('{"steps": NaN}', "NaN is not a number that JSON has"),
    ],
)
def test_malformed_line_is_named_with_file_and_number(text: str, message: str, folder: Path) -> None:
    edit(folder / "episodes.jsonl", 2, text)
    with pytest.raises(RecordError, match=rf"episodes\.jsonl:3: .*{message}"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outcome": "splendid"}, "outcome must be one of success, failure, error, got 'splendid'"),
        ({"index": 77}, "not in the list of this run"),
        ({"task": "Other"}, "not in the list of this run"),
        ({"suite": "toy"}, "another suite or protocol"),
        ({"seed": 5}, "another seed than the run's list says"),
        ({"steps": "many"}, "steps must be a whole number, got 'many'"),
        ({"steps": -7}, "steps must be a whole number, got '-7'"),
        ({"steps": 1}, "success_spans end after the last of 1 steps"),
        ({"error": 5}, "error must be text or null, got '5'"),
        ({"error": "it broke"}, "contradict each other"),
        ({"success_once": False}, "contradict each other"),
        ({"success_spans": [[1e999, 2]]}, "Infinity is not a number that JSON has"),
        ({"success_spans": [[5, 2]]}, "success_spans must be rising pairs of steps"),
        ({"wall_seconds": "long"}, "wall_seconds must be a number"),
        ({"retarget": {"limit": -1}}, "retarget must be an object of whole numbers"),
        ({"video": 5}, "video must be text or null"),
    ],
)
def test_impossible_record_is_named_with_file_and_number(change: dict[str, object], message: str, folder: Path) -> None:
    path = folder / "episodes.jsonl"
    flat = json.loads(path.read_text().splitlines()[3])
    edit(path, 3, json.dumps({**flat, **change}))
    with pytest.raises(RecordError, match=rf"episodes\.jsonl:4: .*{message}"):
        Run.load(folder)


def test_record_of_an_episode_that_is_recorded_already_is_refused(folder: Path) -> None:
    path = folder / "episodes.jsonl"
    edit(path, 3, path.read_text().splitlines()[1])
    with pytest.raises(RecordError, match=r"episodes\.jsonl:4: .*recorded twice"):
        Run.load(folder)


def test_damaged_run_can_be_mended_and_gone_on_with_in_the_same_process(folder: Path) -> None:
    whole = (folder / "episodes.jsonl").read_text()
    edit(folder / "episodes.jsonl", 2, "{")
    with pytest.raises(RecordError):
        evaluate(FakePolicy(), suite=fake_suite(), out=folder)
    (folder / "episodes.jsonl").write_text("".join(whole.splitlines(keepends=True)[:3]))
    assert len(evaluate(FakePolicy(), suite=fake_suite(), out=folder).records) == 5


@pytest.mark.parametrize("left", [[".lock"], [".lock", ".run.json.77.tmp"], [".lock", "episodes.jsonl"], []])
def test_run_that_was_killed_in_its_first_moments_can_go_on(left: list[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in left:
        (out / name).write_text("{" if name.endswith(".tmp") else "")
    assert len(evaluate(FakePolicy(), suite=fake_suite(), out=out).records) == 5
    assert {path.name for path in out.iterdir()} == {".lock", "run.json", "episodes.jsonl"}


def test_text_of_any_length_can_be_read_again(tmp_path: Path) -> None:
    suite = fake_suite(faults={"1": "long"}, long=3_000_000)
    run = evaluate(FakePolicy(), suite=suite, out=tmp_path / "run", slots=1)
    error = str(run.records[1].error)
    assert len(error) < 25_000
    assert "characters left out" in error
    assert "the physics exploded" in error


def test_show_prints_no_control_characters_of_a_hostile_folder(folder: Path) -> None:
    manifest = json.loads((folder / "run.json").read_text())
    manifest["experiment"]["suite"]["packages"] = {"evil\x1b]0;pwned\x07": "1\n|<script>"}
    (folder / "run.json").write_text(json.dumps(manifest))
    page = to_markdown(Run.load(folder))
    assert "\x1b" not in page
    assert "\x07" not in page
    assert "<script>" not in page


def test_overlong_line_is_refused_without_reading_it_whole(folder: Path) -> None:
    with (folder / "episodes.jsonl").open("a") as file:
        file.write("x" * (1 << 20) + "y\n")
    with pytest.raises(RecordError, match=r"episodes\.jsonl:6: the line is longer than"):
        Run.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "has schema 99; this version reads 1 to 1"),
        ({"schema": None}, "no schema number"),
        ({"shard": [3, 2]}, r"shard \[3, 2\] is impossible"),
        ({"experiment": {}}, "suite must be an object"),
        ({"episodes": [["Count", 0, 5]]}, "seed that its key does not give"),
        ({"episodes": []}, "experiment.tasks are not those of the listed episodes"),
        ({"invocations": 3}, "invocations must be a list"),
    ],
)
def test_damaged_manifest_is_named(change: dict[str, object], message: str, folder: Path) -> None:
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(RecordError, match=rf"run\.json: .*{message}"):
        Run.load(folder)


def test_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    with pytest.raises(RecordError, match="not a run folder"):
        Run.load(tmp_path / "run")
    with pytest.raises(RecordError, match="is not a run folder; give another --out"):
        evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_manifest_holds_everything_the_plan_asks_for(folder: Path) -> None:
    manifest = json.loads((folder / "run.json").read_text())
    experiment = manifest["experiment"]
    assert {"suite", "protocol", "policy", "seed", "tasks", "reads", "graphics", "retarget", "groot_bench"} <= set(
        experiment
    )
    protocol = fake_suite().protocol()
    assert set(experiment["protocol"]) == {item.name for item in dataclasses.fields(protocol)}
    assert len(manifest["episodes"]) == 5
    noted = manifest["invocations"][0]
    assert {"command", "git", "packages", "host", "cpu", "gpus", "started", "slots"} <= set(noted)


def test_seed_of_an_episode_is_a_hash_that_never_changes() -> None:
    assert make_episode("toy", "toy/v1", "Reach", 0, 0).seed == 18171628747381978841
    assert make_episode("toy", "toy/v1", "Reach", 1, 0).seed == 16861628345610249248


def test_seeds_differ_in_each_part_of_the_key() -> None:
    base = ("toy", "toy/v1", "Reach", 0, 0)
    others = [
        ("toi", *base[1:]),
        ("toy", "toy/v2", *base[2:]),
        (*base[:2], "R", 0, 0),
        (*base[:3], 1, 0),
        (*base[:4], 1),
    ]
    assert len({make_episode(*key).seed for key in [base, *others]}) == 6  # type: ignore[arg-type]


def limited(code: str, out: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """Runs code in a process whose files may not grow beyond `limit` bytes."""

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [sys.executable, "-c", code, str(out)], preexec_fn=limit_files, capture_output=True, text=True, timeout=120
    )


MANY = """
import sys
from groot_bench.cli import main
raise SystemExit(main(["eval", "--suite", "toy", "--task", "Reach", "--policy", "expert", "--episodes", "200",
                       "--slots", "1", "--out", sys.argv[1]]))
"""


def test_file_that_may_not_grow_ends_the_run_with_whole_lines(tmp_path: Path) -> None:
    done = limited(MANY, tmp_path / "run", 20_000)
    assert done.returncode == 2
    assert "episodes.jsonl: cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    text = (tmp_path / "run" / "episodes.jsonl").read_text()
    assert text.endswith("\n")
    assert 20 <= len(Run.load(tmp_path / "run").records) == text.count("\n") < 200


def test_full_disk_ends_the_run_with_whole_lines_and_it_can_go_on(tiny_disk: Path) -> None:
    out = tiny_disk / "run"
    command = [sys.executable, "-c", MANY, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    kept = Run.load(out).records
    assert 10 <= len(kept) < 200
    assert (out / "episodes.jsonl").read_bytes().endswith(b"\n")
    assert {path.name for path in out.iterdir()} == {"run.json", "episodes.jsonl", ".lock"}
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny_disk)], check=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert Run.load(out).records[: len(kept)] == kept


def test_read_only_folder_ends_the_run_before_it_begins(tiny_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", MANY, str(tiny_disk / "run")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "cannot be written: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


def test_folder_without_permission_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere; the read-only file system above covers it")
    tmp_path.chmod(0o500)
    with pytest.raises(RecordError, match="cannot be written: Permission denied"):
        evaluate(FakePolicy(), suite=fake_suite(), out=tmp_path / "run")

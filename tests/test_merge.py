"""Shards become the run that was never sharded, or the merge is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from laws import results

from groot_bench import Run, evaluate
from groot_bench.errors import ManifestMismatch, RecordError
from groot_bench.merge import merge
from groot_bench.testing import FakePolicy, fake_suite


def shard(folder: Path, i: int, n: int, **settings: object) -> Run:
    settings = {"slots": 2, "episodes": 7, **settings}
    return evaluate(FakePolicy(), suite=fake_suite(("A", "B")), out=folder / f"{i}of{n}", shard=(i, n), **settings)


def test_merged_shards_equal_the_run_that_was_never_sharded(tmp_path: Path) -> None:
    whole = shard(tmp_path, 1, 1, slots=1)
    merged = merge(tmp_path / "merged", [shard(tmp_path, i, 3) for i in (3, 1, 2)])
    assert results(merged) == results(whole)
    assert merged.experiment == whole.experiment
    assert merged.is_complete
    again = evaluate(FakePolicy(), suite=fake_suite(("A", "B")), out=tmp_path / "merged", episodes=7)
    assert again.records == merged.records, "a merged run is complete: nothing runs again"


def test_merging_takes_what_is_there_and_the_rest_can_be_run(tmp_path: Path) -> None:
    merged = merge(tmp_path / "merged", [shard(tmp_path, 1, 3), shard(tmp_path, 2, 3)])
    assert not merged.is_complete
    whole = evaluate(FakePolicy(), suite=fake_suite(("A", "B")), out=tmp_path / "merged", episodes=7)
    assert results(whole) == results(shard(tmp_path, 1, 1))


def test_equal_episodes_are_taken_once_and_different_ones_are_refused(tmp_path: Path) -> None:
    one, two = shard(tmp_path, 1, 2), shard(tmp_path, 2, 2)
    assert len(merge(tmp_path / "merged", [one, two, one]).records) == 14
    path = one.folder / "episodes.jsonl"
    lines = path.read_text().splitlines()
    flat = json.loads(lines[0])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text((one.folder / "run.json").read_text())
    (tmp_path / "other" / "episodes.jsonl").write_text(json.dumps({**flat, "action_hash": "0" * 32}) + "\n")
    with pytest.raises(RecordError, match="disagree on episode fake/v1:"):
        merge(tmp_path / "refused", [one, Run.load(tmp_path / "other")])
    assert not (tmp_path / "refused").exists()


def test_other_experiments_are_refused_with_their_differences(tmp_path: Path) -> None:
    with pytest.raises(ManifestMismatch, match=r"experiment\.seed: 0 there, 1 here"):
        merge(tmp_path / "merged", [shard(tmp_path, 1, 2), shard(tmp_path, 2, 2, seed=1)])
    assert not (tmp_path / "merged").exists()


def test_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not empty"):
        merge(tmp_path, [shard(tmp_path, 1, 1)])


@pytest.mark.parametrize("path", ["../../secret.mp4", "/etc/passwd", "videos/../../x", "run.json"])
def test_record_cannot_make_the_merge_copy_any_file(path: str, tmp_path: Path) -> None:
    one = shard(tmp_path, 1, 1)
    file = one.folder / "episodes.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([json.dumps({**json.loads(lines[0]), "video": path}), *lines[1:]]) + "\n")
    with pytest.raises(RecordError, match=r"not videos/[AB]-\d\.mp4"):
        merge(tmp_path / "merged", [Run.load(one.folder)])
    assert not (tmp_path / "merged").exists()


def test_links_in_a_run_folder_are_not_followed(tmp_path: Path) -> None:
    one = shard(tmp_path, 1, 1)
    file = one.folder / "episodes.jsonl"
    lines = file.read_text().splitlines()
    flat = json.loads(lines[0])
    name = f"{flat['task']}-{flat['index']}"
    file.write_text("\n".join([json.dumps({**flat, "video": f"videos/{name}.mp4"}), *lines[1:]]) + "\n")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for folder, ending in (("videos", "mp4"), ("steps", "parquet")):
        (one.folder / folder).mkdir()
        (one.folder / folder / f"{name}.{ending}").symlink_to(secret)
    merge(tmp_path / "merged", [Run.load(one.folder)])
    assert not [path for path in (tmp_path / "merged").rglob("*") if path.is_file() and "secret" in path.read_text()]


def test_what_one_run_measured_heals_what_another_could_not(tmp_path: Path) -> None:
    settings = {"episodes": 3, "slots": 1}
    suite = fake_suite(faults={"1": "once:exit"}, fault_step=2, once=str(tmp_path / "once"))
    healthy = evaluate(FakePolicy(), suite=suite, out=tmp_path / "healthy", **settings)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text((healthy.folder / "run.json").read_text())
    lines = (healthy.folder / "episodes.jsonl").read_text().splitlines()
    failed = {key: json.loads(lines[1])[key] for key in ("suite", "protocol", "task", "index", "seed")}
    failed = {**failed, "outcome": "error", "error": "it broke", "steps": 1}
    (tmp_path / "broken" / "episodes.jsonl").write_text("\n".join([lines[0], json.dumps(failed), lines[2]]) + "\n")
    broken = Run.load(tmp_path / "broken")
    for i, order in enumerate(([healthy, broken], [broken, healthy], [broken, broken, healthy])):
        assert results(merge(tmp_path / f"merged{i}", order)) == results(healthy)

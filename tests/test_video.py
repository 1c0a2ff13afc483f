"""Videos show what the cameras saw at every control step, and filming changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from laws import results

from groot_bench import Outcome, Run, evaluate
from groot_bench.errors import UsageError
from groot_bench.record import file_stem
from groot_bench.testing import FakePolicy, fake_suite
from groot_bench.video import VideoChoice

av = pytest.importorskip("av", reason="PyAV is not installed: make test installs it")


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def run(out: Path, video: str | None, **settings: object) -> Run:
    settings = {"slots": 2, "episodes": 8, **settings}
    return evaluate("expert", suite="toy", tasks=["Reach", "Coin50"], max_steps=130, out=out, video=video, **settings)


def test_film_has_one_frame_for_each_step_and_the_first(tmp_path: Path) -> None:
    filmed = run(tmp_path / "run", "all")
    for record in filmed.records:
        assert record.video == f"videos/{record.episode.task}-{record.episode.index}.mp4"
        pictures = frames(tmp_path / "run" / record.video)
        assert len(pictures) == record.steps + 1
        assert pictures[0].shape == (64, 128, 3)
    assert len(list((tmp_path / "run" / "videos").iterdir())) == 16


def test_film_shows_what_happened(tmp_path: Path) -> None:
    """In Reach the red point ends where the green one was."""
    record = run(tmp_path / "run", "all", slots=1).records[0]
    first, *_, last = frames(tmp_path / "run" / str(record.video))
    green = np.argwhere((first[:, :64, 1] > 120) & (first[:, :64, 0] < 100)).mean(axis=0)
    red = np.argwhere((last[:, :64, 0] > 120) & (last[:, :64, 1] < 100)).mean(axis=0)
    assert np.abs(green - red).max() < 3


def test_filming_changes_no_result(tmp_path: Path) -> None:
    assert results(run(tmp_path / "film", "all")) == results(run(tmp_path / "none", None, slots=1))


def test_failed_keeps_the_films_of_failures_only(tmp_path: Path) -> None:
    records = run(tmp_path / "run", "failed").records
    assert {record.outcome for record in records} == {Outcome.SUCCESS, Outcome.FAILURE}
    for record in records:
        assert (record.video is not None) == (record.outcome is Outcome.FAILURE)
    kept = {str(record.video) for record in records if record.video}
    assert {f"videos/{path.name}" for path in (tmp_path / "run" / "videos").iterdir()} == kept


def test_first_n_goes_by_the_index_and_not_by_who_is_done_first(tmp_path: Path) -> None:
    records = run(tmp_path / "run", "first:3", slots=3).records
    assert {record.episode.key for record in records if record.video} == {
        (task, index) for task in ("Reach", "Coin50") for index in range(3)
    }


def test_film_of_a_broken_trial_is_thrown_away(tmp_path: Path) -> None:
    suite = fake_suite(success=[9, 9], faults={"1": "segfault"}, fault_step=6)
    records = evaluate(FakePolicy(), suite=suite, out=tmp_path / "run", video="all", slots=2).records
    assert records[1].outcome is Outcome.ERROR
    assert records[1].video is None
    assert sorted(path.name for path in (tmp_path / "run" / "videos").iterdir()) == [
        f"Count-{index}.mp4" for index in (0, 2, 3, 4)
    ]


@pytest.mark.parametrize("text", ["", "some", "first", "first:", "first:0", "first:-1", "first:x", "ALL"])
def test_other_choices_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="video must be all, failed or first:N"):
        VideoChoice.parse(text)


def test_video_without_cameras_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--video needs cameras"):
        run(tmp_path / "run", "all", cameras="none")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["../../etc/cron", "a/b", "..", "", "x" * 300, "naïve\nname"])
def test_hostile_task_names_cannot_leave_the_folder(name: str) -> None:
    from groot_bench.episode import make_episode

    stems = {file_stem(make_episode("s", "s/v1", other, 0, 0)) for other in (name, name + "_", "a_b")}
    assert len(stems) == 3
    for stem in stems:
        assert Path(stem).name == stem
        assert not stem.startswith(".")
        assert len(stem) < 120


def test_only_filmed_episodes_render_every_step(tmp_path: Path) -> None:
    """A camera that nobody reads is rendered for the film alone; counted by the environment itself."""
    counts = {}
    for video in (None, "first:2", "all"):
        marker = tmp_path / f"{video}.count"
        suite = fake_suite(chance=0.0, cap=8, count_frames=str(marker))
        evaluate("zero", suite=suite, out=tmp_path / f"{video}", video=video, slots=1, episodes=5)
        counts[video] = marker.stat().st_size
    # 2 cameras, 5 episodes of 2 queries; a film adds those of 9 moments that no query sees, of 2 episodes or of 5
    assert counts[None] == 2 * 5 * 2
    assert counts["first:2"] == 2 * (5 * 2 + 2 * 7)
    assert counts["all"] == 2 * 5 * 9

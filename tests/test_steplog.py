"""The log of every step, and replaying it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from laws import results

from groot_bench import Run, evaluate
from groot_bench.errors import PolicyError, UsageError
from groot_bench.testing import FakePolicy, fake_suite

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: make test installs it")


def record_random(out: Path, **settings: object) -> Run:
    settings = {"episodes": 6, "slots": 2, "log_steps": True, **settings}
    return evaluate("random", suite="toy", tasks=["Reach", "Coin50"], max_steps=150, out=out, **settings)


def test_log_holds_state_action_and_success_of_every_step(tmp_path: Path) -> None:
    run = record_random(tmp_path / "run")
    for record in run.records:
        table = pq.read_table(tmp_path / "run" / "steps" / f"{record.episode.task}-{record.episode.index}.parquet")
        assert table.num_rows == record.steps
        assert table["step"].to_pylist() == list(range(record.steps))
        assert table["query"].to_pylist() == [step // 8 for step in range(record.steps)]
        held = [i + 1 for i, success in enumerate(table["success"].to_pylist()) if success]
        spans = [step for first, last in record.success_spans for step in range(first, last + 1)]
        assert held == spans


def test_log_lines_up_states_with_the_actions_that_followed_them(tmp_path: Path) -> None:
    """In Reach the position after an action is the position before it plus 0.05 times the action."""
    record = record_random(tmp_path / "run").records[0]
    table = pq.read_table(tmp_path / "run" / "steps" / "Reach-0.parquet")
    position = np.array(table["state.position"].to_pylist())
    action = np.array(table["action.move"].to_pylist())
    assert len(position) == record.steps
    np.testing.assert_allclose(position[1:], np.clip(position[:-1] + 0.05 * action[:-1], 0, 1), atol=1e-6)


def test_logging_changes_no_result(tmp_path: Path) -> None:
    assert results(record_random(tmp_path / "log")) == results(record_random(tmp_path / "none", log_steps=False))


@pytest.mark.parametrize("actions_per_query", [8, 3])
def test_replay_gives_the_recorded_results(actions_per_query: int, tmp_path: Path) -> None:
    original = record_random(tmp_path / "run")
    again = record_random(tmp_path / "one", log_steps=False)
    replayed = evaluate(
        "replay",
        suite="toy",
        tasks=["Reach", "Coin50"],
        episodes=6,
        max_steps=150,
        actions_per_query=actions_per_query,
        replay=tmp_path / "run",
        slots=3,
        out=tmp_path / "replayed",
    )
    assert results(again) == results(original)
    for one, two in zip(original.records, replayed.records, strict=True):
        assert (one.action_hash, one.scene_hash, one.outcome) == (two.action_hash, two.scene_hash, two.outcome)
        assert (one.steps, one.success_spans) == (two.steps, two.success_spans)


def test_replay_of_a_run_without_log_is_refused(tmp_path: Path) -> None:
    record_random(tmp_path / "run", log_steps=False)
    with pytest.raises(UsageError, match="no step log to replay; record it with --log-steps"):
        evaluate("replay", suite="toy", replay=tmp_path / "run", out=tmp_path / "again")
    with pytest.raises(UsageError, match="belong together"):
        evaluate("replay", suite="toy", out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_replay_of_other_start_states_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    record_random(tmp_path / "run")
    with pytest.raises(
        UsageError, match="is a run of toy/v1 with --seed 0; it cannot be replayed in toy/v1 with --seed 1"
    ):
        evaluate("replay", suite="toy", replay=tmp_path / "run", seed=1, max_steps=150, out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_replay_of_an_episode_that_was_not_recorded_stops_the_run(tmp_path: Path) -> None:
    record_random(tmp_path / "run")
    with pytest.raises(PolicyError, match=r"no measured episode toy/v1:Coin90:\d+ with seed"):
        evaluate(
            "replay", suite="toy", tasks=["Coin90"], replay=tmp_path / "run", max_steps=150, out=tmp_path / "again"
        )


def test_log_survives_a_retry(tmp_path: Path) -> None:
    suite = fake_suite(success=[9, 9], faults={"1": "once:segfault"}, fault_step=6, once=str(tmp_path / "once"))
    run = evaluate(FakePolicy(), suite=suite, out=tmp_path / "run", log_steps=True, slots=2)
    assert run.records[1].attempts == 2
    assert pq.read_table(tmp_path / "run" / "steps" / "Count-1.parquet").num_rows == 9

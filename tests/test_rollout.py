"""The laws of the loop, on suites without a simulator; `test_robosuite.py` repeats the first ones on a real one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from laws import LAYOUTS, children, results, wait_gone

from groot_bench import Outcome, Run, evaluate, load_suite
from groot_bench.errors import PolicyError, RunAborted
from groot_bench.policy import Policy
from groot_bench.suite import Suite
from groot_bench.testing import FakePolicy, fake_suite


def run(out: Path, suite: Suite | str | None = None, policy: Policy | str | None = None, **settings: object) -> Run:
    settings.setdefault("slots", 2)
    return evaluate(policy or FakePolicy(), suite=suite or fake_suite(), out=out, **settings)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    """40 episodes of each suite, one slot."""
    folder = tmp_path_factory.mktemp("alone")
    toy = evaluate("random", suite="toy", tasks=["Reach", "Coin50"], episodes=20, slots=1, out=folder / "toy")
    fake = evaluate(FakePolicy(), suite=fake_suite(("A", "B"), chance=0.5), episodes=20, slots=1, out=folder / "fake")
    return {"toy": results(toy), "fake": results(fake)}


@pytest.mark.parametrize(("slots", "shards"), LAYOUTS)
def test_records_do_not_depend_on_slots_or_shards(
    slots: int, shards: int, tmp_path: Path, alone: dict[str, list[tuple[object, ...]]]
) -> None:
    toy, fake = [], []
    for i in range(1, shards + 1):
        shared = {"episodes": 20, "slots": slots, "shard": (i, shards)}
        toy += results(evaluate("random", suite="toy", tasks=["Reach", "Coin50"], out=tmp_path / f"t{i}", **shared))
        suite = fake_suite(("A", "B"), chance=0.5)
        fake += results(evaluate(FakePolicy(), suite=suite, out=tmp_path / f"f{i}", **shared))
    assert sorted(toy) == sorted(alone["toy"])
    assert sorted(fake) == sorted(alone["fake"])


def test_outcomes_vary_so_that_the_law_can_fail(alone: dict[str, list[tuple[object, ...]]]) -> None:
    for listed in alone.values():
        assert {row[3] for row in listed} == {Outcome.SUCCESS, Outcome.FAILURE}
        hashes = [row[-2] for row in listed]
        assert len(set(hashes)) == len(hashes) == 40


def test_records_do_not_depend_on_the_order_of_tasks(tmp_path: Path) -> None:
    suite = fake_suite(("A", "B", "C"))
    together = run(tmp_path / "all", suite)
    for task in ("C", "A"):
        lone = run(tmp_path / task, suite, tasks=[task])
        assert results(lone) == [row for row in results(together) if row[0] == task]


def test_slow_failures_are_not_dropped(tmp_path: Path) -> None:
    """The counter-example to counting the first N episodes to finish: success at 60-200 steps, failure at 720."""
    rates = {}
    for slots in (1, 2, 8):
        listed = evaluate("expert", suite="toy", tasks=["Coin50"], episodes=60, slots=slots, out=tmp_path / f"{slots}")
        assert [record.episode.index for record in listed.records] == list(range(60))
        rates[slots] = sum(record.outcome is Outcome.SUCCESS for record in listed.records)
        for record in listed.records:
            assert record.steps == 720 or 60 <= record.steps <= 200
    assert rates[1] == rates[2] == rates[8]
    assert 15 <= rates[1] <= 45  # 60 fair coins, 4 sigma


def test_every_episode_is_recorded_exactly_once_and_in_full(tmp_path: Path) -> None:
    listed = run(tmp_path / "run", fake_suite(("A", "B")), episodes=17, slots=3)
    assert [record.episode.key for record in listed.records] == [(t, i) for t in "AB" for i in range(17)]
    lines = (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == 34


@pytest.mark.parametrize("step", [0, 2])
def test_policy_sees_reset_before_the_first_query_of_each_episode(step: int, tmp_path: Path) -> None:
    policy = FakePolicy()
    once = tmp_path / "marker"
    faults = {"1": "once:segfault", "2": "exit", "3": "raise"}
    run(tmp_path / "run", fake_suite(faults=faults, fault_step=step, once=str(once)), policy, slots=3)
    alive: set[object] = set()
    asked: dict[object, int] = {}
    for call, arguments in policy.calls:
        for one in arguments:
            if call == "reset":
                alive.add(one)
                asked[one] = 0
            elif call == "act":
                assert one.episode in alive
                assert one.index == asked[one.episode], "queries are numbered from 0, again after a retry"
                asked[one.episode] += 1
            else:
                alive.remove(one)
    assert not alive, "the policy was told of every episode that is over"
    assert len(asked) == 5 if step else 3, "what never began is never announced"


def test_policy_batches_have_one_fixed_shape(tmp_path: Path) -> None:
    policy = FakePolicy(batch_size=4)
    run(tmp_path / "run", policy=policy, slots=3)
    assert {shapes["state.count"] for shapes in policy.shapes} == {(4, 1, 1)}
    assert {shapes["video.front"] for shapes in policy.shapes} == {(4, 1, 8, 8, 3)}


def test_padding_repeats_a_real_row(tmp_path: Path) -> None:
    def rule(observation, queries):  # type: ignore[no-untyped-def]
        count, text = observation["state.count"], observation["annotation.task"]
        for row in range(len(queries), 4):
            assert count[row].tobytes() == count[0].tobytes()
            assert text[row] == text[0]
        return np.zeros((4, 8, 2))

    run(tmp_path / "run", policy=FakePolicy(rule))


def test_policy_cannot_change_the_observation_it_was_given(tmp_path: Path) -> None:
    def rule(observation, queries):  # type: ignore[no-untyped-def]
        observation["state.count"][0] = 7.0
        return np.zeros((len(queries), 8, 2))

    with pytest.raises(PolicyError, match="read-only"):
        run(tmp_path / "run", policy=FakePolicy(rule))


def test_policies_get_each_episodes_own_instruction(tmp_path: Path) -> None:
    heard: dict[object, set[str]] = {}

    def rule(observation, queries):  # type: ignore[no-untyped-def]
        for row, query in enumerate(queries):
            heard.setdefault(query.episode.key, set()).add(observation["annotation.task"][row])
        return np.zeros((len(queries), 8, 2))

    listed = run(tmp_path / "run", policy=FakePolicy(rule), episodes=9, slots=3)
    assert heard == {record.episode.key: {record.instruction} for record in listed.records}
    assert len({record.instruction for record in listed.records}) > 1


def test_global_generators_are_neither_read_nor_written(tmp_path: Path, alone: dict[str, object]) -> None:
    random.seed(123)
    np.random.seed(321)
    before = (random.getstate(), np.random.get_state()[1].tobytes())  # type: ignore[index, union-attr]
    toy = evaluate("random", suite="toy", tasks=["Reach", "Coin50"], episodes=20, slots=2, out=tmp_path / "run")
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before  # type: ignore[index, union-attr]
    assert results(toy) == alone["toy"]


def test_shape_of_a_returned_chunk_is_checked(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"must be float32\[4, 8, 2\], got float32\[2, 7, 2\]"):
        run(tmp_path / "run", policy=FakePolicy(lambda observation, queries: np.zeros((2, 7, 2))))


def test_numbers_that_are_not_finite_make_an_error_of_that_episode_alone(tmp_path: Path) -> None:
    def rule(observation, queries):  # type: ignore[no-untyped-def]
        actions = np.zeros((len(queries), 8, 2))
        for row, query in enumerate(queries):
            if query.episode.index == 2 and query.index == 1:
                actions[row, 3, 1] = np.nan
        return actions

    listed = run(tmp_path / "run", fake_suite(success=[8, 9]), FakePolicy(rule, batch_size=None))
    assert [record.outcome for record in listed.records] == [Outcome.SUCCESS] * 2 + [Outcome.ERROR] + [
        Outcome.SUCCESS
    ] * 2
    assert "not finite in action.move at query 1" in str(listed.records[2].error)


def test_exception_of_the_policy_stops_the_run_and_keeps_its_records(tmp_path: Path) -> None:
    def rule(observation, queries):  # type: ignore[no-untyped-def]
        if any(query.episode.index == 3 for query in queries):
            raise ZeroDivisionError("no")
        return np.zeros((len(queries), 8, 2))

    with pytest.raises(PolicyError, match="failed in act: ZeroDivisionError: no"):
        run(tmp_path / "run", policy=FakePolicy(rule, batch_size=None), slots=1)
    assert len(Run.load(tmp_path / "run").records) == 3


def test_three_successes_are_logged_and_the_rule_decides(tmp_path: Path) -> None:
    """With the goal held from step 3, 5 or 6 of 20 on, in chunks of 4, without stopping."""
    suite = fake_suite(success=[3, 6])
    base = suite.protocol()
    import dataclasses

    rules = dataclasses.replace(base, stop_on_success=False)
    suite = dataclasses.replace(suite, protocols={rules.name: rules})
    for record in run(tmp_path / "run", suite).records:
        assert record.steps == 20
        assert (record.success_once, record.success_at_end, record.success_at_chunk_end) == (True, True, True)
        assert record.success_spans == ((record.first_success_step, 20),)


def test_success_inside_a_chunk_leaves_its_end_unknown(tmp_path: Path) -> None:
    records = run(tmp_path / "run", fake_suite(success=[2, 9]), episodes=20).records
    for record in records:
        expected = True if record.steps % 4 == 0 else None
        assert record.success_at_chunk_end is expected
        assert record.first_success_step == record.steps
    assert {record.success_at_chunk_end for record in records} == {True, None}


def test_environment_that_ends_itself_ends_the_episode(tmp_path: Path) -> None:
    listed = run(tmp_path / "run", fake_suite(chance=0.0, faults={"0": "end"}, fault_step=6))
    assert [(record.steps, record.outcome) for record in listed.records[:2]] == [
        (6, Outcome.FAILURE),
        (20, Outcome.FAILURE),
    ]


def test_cap_is_honored_when_it_is_no_multiple_of_the_chunk(tmp_path: Path) -> None:
    listed = run(tmp_path / "run", fake_suite(chance=0.0, cap=10, chunk=4))
    assert {(record.steps, record.queries) for record in listed.records} == {(10, 3)}


def test_action_hash_does_not_depend_on_how_steps_are_grouped(tmp_path: Path) -> None:
    suite = fake_suite(chance=0.0, cap=12)

    def ramp(observation, queries):  # type: ignore[no-untyped-def]
        return np.stack([(query.step + np.arange(8))[:, None] * [0.01, -0.02] for query in queries])

    hashes = set()
    for k in (1, 3, 4, 8):
        policy = FakePolicy(ramp, batch_size=None)
        listed = run(tmp_path / str(k), suite, policy, actions_per_query=k, episodes=1)
        hashes.add(listed.records[0].action_hash)
    assert len(hashes) == 1


def test_ten_failing_workers_in_a_row_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunAborted, match="10 environment processes failed in a row") as caught:
        run(tmp_path / "run", fake_suite(("Import",)), episodes=30, slots=2)
    assert "No module named 'no_such_simulator'" in str(caught.value)
    records = Run.load(tmp_path / "run").records
    assert 1 <= len(records) <= 5
    assert {record.outcome for record in records} == {Outcome.ERROR}


def test_suite_names_its_tasks_with_one_interface_in_one_batch(tmp_path: Path) -> None:
    """Reach and Coin have different actions: a batch must never mix them."""
    toy = load_suite("toy")
    listed = evaluate("expert", suite=toy, episodes=4, slots=5, out=tmp_path / "run")
    assert len(listed.records) == 12
    assert not [record.error for record in listed.records if record.error]


def test_worker_that_dies_while_it_waits_for_the_policy_is_replaced(tmp_path: Path) -> None:
    """With one row a batch, two of three slots wait while the policy is busy; their processes are killed there."""
    killed: list[int] = []

    def rule(observation, queries):  # type: ignore[no-untyped-def]
        if len(killed) < 2:
            time.sleep(0.3)
            for pid in children(os.getpid()):
                if len(killed) < 2 and pid not in killed:
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)
        return np.zeros((len(queries), 8, 2))

    healthy = run(
        tmp_path / "healthy", policy=FakePolicy(lambda o, q: np.zeros((len(q), 8, 2)), batch_size=1), episodes=9
    )
    wounded = run(tmp_path / "run", policy=FakePolicy(rule, batch_size=1), slots=3, episodes=9)
    assert len(killed) == 2
    assert results(wounded) == results(healthy)
    assert sum(record.attempts == 2 for record in wounded.records) == 2


def test_second_try_is_made_in_a_fresh_process(tmp_path: Path) -> None:
    """Whichever slot makes it: the environment tells how many episodes its process has seen."""
    suite = fake_suite(("A", "B"), faults={"A:5": "raise"}, count_resets=str(tmp_path / "resets"), success=[3, 3])
    listed = run(tmp_path / "run", suite, slots=3, episodes=8)
    assert [record.episode.key for record in listed.records if record.error] == [("A", 5)]
    tries = [line.split() for line in (tmp_path / "resets").read_text().splitlines() if line.startswith("A 5 ")]
    assert len(tries) == 2
    assert tries[1][2] == "1"


def test_hashes_of_strings_are_the_same_in_every_worker(tmp_path: Path) -> None:
    listed = run(tmp_path / "run", fake_suite(hash_in_instruction=True), slots=3, episodes=9)
    assert len({str(record.instruction).rpartition("#")[2] for record in listed.records}) == 1


def test_counters_of_the_policy_stand_in_the_record(tmp_path: Path) -> None:
    class Counting(FakePolicy):
        def report(self, episode):  # type: ignore[no-untyped-def]
            return {"limit": episode.index, "unreachable": 0}

    listed = run(tmp_path / "run", policy=Counting())
    assert [record.retarget for record in listed.records] == [{"limit": i, "unreachable": 0} for i in range(5)]


def test_simulator_that_is_stuck_in_c_code_dies_with_its_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from groot_bench import evaluate; from groot_bench.testing import FakePolicy, fake_suite; "
        "suite = fake_suite(faults={'0': 'stuck'}, once=sys.argv[2]); "
        "evaluate(FakePolicy(), suite=suite, episodes=1, slots=1, out=sys.argv[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(tmp_path / "stuck")]
    process = subprocess.Popen(command)
    while not (tmp_path / "stuck").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    workers = children(process.pid)
    grandchildren = [pid for worker in workers for pid in children(worker)]
    assert grandchildren
    process.kill()
    process.wait()
    wait_gone([*workers, *grandchildren], 3.0)

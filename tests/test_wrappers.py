"""The laws of policies that hold a policy, and what latency, chunking and temporal ensembling do to chunks."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import results

from groot_bench import ArraySpec, Episode, Interface, Policy, PolicyInfo, Query, Run, Task, evaluate
from groot_bench.episode import make_episode
from groot_bench.errors import PolicyError, SpecMismatch, UsageError
from groot_bench.noise import uniform
from groot_bench.policies import ablations as forms
from groot_bench.policies.ablated import AblatedPolicy
from groot_bench.policies.chunked import ChunkedPolicy, Chunking, parse_chunking
from groot_bench.policy import Action, Observation, require_fit
from groot_bench.testing import FakePolicy, fake_suite

H = 8
SUITE = fake_suite(("A", "B"), chance=0.5, success=[9, 20], cap=24)
TASK = SUITE.tasks["A"]
MOVE = dict(TASK.action)
TEXTS = {"A": ["count to 3", "Count to 4."], "B": ["sit down"], "C": ["stand up", "turn round"]}
ALL = ["camera=front:gray", "state=noise:zero", "instruction=swap", "latency=3"]

Wrap = Callable[[Policy], Policy]


def everything(observation: Observation, queries: Sequence[Query]) -> np.ndarray:
    """Chunks that depend on each pixel, number and letter of the own row, and on the query: float (n, H, 2)."""
    chunks = []
    for row, query in enumerate(queries):
        seen = [np.asarray(observation[name])[row] for name in sorted(observation) if not name.startswith("anno")]
        weighed = [float((array.ravel() * np.cos(np.arange(array.size))).sum()) for array in seen]
        said = sum(i * ord(letter) for i, letter in enumerate(str(observation["annotation.task"][row])))
        drawn = uniform(0, query.episode, query.index, (H, 2))
        chunks.append(np.sin(drawn + 0.1 * said + sum(n * value for n, value in enumerate(weighed, 1))))
    return np.stack(chunks)


def ablated(policy: Policy) -> Policy:
    return AblatedPolicy(policy, ALL, instructions=TEXTS)


def late(policy: Policy) -> Policy:
    return AblatedPolicy(policy, ["latency=6:zero"])


def ensembled(policy: Policy) -> Policy:
    return ChunkedPolicy(policy, 5, ensemble=0.1)


WRAPPERS: dict[str, Wrap] = {
    "ablated": ablated,
    "late": late,
    "ensembled": ensembled,
    "late ensemble": lambda policy: late(ensembled(policy)),
    "ensemble of late": lambda policy: ensembled(ablated(policy)),
}


def run(policy: Policy, out: Path, **wanted: object) -> Run:
    return evaluate(policy, **{"suite": SUITE, "out": out, "episodes": 5, "slots": 2, "actions_per_query": 3, **wanted})


@pytest.mark.parametrize("name", WRAPPERS)
def test_records_do_not_depend_on_slots_shards_or_padding(name: str, tmp_path: Path) -> None:
    def policy(batch_size: int | None) -> Policy:
        return WRAPPERS[name](FakePolicy(everything, batch_size=batch_size))

    alone = sorted(results(run(policy(None), tmp_path / "alone", slots=1)))
    assert len({row[-2] for row in alone}) == 10, "each episode has actions of its own"
    assert alone != sorted(results(run(FakePolicy(everything), tmp_path / "bare", slots=1)))
    assert sorted(results(run(policy(4), tmp_path / "padded", slots=3))) == alone
    shards = [results(run(policy(2), tmp_path / f"{i}", slots=2, shard=(i, 3))) for i in (1, 2, 3)]
    assert sorted(row for shard in shards for row in shard) == alone


def test_wrapped_policies_run_on_toy_in_any_layout(tmp_path: Path) -> None:
    from groot_bench.policies.random import RandomPolicy

    def toy(out: str, slots: int) -> list[tuple[object, ...]]:
        policy = late(ensembled(AblatedPolicy(RandomPolicy(0, 8), ["camera=top~far", "state=*:zero"])))
        return results(run(policy, tmp_path / out, suite="toy", tasks=["Reach"], slots=slots, max_steps=30))

    assert toy("one", 1) == toy("three", 3)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    """Two episodes of each task, without any wrapper."""
    return results(run(FakePolicy(everything), tmp_path_factory.mktemp("bare") / "run", episodes=2))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda policy: AblatedPolicy(policy, []),
        lambda policy: AblatedPolicy(policy, ["latency=0"]),
        lambda policy: AblatedPolicy(AblatedPolicy(policy, ["camera=front~wrist"]), ["camera=wrist~front"]),
        lambda policy: ChunkedPolicy(policy),
        lambda policy: ChunkedPolicy(policy, H),
        lambda policy: ChunkedPolicy(AblatedPolicy(ChunkedPolicy(policy), ()), 3),
    ],
)
def test_wrapper_that_takes_nothing_changes_no_record(wrap: Wrap, tmp_path: Path, bare: list[object]) -> None:
    assert results(run(wrap(FakePolicy(everything)), tmp_path / "wrapped", episodes=2)) == bare


def test_ensemble_of_chunks_that_never_overlap_changes_no_record(tmp_path: Path) -> None:
    bare = results(run(FakePolicy(everything), tmp_path / "bare", episodes=2, actions_per_query=H))
    wrapped = ChunkedPolicy(FakePolicy(everything), ensemble=0.3)
    assert results(run(wrapped, tmp_path / "wrapped", episodes=2, actions_per_query=H)) == bare


@pytest.mark.parametrize("name", ["late", "ensembled"])
def test_second_try_of_an_episode_starts_clean(name: str, tmp_path: Path) -> None:
    """A worker dies in the middle of an episode; its second try must not see the chunks of the first."""
    healthy = fake_suite(chance=0.5)
    wounded = fake_suite(chance=0.5, faults={"1": "once:exit"}, fault_step=7, once=str(tmp_path / "marker"))
    found = run(WRAPPERS[name](FakePolicy(everything)), tmp_path / "wounded", suite=wounded)
    assert [record.attempts for record in found.records] == [1, 2, 1, 1, 1]
    assert results(found) == results(run(WRAPPERS[name](FakePolicy(everything)), tmp_path / "run", suite=healthy))


def test_wrappers_pass_on_what_they_do_not_change(tmp_path: Path) -> None:
    class Inner(FakePolicy):
        closed = 0

        def report(self, episode: Episode) -> dict[str, int]:
            return {"limit": 10 + episode.index}

        def close(self) -> None:
            self.closed += 1

    bare, inner = Inner(everything), Inner(everything)
    run(bare, tmp_path / "bare", slots=1)
    wrapped = ensembled(ablated(inner))
    assert {record.retarget["limit"] for record in run(wrapped, tmp_path / "run", slots=1).records} == set(
        range(10, 15)
    )
    lifecycle = [[call for call in policy.calls if call[0] != "act"] for policy in (bare, inner)]
    assert lifecycle[0] == lifecycle[1]
    wrapped.close()
    assert inner.closed == 1


def test_info_names_what_is_wrapped_and_how() -> None:
    info = PolicyInfo("groot", "7", 5, {"steps": 4}, "digest", 8, True, {"arm": "x"})
    inner = FakePolicy()
    inner.info = info
    outer = ChunkedPolicy(AblatedPolicy(inner, ["state=*:zero", "camera=wrist:blank"]), 4).info
    assert outer.name == "chunked(ablated(groot))"
    assert outer.settings == {
        "inner": {"inner": {"steps": 4}, "ablations": ["camera=wrist:black", "state=*:zero"]},
        "horizon": 4,
        "ensemble": None,
    }
    assert dataclasses.replace(outer, name="groot", settings={"steps": 4}) == info


def test_every_change_of_a_wrapper_is_another_experiment() -> None:
    policy = FakePolicy()
    infos = [
        policy.info,
        *(AblatedPolicy(policy, [text]).info for text in ("latency=1", "latency=2", "latency=2:zero", "camera=*:gray")),
        *(AblatedPolicy(policy, ["instruction=swap"], instructions=texts).info for texts in (TEXTS, {"A": ["x"]})),
        *(ChunkedPolicy(policy, *chunking).info for chunking in ((None, None), (2, None), (None, 0.0), (2, 0.1))),
    ]
    texts = [repr((info.name, info.settings)) for info in infos]
    assert len(set(texts)) == len(texts)
    assert AblatedPolicy(policy, ["latency=2", "state=*:zero"]).info == (
        AblatedPolicy(policy, ["state=*:zero", "latency=2:first"]).info
    )


# One row at a time, by hand


class Scripted(Policy):
    """Reads nothing and returns given chunks, float32 (H, 2)."""

    def __init__(self, chunks: Callable[[Query], np.ndarray]) -> None:
        self.info = PolicyInfo("scripted")
        self._chunks = chunks

    def interface(self, task: Task) -> Interface:
        return Interface({}, task.action, H)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        return {"action.move": np.stack([self._chunks(query) for query in queries]).astype(np.float32)}


def episode(index: int, task: str = "A") -> Episode:
    return make_episode("fake", "fake/v1", task, index, run_seed=0)


def begun(policy: Policy, *episodes: Episode) -> Policy:
    policy.interface(TASK)
    policy.reset(episodes or [episode(0)])
    return policy


def executed(policy: Policy, steps: Sequence[int], one: Episode | None = None) -> np.ndarray:
    """The actions that run when `steps[i]` of the i-th chunk are executed: (sum of steps, 2)."""
    done: list[np.ndarray] = []
    for index, count in enumerate(steps):
        query = Query(one or episode(0), index, sum(steps[:index]))
        done.append(policy.act({}, [query])["action.move"][0, :count])
    return np.concatenate(done)


def predictions(seed: int) -> Callable[[Query], np.ndarray]:
    return lambda query: uniform(seed, query.episode, query.step, (H, 2)).astype(np.float32)


def starts(steps: Sequence[int]) -> list[int]:
    return [sum(steps[:index]) for index in range(len(steps))]


def slow_latency(chunks: Sequence[np.ndarray], steps: Sequence[int], latency: int, hold: str) -> np.ndarray:
    """By the definition: at each control step, the latest chunk that has arrived."""
    done = []
    for now in range(sum(steps)):
        arrived = [(start, chunk) for start, chunk in zip(starts(steps), chunks, strict=True) if start + latency <= now]
        if arrived:
            start, chunk = arrived[-1]
            done.append(chunk[now - start - latency])
        else:
            done.append(chunks[0][0] if hold == "first" else np.zeros(2, np.float32))
    return np.stack(done)


def slow_ensemble(chunks: Sequence[np.ndarray], steps: Sequence[int], m: float) -> np.ndarray:
    """By the definition: at each control step, all predictions that were made until then, oldest first."""
    done = []
    for now in range(sum(steps)):
        found = [
            chunk[now - start] for start, chunk in zip(starts(steps), chunks, strict=True) if start <= now < start + H
        ]
        weights = [math.exp(-m * i) for i in range(len(found))]
        done.append(sum(w * x.astype(np.float64) for w, x in zip(weights, found, strict=True)) / sum(weights))
    return np.stack(done)


STEPS = st.lists(st.integers(1, H), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 20), st.sampled_from(["first", "zero"]), st.integers(0, 9))
def test_latency_is_what_its_definition_says(steps: list[int], latency: int, hold: str, seed: int) -> None:
    policy = begun(AblatedPolicy(Scripted(predictions(seed)), [forms.Latency(latency, hold)]))
    chunks = [predictions(seed)(Query(episode(0), 0, start)) for start in starts(steps)]
    assert executed(policy, steps).tobytes() == slow_latency(chunks, steps, latency, hold).tobytes()


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 20))
def test_latency_is_the_undelayed_stream_of_actions_later(steps: list[int], latency: int) -> None:
    prompt = executed(begun(Scripted(predictions(0))), steps)
    delayed = executed(begun(AblatedPolicy(Scripted(predictions(0)), [forms.Latency(latency)])), steps)
    held = np.repeat(prompt[:1], latency, axis=0)
    assert delayed.tobytes() == np.concatenate([held, prompt])[: len(prompt)].tobytes()


@settings(max_examples=40, deadline=None)
@given(STEPS, st.floats(-3, 3), st.integers(0, 9))
def test_ensemble_is_what_its_definition_says(steps: list[int], m: float, seed: int) -> None:
    policy = begun(ChunkedPolicy(Scripted(predictions(seed)), ensemble=m))
    chunks = [predictions(seed)(Query(episode(0), 0, start)) for start in starts(steps)]
    assert np.abs(executed(policy, steps) - slow_ensemble(chunks, steps, m)).max() <= 1e-7


def test_ensemble_has_the_weights_of_act() -> None:
    """One action per query, two steps in: three predictions, the oldest with the largest weight."""
    values = {0: 1.0, 1: 10.0, 2: 100.0}
    policy = begun(ChunkedPolicy(Scripted(lambda query: np.full((H, 2), values[query.step])), ensemble=0.5))
    weights = np.exp([0.0, -0.5, -1.0])
    assert executed(policy, [1, 1, 1])[2] == pytest.approx(weights @ [1, 10, 100] / weights.sum(), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(STEPS, st.floats(-2, 2))
def test_predictions_that_agree_are_left_alone_by_the_ensemble(steps: list[int], m: float) -> None:
    def agreed(query: Query) -> np.ndarray:
        return np.sin(np.add.outer(query.step + np.arange(H), [0.0, 0.5])).astype(np.float32)

    policy = begun(ChunkedPolicy(Scripted(agreed), ensemble=m))
    assert executed(policy, steps) == pytest.approx(np.sin(np.add.outer(np.arange(sum(steps)), [0.0, 0.5])), abs=1e-6)


@pytest.mark.parametrize(("m", "kept"), [(1e6, 1.0), (-1e6, 2.0)])
def test_extreme_temperature_leaves_the_oldest_or_the_newest(m: float, kept: float) -> None:
    policy = begun(ChunkedPolicy(Scripted(lambda query: np.full((H, 2), 1.0 + query.index)), ensemble=m))
    assert executed(policy, [1, 1])[1] == pytest.approx([kept, kept], abs=0)


def test_horizon_cuts_the_chunk_but_not_what_is_averaged() -> None:
    full = begun(ChunkedPolicy(Scripted(predictions(3)), ensemble=0.2))
    cut = begun(ChunkedPolicy(Scripted(predictions(3)), 2, ensemble=0.2))
    assert cut.interface(TASK).horizon == 2
    assert cut.act({}, [Query(episode(0), 0, 0)])["action.move"].shape == (1, 2, 2)
    begun(cut)
    assert executed(cut, [2] * 6).tobytes() == executed(full, [2] * 6).tobytes()


@pytest.mark.parametrize("name", ["late", "ensembled", "late ensemble", "ensemble of late"])
def test_interleaved_episodes_share_nothing(name: str) -> None:
    wrap = {**WRAPPERS, "ensemble of late": lambda policy: ensembled(late(policy))}[name]
    one, two = episode(0), episode(1)
    alone = {each: executed(begun(wrap(Scripted(predictions(0))), each), [3] * 5, each) for each in (one, two)}
    policy = begun(wrap(Scripted(predictions(0))), one)
    found: dict[Episode, list[np.ndarray]] = {one: [], two: []}
    for index in range(7):  # the second begins two queries later, and the order of the rows changes
        if index == 2:
            policy.reset([two])
        rows = [Query(one, index, 3 * index)] if index < 5 else []
        rows += [Query(two, index - 2, 3 * (index - 2))] if index >= 2 else []
        rows = rows[:: 1 if index % 2 else -1]
        for query, chunk in zip(rows, policy.act({}, rows)["action.move"], strict=True):
            found[query.episode].append(chunk[:3])
    for each in (one, two):
        assert np.concatenate(found[each]).tobytes() == alone[each].tobytes()


@pytest.mark.parametrize("wrap", [late, ensembled])
def test_state_is_cleared_by_reset_and_freed_by_forget(wrap: Wrap) -> None:
    later = Query(episode(0), 3, 6)
    fresh = begun(wrap(Scripted(predictions(0)))).act({}, [later])["action.move"]
    policy = begun(wrap(Scripted(predictions(0))))
    executed(policy, [2] * 3)
    assert policy.act({}, [later])["action.move"].tobytes() != fresh.tobytes()
    policy.reset([episode(0)])
    assert policy.act({}, [later])["action.move"].tobytes() == fresh.tobytes()
    history = getattr(policy, "_history", None) or policy._delay._history  # type: ignore[attr-defined]
    assert len(history) == 1
    policy.forget([episode(0)])
    assert len(history) == 0
    with pytest.raises(PolicyError, match=r"fake/v1:A:0 is queried, but was not announced with reset"):
        executed(policy, [2])


@pytest.mark.parametrize("wrap", [late, ensembled])
def test_memory_of_an_episode_does_not_grow(wrap: Wrap) -> None:
    policy = begun(wrap(Scripted(predictions(0))))
    executed(policy, [1] * 60)
    history = getattr(policy, "_history", None) or policy._delay._history  # type: ignore[attr-defined]
    assert len(history._kept[episode(0)]) <= H


@pytest.mark.parametrize("wrap", [late, ensembled])
def test_query_that_is_asked_again_has_the_same_answer(wrap: Wrap) -> None:
    policy = begun(wrap(Scripted(predictions(0))))
    executed(policy, [2] * 4)
    query = Query(episode(0), 3, 6)
    one, two = (policy.act({}, [query])["action.move"] for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("wrap", [late, ensembled])
def test_memory_that_the_inner_policy_uses_again_is_not_kept(wrap: Wrap) -> None:
    class Reusing(Scripted):
        memory = np.zeros((1, H, 2), np.float32)

        def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
            self.memory[:] = super().act(observation, queries)["action.move"]
            return {"action.move": self.memory}

    expected = executed(begun(wrap(Scripted(predictions(0)))), [2] * 6)
    assert executed(begun(wrap(Reusing(predictions(0)))), [2] * 6).tobytes() == expected.tobytes()


@pytest.mark.parametrize("wrap", [late, ensembled])
def test_wrong_chunk_is_blamed_on_the_inner_policy(wrap: Wrap) -> None:
    policy = begun(wrap(Scripted(lambda query: np.zeros((H - 1, 2)))))
    with pytest.raises(PolicyError, match=r"policy 'scripted': action\.move must be float32\[1, 8, 2\]"):
        executed(policy, [1])


# What is refused, and text forms


def test_horizon_beyond_the_chunk_is_refused() -> None:
    with pytest.raises(UsageError, match=r"the execution horizon is 9, but policy 'scripted' returns 8 actions"):
        ChunkedPolicy(Scripted(predictions(0)), 9).interface(TASK)
    with pytest.raises(UsageError, match="executes 4 actions per query, but policy 'chunked"):
        require_fit(ChunkedPolicy(Scripted(predictions(0)), 3), TASK, SUITE.protocol())


@pytest.mark.parametrize(("convention", "refused"), [
    ("quat_xyzw", True), ("euler_xyz", True), ("axis_angle", True), ("RPY", True),
    ("delta_axis_angle", False), ("rotation_6d", False), ("closed_is_1", False), (None, False),
])  # fmt: skip
def test_rotations_that_have_no_average_are_refused(convention: str | None, refused: bool) -> None:
    task = dataclasses.replace(TASK, action={"action.move": ArraySpec((2,), convention=convention)})
    ChunkedPolicy(Scripted(predictions(0)), 2).interface(task)
    if not refused:
        ChunkedPolicy(Scripted(predictions(0)), ensemble=0.0).interface(task)
        return
    with pytest.raises(SpecMismatch, match=r"cannot average action\.move of policy 'scripted', whose convention is"):
        ChunkedPolicy(Scripted(predictions(0)), ensemble=0.0).interface(task)


def test_tasks_that_a_wrapper_would_mix_up_are_refused() -> None:
    class Uneven(Scripted):
        def interface(self, task: Task) -> Interface:
            return Interface({}, task.action, 8 if task.name == "A" else 16)

    policy = ChunkedPolicy(Uneven(predictions(0)), 4)
    policy.interface(TASK)
    policy.interface(TASK)
    with pytest.raises(SpecMismatch, match=r"tasks 'A' and 'B' have one interface, but those of 'scripted' differ"):
        policy.interface(SUITE.tasks["B"])


def test_chunking_is_read_from_its_text() -> None:
    assert parse_chunking("horizon=8") == Chunking(8)
    assert parse_chunking("ensemble=-0.5") == Chunking(None, -0.5)
    assert parse_chunking("ensemble=0.01,horizon=8") == Chunking(8, 0.01)
    for text, message in {
        "horizont=8": "did you mean 'horizon'", "horizon=x": "has no numbers", "horizon=": "has no numbers",
        "horizon=0": "1 or more, got 0", "ensemble=nan": "must be a number between", "ensemble=inf": "must be a number",
        "horizon=2,horizon=3": "gives horizon twice", "": "unknown setting of chunking",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=message):
            parse_chunking(text)


def test_examples_of_the_page_run(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "wrappers.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", page, re.S):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

"""What an ablation makes of an observation, what it refuses, and its text form."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groot_bench import Episode, Interface, Policy, PolicyInfo, Query, Task, evaluate, load_suite
from groot_bench.batch import BatchMemory, stack
from groot_bench.episode import make_episode
from groot_bench.errors import SpecMismatch, UnknownName, UsageError
from groot_bench.policies import ablations as forms
from groot_bench.policies.ablated import AblatedPolicy
from groot_bench.policies.instructions import InstructionTable, read_instructions, recorded_instructions
from groot_bench.policies.wrapped import WrappedPolicy
from groot_bench.policy import Action, Observation, require_fit
from groot_bench.testing import FakePolicy, fake_suite

SUITE = fake_suite(("A", "B"))
TASK = SUITE.tasks["A"]
TEXTS = {"A": ["count to 3", "Count to 4."], "B": ["sit down"], "C": ["stand up", "turn round"]}


class Reader(Policy):
    """Reads what it is told to, keeps what it got, and returns zeros."""

    def __init__(self, reads: Sequence[str] = ()) -> None:
        self.info = PolicyInfo("reader")
        self.got: dict[str, object] = {}
        self._reads = reads

    def interface(self, task: Task) -> Interface:
        return Interface({name: task.observation[name] for name in self._reads}, task.action, 8)

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        self.got = dict(observation)
        return {"action.move": np.zeros((len(queries), 8, 2), np.float32)}


def episode(index: int) -> Episode:
    return make_episode("fake", "fake/v1", "A", index, run_seed=0)


def observe(policy: Policy, rows: int, *queries: Query) -> tuple[dict[str, object], dict[str, object]]:
    """(what was lent, what the inner policy got), with padding up to `rows`."""
    interface = require_fit(policy, TASK, SUITE.protocol())
    policy.reset([query.episode for query in queries])
    observed = []
    for query in queries:
        drawn = np.random.Generator(np.random.PCG64(query.episode.index))
        frames = {name: drawn.integers(1, 256, (1, 8, 8, 3), np.uint8) for name in TASK.cameras}
        observed.append(
            {**frames, "state.count": np.ones((1, 1), np.float32), "state.noise": np.ones((1, 2), np.float32)}
        )
    lent = stack(interface, observed, [f"count to {query.episode.index}" for query in queries], rows, BatchMemory())
    before = {name: np.array(value) for name, value in lent.items()}
    policy.act(lent, queries)
    for name, value in lent.items():
        assert np.array_equal(np.array(value), before[name]), "what was lent is not written to"
    inner = policy
    while isinstance(inner, WrappedPolicy):
        inner = inner.policy
    assert isinstance(inner, Reader)
    return dict(lent), inner.got


READS = ("video.front", "video.wrist", "state.count", "state.noise", "annotation.task")
QUERIES = (Query(episode(7), 0, 0), Query(episode(3), 0, 0))


@pytest.mark.parametrize(("text", "changed", "value"), [
    ("camera=front:blank", {"video.front"}, 0),
    ("camera=video.wrist:gray", {"video.wrist"}, 128),
    ("camera=*:black", {"video.front", "video.wrist"}, 0),
    ("state=noise:zero", {"state.noise"}, 0),
    ("state=*:zero", {"state.count", "state.noise"}, 0),
])  # fmt: skip
def test_blank_is_blank_in_every_row_and_nothing_else_is_touched(text: str, changed: set[str], value: int) -> None:
    lent, got = observe(AblatedPolicy(Reader(READS), text), 4, *QUERIES)
    assert list(got) == list(READS)
    for name in READS:
        if name in changed:
            array = got[name]
            assert isinstance(array, np.ndarray) and not array.flags.writeable
            assert (array.shape, array.dtype) == (lent[name].shape, lent[name].dtype)  # type: ignore[attr-defined]
            assert (array == value).all()
        elif name != "annotation.task":
            assert got[name] is lent[name], "arrays are passed on, not copied"
        else:
            assert got[name] == lent[name]


def test_blank_arrays_are_made_once_and_grow_with_the_batch() -> None:
    policy = AblatedPolicy(Reader(READS), ["camera=*:black"])
    places = []
    for rows in (2, 4, 3, 2):
        blank = observe(policy, rows, *QUERIES)[1]["video.front"]
        assert isinstance(blank, np.ndarray) and blank.shape == (rows, 1, 8, 8, 3)
        places.append(blank.__array_interface__["data"][0])
    assert places[1] == places[2] == places[3], "the array of four rows serves three and two as well"


def test_swapped_cameras_show_what_the_other_one_sees() -> None:
    lent, got = observe(AblatedPolicy(Reader(READS), ["camera=wrist~front"]), 2, *QUERIES)
    assert got["video.front"] is lent["video.wrist"] and got["video.wrist"] is lent["video.front"]


def test_camera_that_the_policy_does_not_read_is_asked_for_when_it_is_swapped_in() -> None:
    lent, got = observe(AblatedPolicy(Reader(["video.front"]), ["camera=front~wrist"]), 2, *QUERIES)
    assert set(lent) == {"video.wrist"} and set(got) == {"video.front"}
    assert got["video.front"] is lent["video.wrist"]


def test_outer_wrapper_changes_the_observation_first() -> None:
    policy = AblatedPolicy(AblatedPolicy(Reader(READS), ["camera=front~wrist"]), ["camera=front:black"])
    lent, got = observe(policy, 2, *QUERIES)
    assert got["video.front"] is lent["video.wrist"] and not np.any(got["video.wrist"])  # type: ignore[call-overload]


@pytest.mark.parametrize(("text", "told"), [("instruction=blank", ""), ("instruction=text:lift: a=b", "lift: a=b")])
def test_given_instruction_is_told_in_every_row(text: str, told: str) -> None:
    _, got = observe(AblatedPolicy(Reader(READS), [text]), 4, *QUERIES)
    assert got["annotation.task"] == [told] * 4


def test_swapped_instruction_follows_the_episode_and_not_the_batch() -> None:
    def told(rows: int, *queries: Query) -> list[str]:
        policy = AblatedPolicy(Reader(READS), ["instruction=swap"], instructions=TEXTS)
        return list(observe(policy, rows, *queries)[1]["annotation.task"])  # type: ignore[call-overload]

    queries = [Query(episode(index), 0, 0) for index in range(30)]
    together = told(32, *queries)
    assert together[30:] == [together[0]] * 2, "padding repeats row 0"
    assert together[:30] == [told(1, query)[0] for query in queries]
    assert set(together) == {"sit down", "stand up", "turn round"}


def test_swapped_instruction_never_repeats_the_episodes_own() -> None:
    table = InstructionTable({"A": ["go"], "B": ["GO. ", "stop", ""], "C": [" go "]})
    assert {table.draw(episode(index), "Go") for index in range(20)} == {"stop"}
    with pytest.raises(UsageError, match=r"no other task says something else than 'B' does \(known: A, B, C\)"):
        InstructionTable({"A": ["go"], "B": ["GO. "], "C": [" go "]}).require_another("B")


def test_drawn_instructions_do_not_depend_on_the_order_of_the_table() -> None:
    backward = {task: TEXTS[task][::-1] for task in reversed(TEXTS)}
    one, two = InstructionTable(TEXTS), InstructionTable(backward)
    assert one.to_json() == two.to_json()
    assert [one.draw(episode(i), "") for i in range(9)] == [two.draw(episode(i), "") for i in range(9)]
    seeds = {one.draw(make_episode("fake", "fake/v1", "A", 0, seed), "") for seed in range(20)}
    assert len(seeds) == 3, "another run seed draws other texts"


def test_instructions_are_read_from_environments_and_from_runs(tmp_path: Path) -> None:
    toy = load_suite("toy")
    read = read_instructions(toy, toy.protocol())
    push = "push the button until the light turns on"
    assert read == {"Reach": ("move the red point to the green point",), "Coin50": (push,), "Coin90": (push,)}
    recorded = recorded_instructions(evaluate(FakePolicy(), suite=SUITE, episodes=5, slots=2, out=tmp_path / "run"))
    assert set(recorded) == {"A", "B"}
    assert len(recorded["A"]) > 1 and all(text.startswith("count to ") for text in recorded["A"])


# What is refused, before anything runs


@pytest.mark.parametrize(("reads", "text", "error", "message"), [
    (READS, "camera=frond:blank", UnknownName, r"reads on task 'A': 'frond'; did you mean 'front'\? \(known: f"),
    (["video.front"], "camera=wrist:blank", UnknownName, r"unknown camera that policy .*'wrist'.*known: front\)"),
    (READS, "state=quat:zero", UnknownName, r"part of the state that policy .*'quat'.*known: count, noise"),
    (READS, "camera=front~rist", UnknownName, r"camera of task 'A': 'rist'; did you mean 'wrist'"),
    (["state.count"], "camera=front~wrist", UnknownName, r"camera that policy 'reader' reads .* \(known: none\)"),
    (["state.count"], "camera=*:gray", SpecMismatch, r"there is no camera that policy 'reader' reads on task 'A'"),
    (["video.front"], "state=*:zero", SpecMismatch, r"no part of the state that policy"),
    (["state.count"], "instruction=blank", SpecMismatch, r"changes nothing: policy 'reader' reads no"),
])  # fmt: skip
def test_ablation_that_cannot_be_done_is_refused(reads: list[str], text: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        AblatedPolicy(Reader(reads), [text]).interface(TASK)


def test_refused_ablation_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="known: front, wrist"):
        evaluate(AblatedPolicy(FakePolicy(), ["camera=left:blank"]), suite=SUITE, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_cameras_with_pictures_of_another_kind_are_not_swapped() -> None:
    small = dataclasses.replace(TASK.observation["video.wrist"], shape=(1, 4, 4, 3))
    task = dataclasses.replace(TASK, observation={**TASK.observation, "video.wrist": small})
    with pytest.raises(SpecMismatch, match=r"video\.wrist cannot be shown as video\.front: shape \[1, 4, 4, 3\] given"):
        AblatedPolicy(Reader(["video.front"]), ["camera=front~wrist"]).interface(task)


def test_blank_camera_has_to_have_pixels() -> None:
    depth = dataclasses.replace(TASK.observation["video.wrist"], dtype="float32")
    task = dataclasses.replace(TASK, observation={**TASK.observation, "video.wrist": depth})
    with pytest.raises(SpecMismatch, match=r"camera=wrist:gray: video\.wrist is float32, not pixels"):
        AblatedPolicy(Reader(["video.wrist"]), ["camera=wrist:gray"]).interface(task)


def test_swap_and_its_table_belong_together() -> None:
    for texts, table in ((["instruction=swap"], None), (["instruction=blank"], TEXTS)):
        with pytest.raises(UsageError, match="belong together"):
            AblatedPolicy(FakePolicy(), texts, instructions=table)
    with pytest.raises(UsageError, match=r"no other task says .* 'A' does \(known: A\)"):
        AblatedPolicy(FakePolicy(), ["instruction=swap"], instructions={"A": ["x"]}).interface(TASK)
    with pytest.raises(UsageError, match="task 'A' must be a list of texts, got 'x'"):
        AblatedPolicy(FakePolicy(), ["instruction=swap"], instructions={"A": "x"})


# Text forms


@pytest.mark.parametrize(("text", "canonical"), [
    ("camera=front:blank", "camera=front:black"), ("camera=*:grey", "camera=*:gray"),
    ("camera=video.b~a", "camera=a~b"), ("state=state.gripper:zero", "state=gripper:zero"),
    ("camera=a:b:black", "camera=a:b:black"), ("instruction=blank", "instruction=blank"),
    ("instruction=swap", "instruction=swap"), ("instruction=text:swap", "instruction=text:swap"),
    ("latency=3", "latency=3:first"), ("latency=0:zero", "latency=0:zero"),
])  # fmt: skip
def test_text_forms_have_one_canonical_form(text: str, canonical: str) -> None:
    assert str(forms.parse_ablation(text)) == canonical
    assert str(forms.parse_ablation(canonical)) == canonical


NAMES = st.text(min_size=1, max_size=12).filter(lambda text: "~" not in text and "." not in text and text != "*")


@settings(max_examples=40, deadline=None)
@given(st.one_of(
    st.builds(forms.BlankCamera, NAMES, st.sampled_from(["black", "gray"])),
    st.builds(forms.ZeroState, NAMES),
    st.builds(forms.GivenInstruction, st.text(max_size=30)),
    st.builds(forms.Latency, st.integers(0, 10**9 - 1), st.sampled_from(["first", "zero"])),
))  # fmt: skip
def test_every_ablation_is_read_back_from_its_text(ablation: forms.Ablation) -> None:
    assert forms.parse_ablation(str(ablation)) == ablation


@pytest.mark.parametrize(("text", "message"), [
    ("kamera=front:black", "unknown ablation: 'kamera'; did you mean 'camera'"),
    ("camera", "'camera' says nothing; forms are camera=NAME:black"),
    ("camera=front", "does not say what is shown instead"),
    ("camera=front:pink", r"unknown color of a blank camera: 'pink' \(known: black, gray\)|did you mean"),
    ("camera=front~front", "two different cameras are swapped"),
    ("camera=*~front", "two different cameras are swapped"),
    ("camera=~front", "'' cannot be the name of a camera"),
    ("state=*", r"'state=\*' cannot be meant; forms are state=NAME:zero"),
    ("instruction=text:", "cannot be meant"),
    ("latency=-1", "no number of control steps"),
    ("latency=1.5", "no number of control steps"),
    ("latency=3:last", "unknown hold of a latency: 'last'"),
])  # fmt: skip
def test_text_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        forms.parse_ablation(text)


@pytest.mark.parametrize("texts", [
    ["camera=a:black", "camera=a:gray"], ["camera=*:black", "camera=a~b"], ["camera=a~b", "camera=b~c"],
    ["instruction=blank", "instruction=text:x"], ["latency=1", "latency=2"], ["state=x:zero", "state=*:zero"],
])  # fmt: skip
def test_two_ablations_of_one_thing_are_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError, match="change the same thing; give one of them"):
        AblatedPolicy(FakePolicy(), texts)
    assert len(forms.parse_ablations(["camera=a~b", "camera=c:gray", "state=*:zero", "latency=2"])) == 4

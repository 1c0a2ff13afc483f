"""States and actions of N1.6 and N1.7: scaling, padding, relative actions, and what is refused."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from groot_bench.errors import CheckpointError, PolicyError, SpecMismatch, UnknownName
from groot_bench.models.processing.codec import Codec, KeyCodec
from groot_bench.models.processing.codec_n17 import make_codec_n17, statistics_problems
from groot_bench.models.processing.modality import ActionFormat, ActionRepresentation, parse_processor
from groot_bench.models.processing.poses import to_absolute, to_relative
from groot_bench.models.processing.scaling import Periodic, Range, Standard
from groot_bench.models.processing.statistics import parse_statistics, present_statistics

HORIZON = 3
ABSOLUTE = {"rep": "ABSOLUTE", "type": "NON_EEF", "format": "DEFAULT", "state_key": None}
JOINTS = {"rep": "RELATIVE", "type": "NON_EEF", "format": "DEFAULT", "state_key": None}
POSE = {"rep": "RELATIVE", "type": "EEF", "format": "XYZ_ROT6D", "state_key": "hand"}

Tree = dict[str, Any]


def spread(low: list[float], high: list[float], steps: int | None = None) -> Tree:
    """Statistics of values that lie evenly between two ends; one row a step where steps are given."""
    one, two = np.array(low), np.array(high)
    found = {"min": one, "max": two, "q01": one + 0.1 * (two - one), "q99": two - 0.1 * (two - one)}
    found |= {"mean": (one + two) / 2, "std": (two - one) / 4}
    return {name: (np.tile(value, (steps, 1)) if steps else value).tolist() for name, value in found.items()}


def modality(keys: list[str], steps: int = 1, **fields: object) -> Tree:
    return {"delta_indices": list(range(steps)), "modality_keys": keys, **fields}


@pytest.fixture
def files() -> tuple[Tree, Tree]:
    """processor_config.json and statistics.json of a robot with an arm, a hand pose, a phase and a gripper."""
    turn = [-1.0] * 9
    robot = {
        "video": modality(["front"]),
        "language": modality(["annotation.task"]),
        "state": modality(
            ["arm", "hand", "phase", "force"], sin_cos_embedding_keys=["phase"], mean_std_embedding_keys=["force"]
        ),
        "action": modality(["arm", "gripper", "tool"], steps=HORIZON, action_configs=[JOINTS, ABSOLUTE, POSE]),
    }
    kwargs = {
        "modality_configs": {"robot": robot},
        "max_state_dim": 20,
        "max_action_dim": 14,
        "max_action_horizon": 5,
        "use_percentiles": False,
        "clip_outliers": True,
        "apply_sincos_state_encoding": True,
        "use_relative_action": True,
    }
    states = {
        "arm": spread([-1.0, 0.0], [1.0, 4.0]),
        "hand": spread(turn, [1.0] * 9),
        "phase": spread([-3.0], [3.0]),
        "force": spread([-2.0], [2.0]),
    }
    actions = {
        "arm": spread([-1.0, 0.0], [1.0, 4.0]),
        "gripper": spread([0.0, 0.5], [1.0, 0.5]),
        "tool": spread(turn, [1.0] * 9),
    }
    relative = {"arm": spread([-0.5, -0.5], [0.5, 0.5], HORIZON), "tool": spread([-2.0] * 9, [2.0] * 9, HORIZON)}
    statistics = {"robot": {"state": states, "action": actions, "relative_action": relative}}
    return {"processor_class": "Gr00tN1d7Processor", "processor_kwargs": kwargs}, statistics


def make(files: tuple[Tree, Tree], **switches: bool) -> KeyCodec:
    processor = copy.deepcopy(files[0])
    processor["processor_kwargs"].update(switches)
    return make_codec_n17(parse_processor(processor), parse_statistics(files[1]), "robot", 7)


def pose_of(vector: np.ndarray | Sequence[float], place: np.ndarray | Sequence[float]) -> np.ndarray:
    """Position and rotation vector -> position and the first two rows of the matrix."""
    rows = Rotation.from_rotvec(vector).as_matrix()[:2].reshape(6)
    return np.concatenate([place, rows])


@pytest.fixture
def state() -> Tree:
    hand = pose_of([0.3, -0.2, 0.5], [0.1, 0.2, 0.3])[None].astype(np.float32)
    return {
        "arm": np.array([[0.5, 1.0]], np.float32),
        "hand": hand,
        "phase": np.array([[0.5]], np.float32),
        "force": np.array([[3.0]], np.float32),
    }


@pytest.fixture
def action() -> Tree:
    tool = np.stack([pose_of([0.1 * step, 0.2, 0.4], [0.1, 0.1 * step, 0.2]) for step in range(HORIZON)])
    return {
        "arm": np.array([[0.6, 1.1], [0.7, 1.2], [0.8, 1.3]], np.float32),
        "gripper": np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]], np.float32),
        "tool": tool.astype(np.float32),
    }


def test_dims_and_order_are_those_of_the_checkpoint(files: tuple[Tree, Tree]) -> None:
    codec: Codec = make(files)
    assert list(codec.state_dims.items()) == [("arm", 2), ("hand", 9), ("phase", 1), ("force", 1)]
    assert list(codec.action_dims.items()) == [("arm", 2), ("gripper", 2), ("tool", 9)]
    assert (codec.tag, codec.embodiment, codec.horizon, codec.state_steps) == ("robot", 7, HORIZON, 1)


def test_an_encoded_state_is_the_keys_in_order_and_zeros(files: tuple[Tree, Tree], state: Tree) -> None:
    codec = make(files)
    encoded = codec.encode_state(state)
    assert encoded.shape == (1, 20) and encoded.dtype == np.float32
    assert encoded[0, :2] == pytest.approx([0.5, -0.5])
    assert encoded[0, 2:11] == pytest.approx(state["hand"][0], abs=1e-6)
    assert encoded[0, 11:14] == pytest.approx([np.sin(0.5), np.cos(0.5), 3.0])
    assert not encoded[0, 14:].any()
    assert codec.state_mask().tolist() == [True] * 14 + [False] * 6


def test_an_excluded_state_is_all_zeros_but_still_checked(files: tuple[Tree, Tree], state: Tree) -> None:
    codec = make(files, exclude_state=True)
    assert not codec.encode_state(state).any()
    with pytest.raises(SpecMismatch, match="arm is missing"):
        codec.encode_state({})


def test_the_mask_covers_the_real_steps_and_dimensions(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    padded, mask = make(files).encode_action(action, state)
    assert padded.shape == mask.shape == (5, 14) and padded.dtype == mask.dtype == np.float32
    assert mask.sum() == HORIZON * 13 and mask[:HORIZON, :13].all()
    assert not padded[mask == 0].any()


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("percentiles", [True, False])
def test_decoding_gives_back_actions_that_are_in_range(
    files: tuple[Tree, Tree], state: Tree, action: Tree, relative: bool, percentiles: bool
) -> None:
    codec = make(files, use_relative_action=relative, use_percentiles=percentiles)
    action["gripper"][:, 0] = [0.2, 0.5, 0.8]
    action["tool"] *= np.float32(0.75 if percentiles and not relative else 1.0)
    decoded = codec.decode_action(codec.encode_action(action, state)[0], state)
    assert list(decoded) == list(action)
    for key, values in decoded.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, action[key], atol=2e-6)


def test_relative_statistics_are_used_step_by_step(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    for step in range(HORIZON):
        files[1]["robot"]["relative_action"]["arm"]["max"][step] = [0.5 + step, 0.5 + step]
    encoded = make(files).normalize_action(action, state)["arm"]
    offset = action["arm"].astype(float) - state["arm"].astype(float)
    for step in range(HORIZON):
        assert encoded[step] == pytest.approx(2 * (offset[step] + 0.5) / (1 + step) - 1)


def test_relative_ranges_are_min_and_max_even_with_percentiles(
    files: tuple[Tree, Tree], state: Tree, action: Tree
) -> None:
    action["gripper"][:, 0] = [0.3, 0.5, 0.7]
    plain, percentiles = (
        make(files, use_percentiles=switch).normalize_action(action, state) for switch in (False, True)
    )
    assert np.array_equal(plain["arm"], percentiles["arm"])
    assert not np.array_equal(plain["gripper"], percentiles["gripper"])


def test_rows_of_statistics_beyond_the_horizon_are_not_used(
    files: tuple[Tree, Tree], action: Tree, state: Tree
) -> None:
    expected = make(files).normalize_action(action, state)["arm"]
    for rows in files[1]["robot"]["relative_action"]["arm"].values():
        rows.append([9.0, 9.0])
    assert np.array_equal(make(files).normalize_action(action, state)["arm"], expected)


def test_a_relative_pose_is_seen_from_the_last_state(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    action["tool"] = np.tile(state["hand"], (HORIZON, 1))
    encoded = make(files).normalize_action(action, state)["tool"]
    still = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(encoded, np.tile(still / 2, (HORIZON, 1)), atol=1e-6)


def test_the_order_of_keys_that_are_given_does_not_matter(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    codec = make(files)
    mixed = dict(reversed(state.items()))
    assert np.array_equal(codec.encode_state(mixed), codec.encode_state(state))
    one = codec.encode_action(dict(reversed(action.items())), mixed)[0]
    assert np.array_equal(one, codec.encode_action(action, state)[0])


def test_the_order_of_keys_in_the_checkpoint_permutes_the_encoded_state(files: tuple[Tree, Tree], state: Tree) -> None:
    before = make(files).encode_state(state)[0]
    files[0]["processor_kwargs"]["modality_configs"]["robot"]["state"]["modality_keys"] = [
        "phase",
        "force",
        "hand",
        "arm",
    ]
    after = make(files).encode_state(state)[0]
    assert np.array_equal(after[:14], np.concatenate([before[11:13], before[13:14], before[2:11], before[:2]]))


def test_what_is_lent_is_not_changed(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    codec = make(files)
    for array in (*state.values(), *action.values()):
        array.flags.writeable = False
    output, _ = codec.encode_action(action, state)
    output.flags.writeable = False
    codec.encode_state(state)
    codec.decode_action(output, state)


reals = st.floats(-1e6, 1e6, width=32)
bounds = hnp.arrays(np.float64, (4,), elements=st.floats(-100, 100))


@given(hnp.arrays(np.float32, (3, 4), elements=reals), bounds, bounds)
def test_clipping_keeps_every_value_in_range(values: np.ndarray, one: np.ndarray, two: np.ndarray) -> None:
    low, high = np.minimum(one, two), np.maximum(one, two)
    with np.errstate(over="ignore"):  # as a codec calls it: beyond single precision is beyond the range
        encoded = Range(low, high, clip=True).encode(values)
    assert encoded.dtype == np.float32 and (np.abs(encoded) <= 1).all()
    with np.errstate(over="ignore"):
        assert (np.abs(Standard(low, high - low, clip=True).encode(values)) <= 1).all()


@given(hnp.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)), bounds, bounds)
def test_a_range_decodes_what_it_encodes(part: np.ndarray, one: np.ndarray, two: np.ndarray) -> None:
    low, high = np.minimum(one, two), np.maximum(one, two)
    scaler = Range(low, high, clip=False)
    values = low + (part + 1) / 2 * (high - low)
    # A range that counts as constant, up to 1e-5 of its lower end, comes back as its middle.
    np.testing.assert_allclose(scaler.decode(scaler.encode(values)), values, atol=1e-3)


@given(hnp.arrays(np.float32, (3, 4), elements=reals), bounds, bounds)
def test_decoded_ranges_stay_between_their_ends(values: np.ndarray, one: np.ndarray, two: np.ndarray) -> None:
    low, high = np.minimum(one, two), np.maximum(one, two)
    decoded = Range(low, high, clip=False).decode(values)
    assert (decoded >= low - 1e-9).all() and (decoded <= high + 1e-9).all()


def test_without_clipping_encoded_values_leave_the_range(files: tuple[Tree, Tree], state: Tree) -> None:
    state["arm"][:] = [[3.0, 8.0]]
    assert make(files, clip_outliers=False).encode_state(state)[0, :2] == pytest.approx([3.0, 3.0])
    assert make(files).encode_state(state)[0, :2] == pytest.approx([1.0, 1.0])


def test_standardised_states_are_never_clipped_but_actions_are(
    files: tuple[Tree, Tree], state: Tree, action: Tree
) -> None:
    files[0]["processor_kwargs"]["modality_configs"]["robot"]["action"]["mean_std_embedding_keys"] = ["gripper"]
    codec = make(files)
    assert codec.encode_state(state)[0, 13] == pytest.approx(3.0)
    assert codec.normalize_action(action, state)["gripper"][2, 0] == pytest.approx(1.0)
    assert make(files, clip_outliers=False).normalize_action(action, state)["gripper"][2, 0] == pytest.approx(2.0)


def test_a_constant_dimension_becomes_zero_and_comes_back(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    codec = make(files)
    encoded = codec.normalize_action(action, state)["gripper"]
    assert not encoded[:, 1].any()
    output = np.full((5, 14), 0.7, np.float32)
    output[:, 4:13] = np.tile([0, 0, 0, 0.5, 0, 0, 0, 0.5, 0], (5, 1))
    assert codec.decode_action(output, state)["gripper"][:, 1] == pytest.approx(0.5)
    near = Range(np.array([100.0]), np.array([100.0005]), clip=False)  # numpy.isclose calls these equal
    assert near.encode(np.array([[100.1]])) == 0


def test_a_deviation_of_zero_passes_through_both_ways() -> None:
    scaler = Standard(np.array([1.0, 1.0]), np.array([0.0, 2.0]), clip=False)
    values = np.array([[5.0, 5.0]], np.float32)
    assert scaler.encode(values).tolist() == [[5.0, 2.0]]
    assert scaler.decode(scaler.encode(values)).tolist() == values.tolist()


def test_sines_come_before_cosines() -> None:
    values = np.array([[0.1, 0.2]])
    encoded = Periodic(2).encode(values)
    assert encoded[0].tolist() == [*np.sin(values[0]), *np.cos(values[0])]
    np.testing.assert_allclose(Periodic(2).decode(encoded), values)


vectors = hnp.arrays(np.float64, (3,), elements=st.floats(-1.5, 1.5))


@given(vectors, vectors, vectors, vectors)
def test_relative_and_absolute_poses_are_inverse(
    turn: np.ndarray, place: np.ndarray, by: np.ndarray, at: np.ndarray
) -> None:
    for layout, write in (
        (ActionFormat.XYZ_ROT6D, pose_of),
        (ActionFormat.XYZ_ROTVEC, lambda v, p: np.concatenate([p, v])),
    ):
        pose, reference = write(turn, place), write(by, at)
        relative = to_relative(pose[None], reference, layout)
        np.testing.assert_allclose(to_absolute(relative, reference, layout)[0], pose, atol=1e-9)


@given(vectors, vectors, vectors, vectors)
def test_a_relative_pose_is_the_product_with_the_inverse(
    turn: np.ndarray, place: np.ndarray, by: np.ndarray, at: np.ndarray
) -> None:
    frames = []
    for vector, position in ((turn, place), (by, at)):
        frame = np.eye(4)
        frame[:3, :3], frame[:3, 3] = Rotation.from_rotvec(vector).as_matrix(), position
        frames.append(frame)
    expected = np.linalg.inv(frames[1]) @ frames[0]
    relative = to_relative(pose_of(turn, place)[None], pose_of(by, at), ActionFormat.XYZ_ROT6D)
    np.testing.assert_allclose(relative[0], [*expected[:3, 3], *expected[0, :3], *expected[1, :3]], atol=1e-9)


def test_six_numbers_need_not_be_orthonormal() -> None:
    loose = np.array([[0, 0, 0, 2, 0, 0, 1, 3, 0]], float)
    still = np.array([0, 0, 0, 1, 0, 0, 0, 1, 0], float)
    assert to_relative(loose, still, ActionFormat.XYZ_ROT6D)[0] == pytest.approx(still)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("arm", np.zeros((1, 3), np.float32), r"arm: expected numbers \[1, 2\], got float32\[1, 3\]"),
        ("arm", np.zeros((2, 2), np.float32), r"arm: expected numbers \[1, 2\]"),
        ("arm", np.zeros((1, 2), bool), r"arm: expected numbers"),
        ("arm", [[0.0, 0.0]], r"arm: expected numbers \[1, 2\], got list"),
        ("arm", np.array([[np.nan, 0.0]]), "arm: has 1 entries that are not finite"),
    ],
)
def test_wrong_states_are_refused_by_name(
    files: tuple[Tree, Tree], state: Tree, key: str, value: Any, message: str
) -> None:
    with pytest.raises(SpecMismatch, match=message):
        make(files).encode_state({**state, key: value})


def test_all_wrong_states_are_named_at_once(files: tuple[Tree, Tree], state: Tree) -> None:
    with pytest.raises(SpecMismatch) as caught:
        make(files).encode_state({"arm": state["arm"][:, :1], "hand": state["hand"] * np.inf})
    for word in ("robot", "arm: expected", "hand: has 9", "phase is missing", "force is missing"):
        assert word in str(caught.value)


def test_a_state_that_is_no_rotation_is_refused(files: tuple[Tree, Tree], state: Tree, action: Tree) -> None:
    state["hand"][:] = 0
    codec = make(files)
    with pytest.raises(SpecMismatch, match=r"state\.hand: six numbers"):
        codec.encode_action(action, state)
    with pytest.raises(SpecMismatch, match=r"state\.hand: six numbers"):
        codec.decode_action(np.ones((5, 14), np.float32), state)


def test_decoding_needs_only_the_states_that_actions_are_relative_to(files: tuple[Tree, Tree], state: Tree) -> None:
    output = np.tile(np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0], np.float32), (5, 1))
    codec = make(files)
    codec.decode_action(output, {"arm": state["arm"], "hand": state["hand"]})
    with pytest.raises(SpecMismatch, match="hand is missing"):
        codec.decode_action(output, {"arm": state["arm"]})
    make(files, use_relative_action=False).decode_action(output, {})


def test_wrong_output_of_the_model_is_refused(files: tuple[Tree, Tree], state: Tree) -> None:
    codec = make(files)
    with pytest.raises(SpecMismatch, match=r"expected a float array \[5, 14\], got float32\[5, 13\]"):
        codec.decode_action(np.zeros((5, 13), np.float32), state)
    with pytest.raises(PolicyError, match="39 numbers that are not finite"):
        codec.decode_action(np.full((5, 14), np.nan, np.float32), state)
    with pytest.raises(PolicyError, match=r"action\.tool: .* zero or parallel"):
        codec.decode_action(np.zeros((5, 14), np.float32), state)


def damaged(files: tuple[Tree, Tree], *damage: tuple[str, Any]) -> list[str]:
    """Problems once each dotted place in the tag's statistics has another value; None removes it."""
    for place, value in damage:
        *path, last = place.split(".")
        table = files[1]["robot"]
        for step in path:
            table = table[step]
        if value is None:
            del table[last]
        else:
            table[last] = value
    with pytest.raises(CheckpointError) as caught:
        make(files)
    problems = statistics_problems(parse_processor(files[0]), parse_statistics(files[1]), "robot")
    assert all(problem in str(caught.value) for problem in problems)
    return problems


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("state.arm", None, "state.arm: has no statistics (there are: hand, phase, force)"),
        ("state.arm.max", None, "state.arm: has no max"),
        ("state.arm.max", [1.0], "differ in shape: min [2], max [1]"),
        ("state.arm.min", [float("nan"), 0.0], "1 entries of min are not finite"),
        ("state.arm.min", [2.0, 0.0], "min is above max in 1 places"),
        ("state.arm.max", [1e308, 1e308], "max is too wide"),
        ("state.force.std", [-0.1], "std is negative in 1 places"),
        ("state.arm.min", [[0.0, 0.0]], "differ in shape"),
        ("action.gripper", None, "action.gripper: has no statistics"),
        ("relative_action", None, "relative_action.arm: has no statistics (there are: none)"),
        ("relative_action.arm", spread([0.0, 0.0], [1.0, 1.0], 2), "has rows for 2 steps; the horizon is 3"),
        ("relative_action.arm", spread([0.0, 0.0], [1.0, 1.0]), "expected one row for each of 3 steps"),
        (
            "relative_action.arm",
            spread([0.0], [1.0], 3),
            "has 1 numbers, but state.arm, to which it is relative, has 2",
        ),
        ("relative_action.tool", spread([0.0] * 6, [1.0] * 6, 3), "has 6 numbers; XYZ_ROT6D has 9"),
    ],
)
def test_unusable_statistics_are_refused(files: tuple[Tree, Tree], place: str, value: Any, message: str) -> None:
    if place == "state.arm.max" and value == [1e308, 1e308]:
        files[1]["robot"]["state"]["arm"]["min"] = [-1e308, -1e308]
    assert any(message in problem for problem in damaged(files, (place, value)))


def test_all_unusable_statistics_are_listed_at_once(files: tuple[Tree, Tree]) -> None:
    problems = damaged(files, ("state.arm", None), ("action.gripper.min", None), ("relative_action.tool", None))
    assert len(problems) == 3
    assert statistics_problems(parse_processor(files[0]), {}, "robot")[0].startswith("robot: state.arm")


def test_statistics_of_other_tags_and_keys_are_not_judged(files: tuple[Tree, Tree]) -> None:
    files[1]["robot"]["state"]["unused"] = {"min": [float("nan")], "count": "many"}
    files[1]["other"] = {"state": {}}
    assert make(files).state_dims["arm"] == 2
    assert present_statistics(parse_statistics(files[1]), "robot")["relative_action"] == ("arm", "tool")


@pytest.mark.parametrize("value", ["text", [], [[]], [[1.0], [1.0, 2.0]], [1, "2"], [True], [[1.0], 2.0], [10**400], 3])
def test_statistics_that_are_no_numbers_are_refused(value: Any) -> None:
    with pytest.raises(CheckpointError, match=r"t\.state\.k\.min: expected numbers"):
        parse_statistics({"t": {"state": {"k": {"min": value}}}})


def test_an_unknown_tag_names_the_nearest(files: tuple[Tree, Tree]) -> None:
    with pytest.raises(UnknownName, match="did you mean 'robot'"):
        make_codec_n17(parse_processor(files[0]), parse_statistics(files[1]), "robott", 0)


def test_keys_that_do_not_fit_the_model_are_refused(files: tuple[Tree, Tree]) -> None:
    files[0]["processor_kwargs"].update(max_state_dim=13, max_action_dim=12, max_action_horizon=2)
    with pytest.raises(CheckpointError) as caught:
        make(files)
    for word in ("encoded states have a length of 14; the model's is 13", "encoded actions", "in steps"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**POSE, "state_key": "elsewhere"}, "relative to state 'elsewhere', which is not read"),
        ({**POSE, "format": "DEFAULT"}, "a relative EEF action has format DEFAULT"),
        ({**POSE, "type": "NON_EEF"}, "a relative NON_EEF action has format XYZ_ROT6D"),
    ],
)
def test_relations_without_a_meaning_are_refused(files: tuple[Tree, Tree], config: Tree, message: str) -> None:
    files[0]["processor_kwargs"]["modality_configs"]["robot"]["action"]["action_configs"][2] = config
    with pytest.raises(CheckpointError, match=message):
        make(files)
    assert make(files, use_relative_action=False).action_dims["tool"] == 9


def test_enums_are_accepted_by_name_and_by_value(files: tuple[Tree, Tree]) -> None:
    configs = files[0]["processor_kwargs"]["modality_configs"]["robot"]["action"]["action_configs"]
    configs[0] = {"rep": "relative", "type": "non_eef", "format": "default"}
    configs[2] = {"rep": "delta", "type": "eef", "format": "xyz+rotvec"}
    action = parse_processor(files[0]).embodiments["robot"].action
    assert action.action_config("arm").rep is ActionRepresentation.RELATIVE
    assert action.action_config("tool").format is ActionFormat.XYZ_ROTVEC


def test_switches_that_older_files_lack_have_the_original_defaults(files: tuple[Tree, Tree]) -> None:
    for name in ("use_percentiles", "clip_outliers", "apply_sincos_state_encoding", "use_relative_action"):
        del files[0]["processor_kwargs"][name]
    config = parse_processor(files[0])
    assert config.clip_outliers and config.formalize_language
    assert not (config.use_percentiles or config.apply_sincos_state_encoding or config.use_relative_action)


def test_all_faults_of_a_processor_file_are_told_at_once(files: tuple[Tree, Tree]) -> None:
    kwargs = files[0]["processor_kwargs"]
    kwargs["max_state_dim"] = "20"
    kwargs["clip_outliers"] = 1
    robot = kwargs["modality_configs"]["robot"]
    del robot["video"]
    robot["state"]["sin_cos_embedding_keys"] = ["elbow"]
    robot["state"]["delta_indices"] = [0.5]
    robot["state"]["exclude_state"] = True
    robot["action"]["modality_keys"] = ["arm", "arm"]
    robot["action"]["action_configs"][0]["rep"] = "SIDEWAYS"
    with pytest.raises(CheckpointError) as caught:
        parse_processor(files[0])
    told = str(caught.value)
    for word in (
        "max_state_dim: expected a whole number",
        "clip_outliers: expected true or false",
        "robot.video: is missing",
        "names elbow, not among the modality_keys",
        "delta_indices: expected",
        "exclude_state: is not known here",
        "names a key twice",
        "has 3 entries for 2 modality_keys",
        "rep: expected one of RELATIVE, DELTA, ABSOLUTE, got 'SIDEWAYS'",
    ):
        assert word in told


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["processor_kwargs", "modality_configs", "state", "action", "t"]), inner, max_size=3
            )
        ),
        max_leaves=12,
    )
)
def test_files_of_any_content_are_refused_in_words(tree: Any) -> None:
    tree = json.loads(json.dumps(tree))
    with pytest.raises(CheckpointError):
        parse_processor(tree)
    with contextlib.suppress(CheckpointError):  # an empty object, for one, has no statistics and no fault
        parse_statistics(tree)

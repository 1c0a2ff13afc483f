"""States and actions of N1.5: modes, rotations, data configurations, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from groot_bench.errors import CheckpointError, SpecMismatch, UnknownName, UsageError
from groot_bench.models.processing.codec import Codec, KeyCodec
from groot_bench.models.processing.codec_n15 import make_codec_n15, statistics_problems_n15
from groot_bench.models.processing.data_config_n15 import DataConfigN15, load_data_config, parse_data_config
from groot_bench.models.processing.data_configs_n15 import DATA_CONFIGS, built_in_data_config
from groot_bench.models.processing.rotations import DIMS, EULER_KINDS, KINDS, convert
from groot_bench.models.processing.scaling_n15 import Binary, PlainRange, PlainStandard

Tree = dict[str, Any]
HORIZON = 4
CONFIG = DataConfigN15(
    video_keys=("video.front",),
    state_keys=("state.arm", "state.quat", "state.phase", "state.gripper", "state.free"),
    action_keys=("action.arm", "action.turn", "action.gripper", "action.force"),
    language_keys=("annotation.task",),
    state_modes={"state.arm": "min_max", "state.quat": "min_max", "state.gripper": "binary"},
    action_modes={
        "action.arm": "q99",
        "action.turn": "min_max",
        "action.gripper": "binary",
        "action.force": "mean_std",
    },
    target_rotations={"state.quat": "rotation_6d", "action.turn": "axis_angle"},
    sin_cos=("state.phase",),
    horizon=HORIZON,
)


def described(dims: int, rotation: str | None = None, continuous: bool = True) -> Tree:
    return {"absolute": True, "rotation_type": rotation, "shape": [dims], "continuous": continuous}


@pytest.fixture
def entry() -> Tree:
    """What metadata.json has under one tag."""
    ends = {"min": [-1.0, 3.0], "max": [1.0, 3.0], "q01": [-1.0, 3.0], "q99": [1.0, 3.0]}
    force = {"mean": [1.0, 2.0], "std": [2.0, 0.0]}
    return {
        "embodiment_tag": "new_embodiment",
        "statistics": {"state": {"arm": ends}, "action": {"arm": ends, "force": force}},
        "modalities": {
            "video": {},
            "state": {
                "arm": described(2),
                "quat": described(4, "quaternion"),
                "phase": described(1),
                "gripper": described(1, continuous=False),
                "free": described(1),
            },
            "action": {
                "arm": described(2),
                "turn": described(3, "euler_angles_rpy"),
                "gripper": described(1, continuous=False),
                "force": described(2),
            },
        },
    }


def make(entry: Tree, config: DataConfigN15 = CONFIG) -> KeyCodec:
    return make_codec_n15(entry, config, 20, 10, HORIZON, 31)


STATE = {
    "arm": np.array([[0.5, 9.0]]),
    "quat": np.array([[2.0, 0.0, 0.0, 0.0]]),
    "phase": np.array([[0.5]]),
    "gripper": np.array([[0.6]]),
    "free": np.array([[42.0]]),
}


def test_each_mode_encodes_as_it_should(entry: Tree) -> None:
    codec: Codec = make(entry)
    encoded = codec.encode_state(STATE)
    assert encoded.shape == (1, 20) and encoded.dtype == np.float32
    expected = [0.5, 0.0, 1, 0, 0, 0, 1, 0, np.sin(0.5), np.cos(0.5), 1.0, 42.0]
    assert encoded[0] == pytest.approx([*expected, *[0.0] * 8])
    assert codec.state_mask().sum() == 12
    assert (codec.tag, codec.embodiment, codec.horizon, codec.state_steps) == ("new_embodiment", 31, HORIZON, 1)
    assert codec.state_dims == {"arm": 2, "quat": 4, "phase": 1, "gripper": 1, "free": 1}


def test_decoding_gives_back_actions(entry: Tree) -> None:
    codec = make(entry)
    rng = np.random.default_rng(0)
    action = {
        "arm": np.stack([rng.uniform(-1, 1, HORIZON), np.full(HORIZON, 3.0)], axis=-1),
        "turn": rng.uniform(-1, 1, (HORIZON, 3)),
        "gripper": np.array([[0.0], [1.0], [1.0], [0.0]]),
        "force": np.stack([rng.normal(size=HORIZON), np.full(HORIZON, 2.0)], axis=-1),
    }
    padded, mask = codec.encode_action(action, {})
    assert padded.shape == mask.shape == (HORIZON, 10) and mask.sum() == HORIZON * 8
    decoded = codec.decode_action(padded, {})
    for key in action:
        np.testing.assert_allclose(decoded[key], action[key], atol=2e-6)


def test_only_quantiles_are_clipped_and_nothing_is_on_the_way_back() -> None:
    ends = (np.array([-1.0]), np.array([1.0]))
    values = np.array([[3.0]])
    assert PlainRange(*ends, quantiles=False).encode(values) == 3.0
    assert PlainRange(*ends, quantiles=True).encode(values) == 1.0
    assert PlainRange(*ends, quantiles=True).decode(values) == 3.0


def test_constant_dimensions_follow_their_mode() -> None:
    same, values = np.array([0.25]), np.array([[0.75]])
    assert PlainRange(same, same, quantiles=False).encode(values) == 0.0
    assert PlainRange(same, same, quantiles=True).encode(values) == 0.75
    assert PlainStandard(same, np.zeros(1)).encode(values) == 0.75
    for scaler in (PlainRange(same, same, quantiles=False), PlainRange(same, same, quantiles=True)):
        assert scaler.decode(values) == 0.25
    assert PlainStandard(same, np.zeros(1)).decode(values) == 0.25


def test_binary_is_above_one_half() -> None:
    assert Binary(3).encode(np.array([[0.5, 0.51, -2.0]])).tolist() == [[0.0, 1.0, 0.0]]


def scipy_matrix(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "quaternion":
        return Rotation.from_quat(values[..., [1, 2, 3, 0]]).as_matrix()
    if kind == "axis_angle":
        return Rotation.from_rotvec(values).as_matrix()
    axes = {"r": "X", "p": "Y", "y": "Z"}
    return Rotation.from_euler("".join(axes[letter] for letter in kind[-3:]), values).as_matrix()


@pytest.mark.parametrize("kind", ["quaternion", "axis_angle", *EULER_KINDS])
@given(values=hnp.arrays(np.float64, (5, 4), elements=st.floats(-3, 3)))
def test_rotations_agree_with_scipy(kind: str, values: np.ndarray) -> None:
    values = values[:, : DIMS[kind]] + (0.01 if kind == "quaternion" else 0.0)
    if kind == "quaternion":
        values[np.linalg.norm(values, axis=-1) < 0.01] = [1, 0, 0, 0]
    expected = scipy_matrix(values, kind)
    np.testing.assert_allclose(convert(values, kind, "matrix").reshape(-1, 3, 3), expected, atol=1e-9)
    np.testing.assert_allclose(convert(values, kind, "rotation_6d"), expected[:, :2].reshape(-1, 6), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@given(vector=hnp.arrays(np.float64, (3,), elements=st.floats(-4, 4)))
def test_every_representation_keeps_the_rotation(kind: str, vector: np.ndarray) -> None:
    matrix = Rotation.from_rotvec(vector).as_matrix().reshape(1, 9)
    there = convert(matrix, "matrix", kind)
    assert there.shape == (1, DIMS[kind])
    np.testing.assert_allclose(convert(there, kind, "matrix"), matrix, atol=1e-7)
    if kind == "quaternion":
        assert there[0, 0] >= 0
    if kind == "axis_angle":
        assert np.linalg.norm(there) <= np.pi + 1e-9


def test_single_precision_stays_single() -> None:
    for source in KINDS:
        for target in KINDS:
            values = convert(np.eye(3, dtype=np.float32).reshape(1, 9), "matrix", source)
            assert convert(values, source, target).dtype == np.float32


def test_a_quaternion_of_length_zero_is_refused_by_name(entry: Tree) -> None:
    with pytest.raises(SpecMismatch, match=r"state\.quat: a quaternion has length zero"):
        make(entry).encode_state({**STATE, "quat": np.zeros((1, 4))})


def change(**fields: Any) -> DataConfigN15:
    return dataclasses.replace(CONFIG, **fields)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (change(horizon=3), "has a horizon of 3; the model's is 4"),
        (change(horizon=9), "have a length of 9; the model's is 4"),
        (change(state_modes={**CONFIG.state_modes, "state.gripper": "min_max"}), "not continuous"),
        (change(state_modes={**CONFIG.state_modes, "state.free": "q99"}), "state.free: has no statistics"),
        (change(state_modes={**CONFIG.state_modes, "state.quat": "q99"}), "cannot have the mode q99"),
        (change(target_rotations={"state.arm": "rotation_6d"}), "metadata.json gives it no rotation_type"),
        (change(target_rotations={"action.turn": "rotation_6d"}), "action.turn: 3 numbers become 6"),
        (change(target_rotations={"action.turn": "euler_angles_ypr"}), "are not converted to euler_angles_ypr"),
        (
            change(state_keys=("state.arm", "state.elbow"), state_modes={}, target_rotations={}, sin_cos=()),
            "elbow: is m",
        ),
    ],
)
def test_a_data_configuration_that_does_not_fit_is_refused(entry: Tree, config: DataConfigN15, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        make(entry, config)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("embodiment_tag", 3, "embodiment_tag: expected text"),
        ("statistics", None, "statistics: expected an object"),
        ("statistics.state.arm.min", [5.0, 3.0], "min is above max"),
        ("statistics.state.arm.min", ["low", "high"], "expected numbers"),
        ("statistics.action.force", {"mean": [1.0], "std": [1.0]}, "has 2 numbers, but statistics of 1"),
        ("modalities.state.quat", described(3, "quaternion"), "a rotation as quaternion has 4 numbers"),
        ("modalities.state.quat.rotation_type", "spin", "rotation_type: expected one of axis_angle"),
        ("modalities.state.quat.absolute", False, "relative rotation"),
        ("modalities.state.arm.shape", [2, 2], "expected one number of 1 or more"),
        ("modalities.state.arm", {"shape": [2]}, "absolute: is missing"),
    ],
)
def test_unusable_metadata_is_refused(entry: Tree, place: str, value: Any, message: str) -> None:
    table, (*path, last) = entry, place.split(".")
    for step in path:
        table = table[step]
    table[last] = value
    with pytest.raises(CheckpointError) as caught:
        make(entry)
    assert message in str(caught.value)
    assert any(message in problem for problem in statistics_problems_n15(entry, CONFIG))


def test_all_problems_are_listed_at_once(entry: Tree) -> None:
    entry["statistics"] = {"state": {}, "action": {}}
    entry["modalities"]["state"].pop("free")
    assert len(statistics_problems_n15(entry, CONFIG)) == 4
    with pytest.raises(CheckpointError, match="expected an object"):
        make_codec_n15(None, CONFIG, 20, 10, HORIZON, 0)


def test_a_good_entry_has_no_problems_and_is_not_changed(entry: Tree) -> None:
    before = copy.deepcopy(entry)
    assert statistics_problems_n15(entry, CONFIG) == []
    make(entry)
    assert entry == before


def as_json(config: DataConfigN15) -> Tree:
    return json.loads(json.dumps(dataclasses.asdict(config)))


@pytest.mark.parametrize("name", DATA_CONFIGS)
def test_built_in_data_configurations_survive_a_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(as_json(built_in_data_config(name))))
    assert load_data_config(path) == DATA_CONFIGS[name]


def test_built_in_data_configurations_say_what_the_original_says() -> None:
    waist = built_in_data_config("fourier_gr1_arms_waist")
    assert waist.sin_cos == waist.state_keys and waist.mode("action.waist") == "min_max"
    assert waist.language_keys == ("annotation.human.coarse_action",)
    droid = built_in_data_config("oxe_droid")
    assert droid.mode("action.gripper_position") == "binary" and droid.mode("action.eef_position_delta") == "none"
    assert droid.mode("state.eef_rotation") == "none"
    assert built_in_data_config("single_panda_gripper").mode("action.control_mode") == "binary"
    with pytest.raises(UnknownName, match="did you mean 'so100'"):
        built_in_data_config("so10")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("state_modes", {"state.arm": "minmax"}, "did you mean 'min_max'"),
        ("state_modes", {"state.elbow": "min_max"}, "state.elbow is not among the keys"),
        ("state_modes", ["state.arm"], "expected an object of texts"),
        ("state_keys", ["action.arm"], "does not begin with 'state.'"),
        ("state_keys", ["state.arm", "state.arm"], "twice"),
        ("state_keys", [], "is empty"),
        ("state_keys", "state.arm", "expected a list of texts"),
        ("target_rotations", {"state.quat": "6d"}, "unknown rotation: '6d'"),
        ("target_rotations", {"state.nose": "matrix"}, "state.nose is not among the keys"),
        ("sin_cos", ["state.arm"], "also normalised or rotated"),
        ("sin_cos", ["action.arm"], "not among the state keys"),
        ("horizon", 0, "expected a whole number"),
        ("horison", 16, "did you mean 'horizon'"),
    ],
)
def test_a_wrong_data_configuration_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_data_config({**as_json(CONFIG), field: value})


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'{"video_keys": []}'])
def test_a_file_that_is_no_data_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"data\.json"):
        load_data_config(path)
    with pytest.raises(UsageError, match="cannot be read"):
        load_data_config(tmp_path / "absent.json")

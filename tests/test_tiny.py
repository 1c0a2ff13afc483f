"""Tiny checkpoints: complete, the same bytes every time, for any suite with a camera, and sensitive to every input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from groot_bench.episode import make_episode
from groot_bench.errors import UnknownName, UsageError
from groot_bench.models import tiny
from groot_bench.models.checkpoint import open_model
from groot_bench.models.expectation import expect
from groot_bench.models.family import Family
from groot_bench.models.inspection import examine
from groot_bench.models.model import Gr00t
from groot_bench.models.options import ModelOptions
from groot_bench.models.processing.codec import KeyCodec
from groot_bench.models.processing.codec_n15 import make_codec_n15
from groot_bench.models.processing.codec_n17 import make_codec_n17
from groot_bench.models.processing.data_config_n15 import parse_data_config
from groot_bench.models.processing.fit import choose
from groot_bench.models.processing.modality import parse_processor
from groot_bench.models.processing.statistics import parse_statistics
from groot_bench.models.processing.tokenizer import tiny_tokenizer
from groot_bench.models.tiny import write_tiny
from groot_bench.models.tiny_config import Sizes, backbone_json
from groot_bench.models.tiny_embodiments import TinyEmbodiment, find_embodiments
from groot_bench.models.tiny_processor import encoded_width, processor_files, relative_part
from groot_bench.models.tiny_weights import _store, tiny_weights
from groot_bench.models.weights import read_tensors
from groot_bench.policies.groot import GrootPolicy
from groot_bench.policy import Query
from groot_bench.spec import ArraySpec
from groot_bench.suite import Suite, Task, load_suite

TEXT = ArraySpec((), "str", "text")
FRAME = ArraySpec((1, 48, 64, 3), "uint8", "rgb", low=0, high=255)
families = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)


def task(name: str, state: Mapping[str, ArraySpec], action: Mapping[str, ArraySpec], cameras: int = 1) -> Task:
    frames = {f"video.camera{index}": FRAME for index in range(cameras)}
    return Task(
        name,
        {**frames, **{f"state.{key}": spec for key, spec in state.items()}, "annotation.task": TEXT},
        {f"action.{key}": spec for key, spec in action.items()},
    )


def suite_of(*tasks: Task) -> Suite:
    return Suite("made_up", 1, {one.name: one for one in tasks}, load_suite("toy").protocols, "nowhere:make_env")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def codec_of(family: Family, one: TinyEmbodiment, files: Mapping[str, object], sizes: Sizes) -> KeyCodec:
    """The codec that the processor files describe, made as for any checkpoint."""
    values = json.loads(json.dumps(files))
    if family is Family.N15:
        config = parse_data_config(values["data_config.json"])
        entry = values["experiment_cfg/metadata.json"][one.tag]
        return make_codec_n15(entry, config, sizes.state, sizes.action, sizes.horizon, one.slot)
    processor = parse_processor(values["processor_config.json"])
    statistics = parse_statistics(values["statistics.json"])
    return make_codec_n17(processor, statistics, one.tag, values["embodiment_id.json"][one.tag])


@families
def test_equal_arguments_give_equal_bytes_and_another_seed_other_weights(family: Family, tmp_path: Path) -> None:
    toy = load_suite("toy")
    one, two, other = (
        contents(write_tiny(family, toy, tmp_path / name, seed=seed)) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert one == two
    different = {name for name in one if one[name] != other[name]}
    assert different == {name for name in one if name.endswith(".safetensors")}


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np, torch; from groot_bench.models.tiny import *; "
        "from groot_bench.suite import load_suite; torch.manual_seed(5); np.random.seed(5); "
        "[write_tiny(family, load_suite('toy'), Path(sys.argv[1]) / family.value) for family in Family]"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], check=True)
    for family in Family:
        here = write_tiny(family, load_suite("toy"), tmp_path / "here" / family.value)
        assert contents(tmp_path / "there" / family.value) == contents(here)


def test_no_global_generator_is_read_or_written(tmp_path: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].tobytes()
    write_tiny(Family.N17, load_suite("toy"), tmp_path / "a")
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tobytes()


@families
def test_folder_has_the_released_layout_and_is_small(family: Family, tmp_path: Path) -> None:
    found = contents(write_tiny(family, load_suite("robosuite"), tmp_path / "a"))
    own = {
        Family.N15: {"model.safetensors", "experiment_cfg/metadata.json", "data_config.json"},
        Family.N16: {"model.safetensors.index.json", "processor_config.json", "statistics.json", "embodiment_id.json"},
        Family.N17: {"model.safetensors", "processor_config.json", "statistics.json", "embodiment_id.json"},
    }
    assert {"config.json", "backbone_config.json", "tokenizer.json", *own[family]} <= set(found)
    assert sum(map(len, found.values())) < 3_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@families
def test_stored_tensors_are_those_of_a_released_checkpoint(family: Family, tmp_path: Path) -> None:
    checkpoint = open_model(write_tiny(family, load_suite("toy"), tmp_path / "a", tasks=["Reach"]))
    stored = {name: tensor.shape for name, tensor in checkpoint.files.weights.tensors.items()}
    with torch.device("meta"):
        model = Gr00t(checkpoint.config)
    needed = {name: tuple(tensor.shape) for name, tensor in model.tensors().items()}
    assert {name: stored[name] for name in needed} == needed
    unused = set(stored) - set(needed)
    assert all(model.is_unused(name) for name in unused)
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in unused} >= {"lm_head"}
    assert len(unused) == (1 if family is Family.N17 else 12)


def test_types_and_shards_are_those_that_released_folders_have(tmp_path: Path) -> None:
    types = {}
    for family in Family:
        weights = open_model(write_tiny(family, load_suite("toy"), tmp_path / family.value)).files.weights
        types[family] = {(name.partition(".")[0], tensor.dtype) for name, tensor in weights.tensors.items()}
        assert len(weights.files) == (2 if family is Family.N16 else 1)
    assert types[Family.N15] == {("backbone", "BF16"), ("action_head", "F32")}
    assert types[Family.N16] == types[Family.N17] == {("backbone", "F32"), ("action_head", "F32")}


def test_weights_have_sane_scales(tmp_path: Path) -> None:
    folder = write_tiny(Family.N15, load_suite("toy"), tmp_path / "a")
    for name, tensor in read_tensors(folder / "model.safetensors").items():
        array = tensor.double()
        if name.endswith(("norm1.weight", "layernorm.weight", "vlln.weight")):
            assert 0.6 < array.min() < array.max() < 1.4
        elif name.endswith((".bias", ".b")):
            assert 0.05 < array.std() < 0.2
        else:
            assert 0.02 < array.std() < 0.7, name
    head = read_tensors(folder / "model.safetensors")
    tied = "backbone.eagle_model.language_model."
    assert torch.equal(head[f"{tied}lm_head.weight"], head[f"{tied}model.embed_tokens.weight"])


@given(st.lists(st.floats(width=32, min_value=-(2.0**100), max_value=2.0**100), min_size=1, max_size=40))
def test_bfloat16_is_rounded_as_torch_rounds_it(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    ours = torch.frombuffer(bytearray(_store(array, half=True).data), dtype=torch.bfloat16)
    assert torch.equal(ours, torch.from_numpy(array).to(torch.bfloat16))


@families
def test_a_tensor_keeps_its_numbers_when_others_come_or_go(family: Family, tmp_path: Path) -> None:
    one = task("One", {"a": ArraySpec((1, 2))}, {"b": ArraySpec((3,))})
    two = task("Two", {"a": ArraySpec((1, 9))}, {"b": ArraySpec((3,))})
    small, wide = (
        tiny_weights(open_model(write_tiny(family, suite_of(one), tmp_path / one.name)).config, 1) for one in (one, two)
    )
    same = {name for name in small if small[name] == wide[name]}
    assert {name for name in small if name not in same} == {"action_head.state_encoder.layer1.W"}


@families
@pytest.mark.parametrize("name", ["toy", "robosuite"])
def test_every_task_of_a_suite_fits_one_embodiment(family: Family, name: str, tmp_path: Path) -> None:
    suite = load_suite(name)
    checkpoint = open_model(write_tiny(family, suite, tmp_path / "a"))
    embodiments = find_embodiments(family, suite.select())
    assert checkpoint.tags == tuple(one.tag for one in embodiments)
    assert embodiments[0].tag == "new_embodiment"
    assert len({one.slot for one in embodiments}) == len(embodiments)
    assert [one for one in suite.tasks if sum(one in it.tasks for it in embodiments) != 1] == []
    known = {tag: checkpoint.embodiment(tag) for tag in checkpoint.tags}
    for one in embodiments:
        for member in one.tasks:
            embodiment, interface = choose(known, suite.tasks[member])
            assert (embodiment.tag, embodiment.codec.embodiment) == (one.tag, one.slot)
            assert interface.observation == suite.tasks[member].observation
            assert interface.action == suite.tasks[member].action
            assert interface.horizon >= max(protocol.actions_per_query for protocol in suite.protocols.values())


bounds = st.one_of(st.none(), st.floats(-3, 3), st.sampled_from([np.inf, -np.inf, 3.4e38, np.nan]))
parts = st.lists(
    st.tuples(st.integers(1, 5), bounds, bounds, st.sampled_from(["1", "rad", "m"])), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(Family)), parts, parts, st.integers(0, 2**32))
def test_decoded_actions_lie_within_their_bounds_whatever_the_specs(
    family: Family, states: list[tuple], actions: list[tuple], seed: int
) -> None:
    def specs(listed: list[tuple], shape: Callable[[int], tuple[int, ...]]) -> dict[str, ArraySpec]:
        return {
            f"part{index}": ArraySpec(shape(size), unit=unit, low=low, high=high)
            for index, (size, low, high, unit) in enumerate(listed)
            if not (low is not None and high is not None and low > high)
        }

    state, action = specs(states, lambda size: (1, size)), specs(actions, lambda size: (size,))
    assume(state and action)
    (one,) = find_embodiments(family, [task("Any", state, action)])
    sizes = Sizes(encoded_width(one.state) + 1, sum(span.size for span in one.action.values()) + 2, 16)
    codec = codec_of(family, one, processor_files(family, [one], sizes, 20.0), sizes)
    rng = np.random.default_rng(seed)
    given_state = {
        key: rng.uniform(span.low, span.high, (1, span.size)).astype(np.float32) for key, span in one.state.items()
    }
    output = rng.uniform(-6.6, 6.6, (sizes.horizon, sizes.action)).astype(np.float32)
    encoded = codec.encode_state(given_state)
    assert np.abs(encoded).max() <= 1.0001
    for key, values in codec.decode_action(output, given_state).items():
        slack = 1e-5 * (1 + abs(one.action[key].low) + abs(one.action[key].high))
        assert values.min() >= one.action[key].low - slack
        assert values.max() <= one.action[key].high + slack
        assert one.action[key].high - one.action[key].low < 1e-3 or np.ptp(values) > 0


def test_an_action_is_relative_only_to_a_state_that_keeps_it_in_bounds() -> None:
    wide, narrow = ArraySpec((2,), low=-1, high=1), ArraySpec((1, 2), low=0, high=1)
    cases = {
        "narrower": ({"other": ArraySpec((1, 3), low=0, high=1), "place": narrow}, ("move", "place", -1.0, 0.0)),
        "as wide": ({"place": ArraySpec((1, 2), low=-1, high=1)}, None),
        "unbounded": ({"place": ArraySpec((1, 2))}, None),
        "another size": ({"place": ArraySpec((1, 3), low=0, high=1)}, None),
    }
    for name, (state, wanted) in cases.items():
        (one,) = find_embodiments(Family.N17, [task("Any", state, {"move": wide})])
        assert relative_part(one) == wanted, name


def test_tasks_of_one_interface_share_an_embodiment_and_others_get_readable_tags() -> None:
    pose, turn, grip = ArraySpec((1, 3), low=-2, high=2), ArraySpec((1, 1)), ArraySpec((1,), low=0, high=1)
    tasks = [
        task("PickUp", {"pose": pose, "turn": turn}, {"grip": grip}),
        task("TwoArm Lift", {"pose": pose}, {"grip": grip}),
        task("PutDown", {"turn": turn, "pose": ArraySpec((1, 3), low=-5, high=1)}, {"grip": ArraySpec((1,), low=-1)}),
        task("TwoArmLift", {"pose": pose}, {"grip": grip}, cameras=2),
        task("!", {"pose": pose}, {"grip": grip}, cameras=3),
    ]
    found = find_embodiments(Family.N16, tasks)
    assert {one.tag: one.tasks for one in found} == {
        "new_embodiment": ("PickUp", "PutDown"),
        "two_arm_lift": ("TwoArm Lift",),
        "two_arm_lift_2": ("TwoArmLift",),
        "embodiment": ("!",),
    }
    assert [one.slot for one in found] == [10, 11, 12, 13]
    merged = found[0]
    assert merged.state["pose"][:3] == (3, -5.0, 2.0)
    assert merged.action["grip"][:3] == (1, 0.0, 1.0)


def test_n15_names_embodiments_from_its_own_table_and_says_when_it_ends(tmp_path: Path) -> None:
    action = {"a": ArraySpec((1,))}
    tasks = [task(f"T{size}", {"s": ArraySpec((1, size))}, action) for size in range(1, 6)]
    found = find_embodiments(Family.N15, tasks[:4])
    assert [one.tag for one in found] == ["new_embodiment", "agibot_genie1", "gr1", "oxe_droid"]
    with pytest.raises(UsageError, match=r"5 different interfaces.*N1\.5.*rows for 4.*T1, T2, T3, T4, T5"):
        write_tiny(Family.N15, suite_of(*tasks), tmp_path / "a")
    write_tiny(Family.N15, suite_of(*tasks), tmp_path / "a", tasks=["T5"])


def test_tasks_that_gr00t_cannot_run_are_all_named(tmp_path: Path) -> None:
    good = task("Good", {"s": ArraySpec((1, 2))}, {"a": ArraySpec((1,))})
    blind = task("Blind", {"s": ArraySpec((1, 2))}, {"a": ArraySpec((1,))}, cameras=0)
    odd = Task(
        "Odd",
        {
            "video.deep": ArraySpec((1, 8, 8, 1), "float32"),
            "state.s": ArraySpec((2, 2)),
            "state.d": ArraySpec((1, 2), "float64"),
        },
        {"action.a": ArraySpec((2, 2))},
    )
    with pytest.raises(UsageError) as error:
        write_tiny(Family.N17, suite_of(good, blind, odd), tmp_path / "a")
    message = str(error.value)
    assert "'Blind': has no camera" in message
    for wanted in (
        "video.deep must be uint8",
        "state.s must be float32[1, size]",
        "state.d must",
        "has no instruction",
    ):
        assert f"'Odd': {wanted}" in message
    assert "action.a must be float32[size]" in message and "Good" not in message
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="has no state"):
        write_tiny(Family.N17, suite_of(task("Stateless", {}, {"a": ArraySpec((1,))})), tmp_path / "a")
    with pytest.raises(UnknownName, match="did you mean 'Good'"):
        write_tiny(Family.N17, suite_of(good), tmp_path / "a", tasks=["Goo"])


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    for name in ("full", "file", "link"):
        with pytest.raises(UsageError, match="exists already"):
            write_tiny(Family.N17, load_suite("toy"), tmp_path / name)
    write_tiny(Family.N17, load_suite("toy"), tmp_path / "empty")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "years of work"
    with pytest.raises(UsageError, match="cannot be written"):
        write_tiny(Family.N17, load_suite("toy"), tmp_path / "file" / "inside")


def test_what_fails_halfway_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "_text", lambda value: None)
    with pytest.raises(TypeError):
        write_tiny(Family.N17, load_suite("toy"), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@families
def test_actions_depend_on_every_input(family: Family, tmp_path: Path) -> None:
    suite = load_suite("toy")
    folder = write_tiny(family, suite, tmp_path / "a", tasks=["Reach"])
    policy = GrootPolicy(folder, 0, ModelOptions(device="cpu"), say=lambda text: None)
    policy.interface(suite.tasks["Reach"])
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 1, 1, 64, 64, 3), np.uint8)
    base = {
        "video.top": frames[0],
        "video.far": frames[1],
        "state.position": np.full((1, 1, 2), 0.3, np.float32),
        "annotation.human.task_description": ["move the red point to the green point"],
    }
    changes = {
        "video.top": frames[1],
        "video.far": frames[0],
        "state.position": np.full((1, 1, 2), 0.6, np.float32),
        "annotation.human.task_description": ["push the button"],
    }

    def act(observation: Mapping[str, object], index: int = 0) -> np.ndarray:
        episode = make_episode("toy", "toy/v1", "Reach", 0, 0)
        return policy.act(observation, [Query(episode, index, 0)])["action.move"][0]

    first = act(base)
    assert first.shape == (16, 2)
    assert np.array_equal(act(base), first)
    differences = {key: np.abs(act({**base, key: value}) - first).max() for key, value in changes.items()}
    differences["noise"] = np.abs(act(base, index=1) - first).max()
    assert {key: value for key, value in differences.items() if not value > 1e-3} == {}


@families
def test_tokens_have_the_ids_that_the_backbone_is_told(family: Family) -> None:
    tokenizer, backbone = tiny_tokenizer(family), backbone_json(family)
    assert tokenizer.get_vocab_size() <= backbone["text_config"]["vocab_size"]
    if family is Family.N17:
        names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
        names |= {f"vision_{edge}_token_id": f"<|vision_{edge}|>" for edge in ("start", "end")}
    else:
        names = {"image_token_index": "<IMG_CONTEXT>"}
    assert {field: tokenizer.token_to_id(name) for field, name in names.items()} == {
        field: backbone[field] for field in names
    }


@families
def test_nothing_is_wrong_with_it(family: Family, tmp_path: Path) -> None:
    folder = write_tiny(family, load_suite("robosuite"), tmp_path / "a")
    assert list(examine(folder, expect, full=True).problems) == []


@families
def test_embodiments_have_weights_of_their_own(family: Family, tmp_path: Path) -> None:
    checkpoint = open_model(write_tiny(family, load_suite("toy"), tmp_path / "a"))
    slots = sorted(one.slot for one in find_embodiments(family, load_suite("toy").select()))
    model, _ = checkpoint.load(dtype=torch.float32, device=torch.device("cpu"), slots=tuple(slots))
    head = model.action_head
    state = torch.ones(2, 1, checkpoint.config.head.state_dim)
    one, two = head.encode_state(state, torch.tensor([0, 1]))
    assert (one - two).abs().max() > 0.1

"""Checkpoint folders: found, read strictly, refused with every reason at once, and never run."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import shared_folder

pytest.importorskip("scipy")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groot_bench.errors import CheckpointError, UnknownName
from groot_bench.models import source
from groot_bench.models.config import ModelConfig
from groot_bench.models.embodiments import NAMES, name_of, resolve_tag
from groot_bench.models.family import Family
from groot_bench.models.folder import open_checkpoint
from groot_bench.models.inspection import part_of
from groot_bench.models.regular import read_json
from groot_bench.models.report import CheckpointReport, Expectation, examine, steps_text, to_json, to_markdown
from groot_bench.models.safetensor import read_header
from groot_bench.models.shards import INDEX, SINGLE, open_weights
from groot_bench.models.source import resolve
from groot_bench.models.strictjson import parse_strict

Header = dict[str, Any]
WEIGHTS: Header = {
    "backbone.model.model.visual.w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "action_head.state_encoder.layer1.W": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
}


def tensor_file(header: Header | bytes, data: bytes = bytes(32), length: int | None = None) -> bytes:
    """A safetensors file, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: Sequence[object], begin: object, end: object, dtype: object = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def statistics(width: int) -> dict[str, list[float]]:
    return {name: [float(i + 1)] * width for i, name in enumerate(("min", "q01", "mean", "q99", "max", "std"))}


def modality(*keys: str, steps: Sequence[int] = (0,)) -> dict[str, Any]:
    return {"delta_indices": list(steps), "modality_keys": list(keys)}


def n17_files() -> dict[str, Any]:
    """The JSON files of a small N1.7 checkpoint, as far as no model is built of it."""
    blocks = {"num_layers": 2, "num_attention_heads": 2, "attention_head_dim": 4, "positional_embeddings": None}
    text = {
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "intermediate_size": 8,
        "vocab_size": 320,
        "rope_theta": 1e6,
        "rope_scaling": {"mrope_section": [2, 1, 1]},
    }
    vision = {
        "hidden_size": 8,
        "depth": 1,
        "num_heads": 2,
        "intermediate_size": 8,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 16,
        "out_hidden_size": 8,
        "deepstack_visual_indexes": [0],
    }
    return {
        "config.json": {
            "model_type": "Gr00tN1d7",
            "max_state_dim": 6,
            "max_action_dim": 5,
            "action_horizon": 8,
            "hidden_size": 4,
            "input_embedding_dim": 8,
            "backbone_embedding_dim": 8,
            "num_inference_timesteps": 4,
            "select_layer": 2,
            "diffusion_model_cfg": {**blocks, "output_dim": 4, "interleave_self_attention": True},
        },
        "backbone_config.json": {
            "image_token_id": 311,
            "video_token_id": 314,
            "vision_start_token_id": 312,
            "text_config": text,
            "vision_config": vision,
        },
        "processor_config.json": {
            "processor_kwargs": {
                "use_albumentations": True,
                "max_state_dim": 6,
                "max_action_dim": 5,
                "max_action_horizon": 8,
                "modality_configs": {
                    "libero_sim": {
                        "video": modality("front"),
                        "state": modality("arm", "hand"),
                        "action": modality("arm", steps=range(8)),
                        "language": modality("annotation.task"),
                    }
                },
            }
        },
        "statistics.json": {
            "libero_sim": {"state": {"arm": statistics(3), "hand": statistics(2)}, "action": {"arm": statistics(3)}}
        },
        "embodiment_id.json": {"libero_sim": 2, "new_embodiment": 10},
    }


def write(folder: Path, files: dict[str, Any] | None = None, weights: bytes | None = None) -> Path:
    """A checkpoint folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (n17_files() if files is None else files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    (folder / SINGLE).write_bytes(tensor_file(WEIGHTS) if weights is None else weights)
    return folder


def expected(config: ModelConfig) -> Expectation:
    shapes = {name: tuple(tensor["shape"]) for name, tensor in WEIGHTS.items()}
    return Expectation(shapes, lambda name: name == "backbone.model.lm_head.weight")


# --- JSON


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'[{"x": {"a": 1, "b": 0, "a": 1}}]', "the key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "too large"),
        (b"[1" + b"0" * 5000 + b"]", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 65 + b"]" * 65, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8 text"),
        (b'{"\\ud800": 1}', "not Unicode"),
        (b"", "not valid JSON"),
        (b'{"a": 1} 2', "not valid JSON"),
    ],
)
def test_json_that_readers_could_take_differently_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(CheckpointError, match=r"x\.json: ") as caught:
        parse_strict(text, "x.json")
    assert words in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=30,
    )
)
def test_json_comes_back_as_it_was_written(value: object) -> None:
    assert parse_strict(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), "x") == json.loads(
        json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    )


@given(st.binary(max_size=200))
def test_bytes_are_a_value_or_a_checkpoint_error(data: bytes) -> None:
    try:
        value = parse_strict(data, "x")
    except CheckpointError:
        return
    assert value == json.loads(data)


# --- files


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("../secret.json", str(tmp_path / "secret.json"), "..", "", "a//b", "a\0b", "..\\secret.json"):
        with pytest.raises(CheckpointError, match="not the plain name"):
            read_json(inner, name)


def test_pipes_folders_devices_and_loops_are_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "to_pipe").symlink_to("pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("pipe", "folder", "loop", "zero", "to_pipe", "dangling", "absent"):
        with pytest.raises(CheckpointError, match=name):
            read_json(tmp_path, name)
        with pytest.raises(CheckpointError, match=name):
            read_header(tmp_path / name)


def test_files_that_are_links_are_read_as_in_the_hubs_cache(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0a1b"
    write(blobs)
    snapshot.mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert open_checkpoint(snapshot).family is Family.N17
    assert examine(snapshot, expected).problems == ()


def test_a_json_file_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    with pytest.raises(CheckpointError, match="has 1099511627776 bytes"):
        read_json(tmp_path, "big.json")


# --- safetensors


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has 0 bytes"),
        (b"1234567", "has 7 bytes"),
        (tensor_file(WEIGHTS, length=1 << 63), "claims a header of 9223372036854775808 bytes"),
        (tensor_file(WEIGHTS, length=200_000_000), "claims a header of 200000000 bytes"),
        (tensor_file(b"[1, 2]"), "does not begin with '{'"),
        (tensor_file(b'{"a": '), "not valid JSON"),
        (tensor_file(b'{"a": {}, "a": {}}'), "the key 'a' stands twice"),
        (tensor_file({**WEIGHTS, "__metadata__": {"a": 1}}), "__metadata__ must map text to text"),
        (tensor_file({"a": 7}), "'a': must have exactly dtype, shape and data_offsets"),
        (tensor_file({"a": {**entry([8], 0, 32), "more": 1}}), "'a': must have exactly"),
        (tensor_file({"a": entry([8], 0, 32, "F8_E4M3")}), "its type is 'F8_E4M3'; known: F64"),
        (tensor_file({"a": entry([8], 0, 32, ["F32"])}), "its type is"),
        (tensor_file({"a": entry([-8], 0, 32)}), "its shape [-8] is not"),
        (tensor_file({"a": entry([8.0], 0, 32)}), "its shape [8.0] is not"),
        (tensor_file({"a": entry([True, 8], 0, 32)}), "its shape [True, 8] is not"),
        (tensor_file({"a": entry([1] * 17, 0, 4)}), "its shape"),
        (tensor_file({"a": entry([1 << 30, 1 << 30], 0, 32)}), "F32 [1073741824, 1073741824] has 4611686018427387904"),
        (tensor_file({"a": entry([10**4000], 0, 32)}), "its shape"),
        (tensor_file({"a": entry([8], 0, 31)}), "has 32 bytes, but data_offsets give 31"),
        (tensor_file({"a": entry([8], 32, 0)}), "are not [begin, end]"),
        (tensor_file({"a": entry([8], -32, 0)}), "are not [begin, end]"),
        (tensor_file({"a": entry([8], 0, "32")}), "are not [begin, end]"),
        (tensor_file({"a": entry([4], 0, 16), "b": entry([5], 12, 32)}), "'b': begins at byte 12 and overlaps"),
        (tensor_file({"a": entry([8], 0, 32), "b": entry([8], 0, 32)}), "'b': begins at byte 0 and overlaps"),
        (tensor_file({"a": entry([3], 0, 12), "b": entry([4], 16, 32)}), "'b': begins at byte 16 and leaves a hole"),
        (tensor_file({"a": entry([7], 4, 32)}), "'a': begins at byte 4 and leaves a hole"),
        (tensor_file(WEIGHTS, bytes(31)), "ends 1 bytes too early"),
        (tensor_file(WEIGHTS, bytes(40)), "8 bytes follow the last tensor"),
        (tensor_file({}, bytes(3)), "3 bytes follow the last tensor"),
    ],
)
def test_a_broken_header_is_refused_with_its_reason(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / SINGLE).write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors") as caught:
        open_weights(tmp_path)
    assert words in str(caught.value)


def test_all_bad_entries_of_a_header_are_told(tmp_path: Path) -> None:
    header = {f"t{i}": entry([8], 0, 32, "X") for i in range(30)}
    (tmp_path / SINGLE).write_bytes(tensor_file(header))
    with pytest.raises(CheckpointError, match=r"(?s)'t0'.*'t19'.*and 10 more"):
        open_weights(tmp_path)


def test_empty_files_and_empty_tensors_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / SINGLE).write_bytes(tensor_file({}, b""))
    assert open_weights(tmp_path).tensors == {}
    header = {"none": entry([0, 3], 0, 0), "a": entry([8], 0, 32), "end": entry([0], 32, 32)}
    (tmp_path / SINGLE).write_bytes(tensor_file(header))
    assert list(open_weights(tmp_path).tensors) == ["none", "a", "end"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, data: st.DataObject) -> None:
    whole = tensor_file(WEIGHTS)
    (tmp_path / SINGLE).write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CheckpointError):
        open_weights(tmp_path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(tensor_file(WEIGHTS, b"")) - 1), value=st.integers(0, 255))
def test_a_damaged_header_is_an_error_or_describes_the_file_exactly(tmp_path: Path, place: int, value: int) -> None:
    content = bytearray(tensor_file(WEIGHTS))
    content[place] = value
    (tmp_path / SINGLE).write_bytes(content)
    try:
        weights = open_weights(tmp_path)
    except CheckpointError:
        return
    assert weights.nbytes == 32


# --- shards


def write_shards(folder: Path, held: dict[str, str], index: object = None) -> Path:
    """One tensor of 4 bytes each in the file that `held` says; the index says the same unless one is given."""
    folder.mkdir(exist_ok=True)
    for file in set(held.values()):
        names = [name for name in held if held[name] == file]
        header = {name: entry([1], 4 * i, 4 * i + 4) for i, name in enumerate(names)}
        (folder / file).write_bytes(tensor_file(header, bytes(4 * len(names))))
    (folder / INDEX).write_text(json.dumps({"weight_map": held} if index is None else index))
    return folder


TWO = {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}


def test_shards_are_read_file_by_file(tmp_path: Path) -> None:
    weights = open_weights(write_shards(tmp_path, TWO))
    assert [path.name for path in weights.files] == ["model-1.safetensors", "model-2.safetensors"]
    assert list(weights.tensors) == ["a", "c", "b"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.safetensors",
        "/etc/evil.safetensors",
        "sub/x.safetensors",
        "..",
        "model.bin",
        "a\\b.safetensors",
        7,
        None,
    ],
)
def test_an_index_cannot_name_a_file_elsewhere_or_of_another_kind(tmp_path: Path, name: object) -> None:
    (tmp_path / "evil.safetensors").write_bytes(tensor_file({"a": entry([1], 0, 4)}, bytes(4)))
    folder = write_shards(tmp_path / "in", TWO, {"weight_map": {**TWO, "a": name}})
    with pytest.raises(CheckpointError, match=r"may name only \.safetensors files in its own folder"):
        open_weights(folder)


def test_missing_shards_and_disagreements_with_the_index_are_listed(tmp_path: Path) -> None:
    missing = {**TWO, "d": "model-3.safetensors", "e": "model-4.safetensors"}
    with pytest.raises(CheckpointError, match=r"2 of 4 shards are missing: 'model-3\.safetensors', 'model-4\."):
        open_weights(write_shards(tmp_path / "missing", TWO, {"weight_map": missing}))
    wrong = {"a": TWO["b"], "b": TWO["b"], "d": TWO["a"]}
    with pytest.raises(CheckpointError) as caught:
        open_weights(write_shards(tmp_path / "wrong", TWO, {"weight_map": wrong}))
    for part in ("'a' is in 'model-1.safetensors', but", "'c' is in 'model-1.safetensors', but", "'d' is in no shard"):
        assert part in str(caught.value)
    for index in ([], {}, {"weight_map": {}}, {"weight_map": ["a"]}):
        with pytest.raises(CheckpointError, match="must have a weight_map"):
            open_weights(write_shards(tmp_path / "none", TWO, index))


def test_ambiguous_or_absent_weights_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path / "both", TWO)
    (tmp_path / "both" / SINGLE).write_bytes(tensor_file(WEIGHTS))
    with pytest.raises(CheckpointError, match=r"holds both model\.safetensors and"):
        open_weights(tmp_path / "both")
    write_shards(tmp_path / "lost", TWO)
    (tmp_path / "lost" / INDEX).unlink()
    with pytest.raises(CheckpointError, match="fetch the index as well"):
        open_weights(tmp_path / "lost")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no weights"):
        open_weights(tmp_path / "empty")


class Trap:
    """What a hostile pickled file holds: to load it is to make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    import pickle

    sprung = tmp_path / "sprung"
    payload = pickle.dumps(Trap(sprung))
    folder = write(tmp_path / "ckpt")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.PKL"):
        (folder / name).write_bytes(payload)
    files = open_checkpoint(folder)
    assert files.ignored == ("optimizer.pt", "pytorch_model.bin", "scheduler.PKL", "training_args.bin")
    assert "ignored: optimizer.pt, pytorch_model.bin" in to_markdown(examine(folder, expected, full=True))
    (folder / SINGLE).unlink()
    for call in (open_checkpoint, open_weights):
        with pytest.raises(CheckpointError, match=r"(?s)holds only pickled weights .*save_pretrained"):
            call(folder)
    assert any("only pickled weights" in problem for problem in examine(folder).problems)
    assert not sprung.exists()
    pickle.loads(payload).close()
    assert sprung.exists(), "the trap works"


# --- folders


def test_every_missing_file_of_a_folder_is_told_at_once(tmp_path: Path) -> None:
    files = n17_files()
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(write(tmp_path / "n17", {"config.json": files["config.json"]}, weights=b"short"))
    for name in ("processor_config.json", "statistics.json", "embodiment_id.json", "model.safetensors"):
        assert name in str(caught.value)
    with pytest.raises(CheckpointError, match=r"experiment_cfg/metadata\.json"):
        open_checkpoint(write(tmp_path / "n15", {"config.json": {"model_type": "gr00t_n1_5"}}))
    with pytest.raises(CheckpointError, match=r"statistics\.json: expected an object, got list"):
        open_checkpoint(write(tmp_path / "list", {**files, "statistics.json": []}))
    with pytest.raises(CheckpointError, match=r"config\.json: is an empty object"):
        open_checkpoint(write(tmp_path / "empty", {**files, "config.json": {}}))
    with pytest.raises(CheckpointError, match="is not a folder"):
        open_checkpoint(tmp_path / "absent")


def test_processor_files_may_lie_in_their_own_folder(tmp_path: Path) -> None:
    files = n17_files()
    inner = {f"processor/{name}": files.pop(name) for name in list(files) if "config.json" not in name}
    inner["processor/processor_config.json"] = files.pop("processor_config.json")
    folder = write(tmp_path, {**files, **inner})
    (folder / "processor" / "tokenizer.json").write_text("{}")
    found = open_checkpoint(folder)
    assert found.statistics == inner["processor/statistics.json"]
    assert found.embodiment_id == inner["processor/embodiment_id.json"]
    assert found.tokenizer == folder / "processor"


# --- where a checkpoint is


def test_a_folder_is_itself_and_one_nested_checkpoint_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "repo" / "libero_10")
    (tmp_path / "repo" / "docs").mkdir()
    inner = tmp_path / "repo" / "libero_10"
    assert resolve(str(inner)) == inner
    assert resolve(str(tmp_path / "repo")) == inner
    assert resolve(str(tmp_path)) == inner
    write(tmp_path / "repo" / "libero_goal")
    with pytest.raises(CheckpointError, match=r"holds 2 checkpoints; say which.*'libero_10', 'libero_goal'"):
        resolve(str(tmp_path / "repo"))
    assert resolve(str(tmp_path / "repo"), subfolder="libero_goal").name == "libero_goal"


def test_a_path_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "finetuned" / "checkpoint-2000")
    with pytest.raises(CheckpointError, match=r"no such folder; did you mean .*/finetuned/checkpoint-2000"):
        resolve(str(tmp_path / "finetuned" / "checkpoint-200"))
    with pytest.raises(CheckpointError, match=r"no such folder; did you mean .*/finetuned\?"):
        resolve(str(tmp_path / "finetuned" / "checkpoint-2000").replace("finetuned", "fine_tuned"))
    with pytest.raises(CheckpointError, match=r"did you mean .*/checkpoint-2000"):
        resolve(str(tmp_path / "finetuned"), subfolder="checkpoint-20")
    with pytest.raises(CheckpointError, match="is a file; give the folder"):
        resolve(str(tmp_path / "finetuned" / "checkpoint-2000" / SINGLE))
    with pytest.raises(CheckpointError, match="leads out of"):
        resolve(str(tmp_path / "finetuned"), subfolder="../finetuned")
    with pytest.raises(CheckpointError, match="has no revision 'main'"):
        resolve(str(tmp_path / "finetuned"), revision="main")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CheckpointError, match=r"holds no config\.json"):
        resolve(str(tmp_path / "nothing"))


class Hub:
    """Stands in for the hub's client: a repository is a folder here, of which what the patterns allow is copied."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache, self.calls = root, cache, []  # type: ignore[var-annotated]

    def snapshot_download(
        self, repository: str, *, revision: str | None, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> str:
        from huggingface_hub.utils import filter_repo_objects

        self.calls.append((repository, revision))
        names = [str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()]
        for name in filter_repo_objects(names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns):
            place = self.cache / ("0" * 40) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes((self.root / name).read_bytes())
        return str(self.cache / ("0" * 40))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    client = pytest.importorskip("huggingface_hub")
    found = Hub(tmp_path / "remote", tmp_path / "cache")
    monkeypatch.setattr(client, "snapshot_download", found.snapshot_download)
    monkeypatch.chdir(tmp_path)
    return found


def test_only_data_of_the_chosen_checkpoint_is_fetched(hub: Hub) -> None:
    for name in ("libero_10", "libero_goal"):
        write(hub.root / name)
    for name in ("model.py", "pytorch_model.bin", "global_step/optimizer.pt", "evil.pkl"):
        (hub.root / "libero_10" / name).parent.mkdir(exist_ok=True)
        (hub.root / "libero_10" / name).write_text("never")
    with pytest.raises(CheckpointError, match="holds 2 checkpoints"):
        resolve("nvidia/GR00T-N1.7-LIBERO")
    folder = resolve("nvidia/GR00T-N1.7-LIBERO/libero_10@v1")
    assert hub.calls[-2:] == [("nvidia/GR00T-N1.7-LIBERO", "v1"), ("nvidia/GR00T-N1.7-LIBERO", "0" * 40)]
    assert examine(folder, expected).problems == ()
    fetched = sorted(path.name for path in hub.cache.rglob("*") if path.is_file())
    assert fetched == sorted([*n17_files(), SINGLE, "config.json"])
    assert resolve("hf://nvidia/GR00T-N1.7-LIBERO", subfolder="libero_10", revision="v1") == folder


def test_weights_below_a_checkpoint_of_the_hub_are_not_fetched(hub: Hub) -> None:
    write(hub.root)
    write(hub.root / "checkpoint-1000")
    folder = resolve("org/name")
    assert [path.parent for path in folder.rglob("*.safetensors")] == [folder]


def test_what_goes_wrong_at_the_hub_says_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from huggingface_hub import errors

    for problem, words in (
        (errors.LocalEntryNotFoundError("x"), "the hub cannot be reached.*hf download org/name"),
        (errors.OfflineModeIsEnabled("x"), "the hub cannot be reached"),
        (OSError(28, "No space left on device"), "No space left"),
        (errors.HFValidationError("bad id"), "bad id"),
    ):

        def fail(*args: object, error: Exception = problem, **kwargs: object) -> str:
            raise error

        monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
        with pytest.raises(CheckpointError, match=words):
            resolve("org/name")
    for where in ("no/such/../place?", "name", "org/na me", "-x/y", "", "a\0b", "./" + "n" * 300, "~nobody-here/x"):
        with pytest.raises(CheckpointError, match="no such folder"):
            resolve(where)
    (tmp_path / "org").mkdir()
    with pytest.raises(CheckpointError, match="no such folder"):
        resolve("org/name")  # a local name, since org/ is here


def test_offline_the_hub_is_not_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    code = "from groot_bench.models.source import resolve\nresolve('org/name-that-nobody-has')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "CheckpointError" in done.stderr
    assert "is not in this machine's cache" in done.stderr


def test_nothing_that_could_run_is_on_the_list_of_what_is_fetched() -> None:
    assert not [pattern for pattern in source.ALLOWED if pattern.endswith((".bin", ".pt", ".pkl", ".py", "*"))]


# --- embodiment tags


@pytest.mark.parametrize("family", Family)
def test_names_and_values_both_mean_the_tag(family: Family) -> None:
    tags = sorted(NAMES[family].values())
    assert len(set(tags)) == len(tags)
    for name, tag in NAMES[family].items():
        for meant in (name, name.lower(), name.title(), tag, tag.upper()):
            assert resolve_tag(meant, family, tags) == tag
        assert name_of(tag, family) == name
        assert resolve_tag(tag, family, tags) == tag


def test_a_name_means_what_its_family_means_by_it() -> None:
    assert resolve_tag("LIBERO_PANDA", Family.N17, ["libero_sim", "gr1"]) == "libero_sim"
    assert resolve_tag("libero_panda", Family.N16, ["libero_panda"]) == "libero_panda"
    assert resolve_tag("My_Robot", Family.N17, ["my_robot"]) == "my_robot"
    assert resolve_tag("xdof", Family.N17, ["xdof", "xdof_relative_eef_relative_joint"]) == "xdof"
    assert resolve_tag("XDOF", Family.N17, ["xdof", "xdof_relative_eef_relative_joint"]).startswith("xdof_rel")


def test_an_unknown_tag_names_the_nearest_and_what_a_name_stands_for() -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'libero_sim'\? \(known: libero_sim, gr1\)"):
        resolve_tag("libero_sin", Family.N17, ["libero_sim", "gr1"])
    with pytest.raises(UnknownName, match=r"'UNITREE_G1' stands for 'unitree_g1_full_body.*was not trained for"):
        resolve_tag("UNITREE_G1", Family.N17, ["libero_sim"])


# --- the report


def report_of(folder: Path, change: Callable[[dict[str, Any]], object]) -> CheckpointReport:
    files = n17_files()
    change(files)
    return examine(write(folder, files), expected)


def test_a_good_checkpoint_has_no_problem_and_its_facts_are_told(tmp_path: Path) -> None:
    report = examine(write(tmp_path), expected, full=True)
    assert report.problems == ()
    assert report.digest
    assert [(part.name, part.parameters, part.nbytes, part.dtypes) for part in report.parts] == [
        ("vision", 6, 24, ("F32",)),
        ("embodiment tables", 4, 8, ("BF16",)),
    ]
    one, two = report.embodiments
    assert (one.tag, one.name, one.slot, one.statistics) == (
        "libero_sim",
        "LIBERO_PANDA",
        2,
        {"state": ("arm", "hand"), "action": ("arm",)},
    )
    assert one.modalities["action"].steps == tuple(range(8))
    assert (two.tag, two.slot, two.modalities) == ("new_embodiment", 10, {})
    page = to_markdown(report)
    for part in ("# GR00T N1.7 checkpoint", "| libero_sim | LIBERO_PANDA | 2 | yes |", "0 to 7", "Nothing is wrong."):
        assert part in page
    assert json.loads(json.dumps(to_json(report)))["model"]["horizon"] == 8


def test_everything_that_is_wrong_is_in_one_report(tmp_path: Path) -> None:
    def spoil(files: dict[str, Any]) -> None:
        del files["statistics.json"]["libero_sim"]["action"]
        files["embodiment_id.json"] = {"libero_sim": 32, "gr1": "four"}
        files["processor_config.json"]["processor_kwargs"]["max_state_dim"] = 7

    files = n17_files()
    spoil(files)
    weights = tensor_file({"action_head.w": entry([8], 0, 32)})
    report = examine(write(tmp_path, files, weights), expected)
    page = to_markdown(report)
    for part in (
        "2 tensors are missing",
        "1 tensors are not known to the model",
        "action.arm: has no statistics",
        "slot 32 is beyond the 32 rows",
        "embodiment_id.json.gr1: expected a whole number",
        "max_state_dim is 7, but the model's is 6",
    ):
        assert part in page, page
    assert "Nothing is wrong" not in page


def test_a_folder_with_nothing_right_still_gets_a_report(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    os.mkfifo(tmp_path / SINGLE)
    report = examine(tmp_path, expected, full=True)
    assert len(report.problems) == 2
    assert (report.family, report.model, report.parts, report.embodiments, report.digest) == (None, None, (), (), None)
    assert "# Unknown checkpoint" in to_markdown(report)
    assert examine(tmp_path / "absent").problems == (f"{tmp_path / 'absent'}: is not a folder that can be read",)


def test_an_unknown_model_type_is_a_problem_and_no_other_files_are_asked_for(tmp_path: Path) -> None:
    report = report_of(tmp_path, lambda files: files.update({"config.json": {"model_type": ["x"]}}))
    assert len(report.problems) == 1
    assert "model_type is ['x']; known: gr00t_n1_5" in report.problems[0]


def test_text_from_a_checkpoint_cannot_break_the_page_or_the_terminal(tmp_path: Path) -> None:
    evil = "a|b\n# c\x1b[31m<script>"
    report = report_of(tmp_path, lambda files: files["embodiment_id.json"].update({evil: 3}))
    page = to_markdown(report)
    assert "\x1b" not in page
    assert "\n# c" not in page
    assert "<script>" not in page
    assert "a\\|b" in page


def test_weights_that_are_not_finite_are_found_by_the_full_examination(tmp_path: Path) -> None:
    folder = write(tmp_path, weights=tensor_file(WEIGHTS, bytes(30) + b"\x80\x7f"))
    assert examine(folder, expected).problems == ()
    (problem,) = examine(folder, expected, full=True).problems
    assert problem == "1 tensors hold NaN or infinity: 'action_head.state_encoder.layer1.W'"


def test_n15_keys_need_statistics_and_tags_a_slot(tmp_path: Path) -> None:
    described = {"absolute": True, "rotation_type": None, "shape": [3], "continuous": True}
    entry = {
        "statistics": {"state": {"arm": statistics(3)}, "action": {}},
        "modalities": {"video": {"front": {}}, "state": {"arm": described}, "action": {"arm": described}},
    }
    files = {"config.json": {"model_type": "gr00t_n1_5"}, "experiment_cfg/metadata.json": {"gr1": entry, "mine": entry}}
    report = examine(write(tmp_path, files))
    text = "\n".join(report.problems)
    assert "'gr1': action.arm has no statistics" in text
    assert "'mine' has no slot; N1.5 has those of agibot_genie1, gr1, new_embodiment, oxe_droid" in text
    assert [one.slot for one in report.embodiments] == [24, None]
    assert report.embodiments[0].modalities["video"].steps is None
    (tmp_path / "data_config.json").write_text("[]")
    assert any("data" in problem for problem in set(examine(tmp_path).problems) - set(report.problems))


def test_tensors_are_counted_where_they_belong() -> None:
    for name, part in {
        "backbone.eagle_model.vision_model.vision_model.post_layernorm.weight": "vision",
        "backbone.model.model.visual.merger.norm.weight": "vision",
        "backbone.eagle_model.mlp1.0.weight": "connector",
        "backbone.model.language_model.model.norm.weight": "language",
        "backbone.model.lm_head.weight": "language",
        "action_head.action_decoder.layer1.W": "embodiment tables",
        "action_head.model.proj_out_1.weight": "action head",
        "loose": "other",
    }.items():
        assert part_of(name) == part


def test_time_steps_are_written_short() -> None:
    assert steps_text([0]) == "0"
    assert steps_text([-15, 0]) == "-15, 0"
    assert steps_text(range(16)) == "0 to 15"
    assert steps_text([0, 2, 4, 6, 8]) == "0, 2, 4, 6, 8"
    assert steps_text([]) == ""


@pytest.mark.parametrize("family", Family)
def test_reference_checkpoints_have_nothing_wrong(family: Family) -> None:
    shared = shared_folder()
    if shared is None:
        pytest.skip("no folder of shared reference data (GROOT_BENCH_SHARED)")
    folder = shared / "golden" / family.value / "checkpoint"
    ask = None
    if importlib.util.find_spec("transformers"):
        from groot_bench.models.expectation import expect as ask
    report = examine(folder, ask, full=True)
    assert report.problems == ()
    assert report.family is family
    assert report.own_backbone
    assert {part.name for part in report.parts} >= {"vision", "language", "action head", "embodiment tables"}

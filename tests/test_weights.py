"""Weights: what is stored arrives bit for bit, in little memory, and everything that is not right is told at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from groot_bench.errors import CheckpointError
from groot_bench.models import stream
from groot_bench.models.safetensor import read_header
from groot_bench.models.shards import INDEX, SINGLE, StoredWeights, open_weights
from groot_bench.models.weights import Loaded, Rows, load_weights, read_tensors

Tensors = dict[str, Tensor]


class Net(nn.Module):
    """Parameters of several ranks, a persistent and a non-persistent buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(8, 3, 5))
        self.inner = nn.ModuleDict({"a": nn.Linear(7, 300), "b": nn.Linear(300, 2, bias=False)})
        self.scale = nn.Parameter(torch.empty(()))
        self.register_buffer("count", torch.empty(4, dtype=torch.int64))
        self.register_buffer("waves", torch.empty(9), persistent=False)


def on_meta(make: Callable[[], nn.Module] = Net) -> nn.Module:
    with torch.device("meta"):
        return make()


def numbers(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensors:
    """Stored tensors for a Net."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in on_meta().state_dict().items():
        values = torch.randn(tensor.shape, generator=generator)
        found[name] = (values * 9).to(tensor.dtype) if tensor.dtype == torch.int64 else values.to(dtype)
    return found


def save(folder: Path, tensors: Tensors, shards: int = 1) -> StoredWeights:
    """Writes tensors into one file, or deals them out to shards."""
    folder.mkdir(parents=True, exist_ok=True)
    if shards == 1:
        save_file(tensors, folder / SINGLE)
        return open_weights(folder)
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    held = {name: names[i % shards] for i, name in enumerate(sorted(tensors))}
    for file in names:
        save_file({name: tensors[name] for name in held if held[name] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": held}))
    return open_weights(folder)


def load(folder: Path, tensors: Tensors, shards: int = 1, **options: object) -> tuple[nn.Module, Loaded]:
    model = on_meta()
    return model, load_weights(model, save(folder, tensors, shards), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_every_tensor_arrives_bit_for_bit(tmp_path: Path, dtype: torch.dtype, shards: int) -> None:
    tensors = numbers(dtype=dtype)
    model, loaded = load(tmp_path, tensors, shards)
    state = model.state_dict()
    assert set(state) == set(tensors)
    for name, tensor in tensors.items():
        assert state[name].dtype == tensor.dtype
        assert torch.equal(state[name], tensor)
    assert loaded.tensors == len(tensors)
    assert loaded.nbytes == sum(tensor.nbytes for tensor in tensors.values())
    assert sum(loaded.dtypes.values()) == len(tensors)
    assert loaded.on_meta == ("waves",)
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())


def test_tensors_larger_than_a_block_arrive_whole(tmp_path: Path) -> None:
    rows = 3 * stream.BLOCK // 1000
    weight = torch.randn(rows, 257)
    model = on_meta(lambda: nn.Linear(257, rows, bias=False))
    load_weights(model, save(tmp_path, {"weight": weight}), threads=3)
    assert torch.equal(model.weight, weight)


def test_conversion_is_torchs_own_and_named_tensors_stay_float32(tmp_path: Path) -> None:
    tensors = numbers()
    model, loaded = load(tmp_path, tensors, dtype=torch.bfloat16, fp32=lambda name: name.startswith("inner."))
    state = model.state_dict()
    assert torch.equal(state["table"], tensors["table"].to(torch.bfloat16))
    assert torch.equal(state["inner.a.weight"], tensors["inner.a.weight"])
    assert torch.equal(state["count"], tensors["count"])
    assert loaded.dtypes == {"F32": 5, "I64": 1}
    mixed = {**tensors, "table": tensors["table"].to(torch.bfloat16)}
    model, _ = load(tmp_path / "mixed", mixed, dtype=torch.float32)
    assert torch.equal(model.state_dict()["table"], mixed["table"].float())


def test_digest_is_of_the_weights_and_not_of_how_they_lie(tmp_path: Path) -> None:
    tensors = numbers()
    digests = {
        load(tmp_path / "one", tensors)[1].digest,
        load(tmp_path / "two", tensors, shards=2)[1].digest,
        load(tmp_path / "four", tensors, shards=4, threads=1)[1].digest,
        load(tmp_path / "half", tensors, dtype=torch.bfloat16)[1].digest,
        load(tmp_path / "more", {**tensors, "lm_head": torch.ones(5)}, unused=lambda name: name == "lm_head")[1].digest,
    }
    assert len(digests) == 1


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_changes_the_digest(tmp_path: Path, data: st.DataObject) -> None:
    weights = save(tmp_path, numbers())
    name = data.draw(st.sampled_from(sorted(weights.tensors)))
    tensor = weights.tensors[name]
    place = data.draw(st.integers(0, tensor.nbytes - 1))
    bit = data.draw(st.integers(0, 7))
    before = _digest(weights)
    raw = bytearray((tmp_path / SINGLE).read_bytes())
    raw[tensor.begin + place] ^= 1 << bit
    (tmp_path / SINGLE).write_bytes(raw)
    assert _digest(open_weights(tmp_path)) != before


def _digest(weights: StoredWeights) -> str:
    jobs = [stream.Job(tensor) for tensor in weights.tensors.values()]
    return stream.digest({job.tensor: (None, seen) for job, seen in zip(jobs, stream.read(jobs), strict=True)})


def test_digest_tells_a_name_a_shape_and_a_type_apart(tmp_path: Path) -> None:
    zeros = torch.zeros(4, 6)
    variants = [{"w": zeros}, {"v": zeros}, {"w": zeros.reshape(6, 4)}, {"w": torch.zeros(4, 6, dtype=torch.int32)}]
    assert len({_digest(save(tmp_path / str(i), variant)) for i, variant in enumerate(variants)}) == len(variants)


def test_only_the_rows_in_use_are_kept_but_all_are_checked(tmp_path: Path) -> None:
    tensors = numbers()
    full = save(tmp_path, tensors)
    model = on_meta()
    model.table = nn.Parameter(torch.empty(2, 3, 5, device="meta"))
    loaded = load_weights(model, full, rows=lambda name: Rows(8, (6, 1)) if name == "table" else None)
    assert torch.equal(model.table, tensors["table"][[6, 1]])
    assert loaded.nbytes == full.nbytes
    other = on_meta()
    other.table = nn.Parameter(torch.empty(1, 3, 5, device="meta"))
    rows = lambda name: Rows(8, (4,)) if name == "table" else None  # noqa: E731
    assert load_weights(other, full, rows=rows).digest == loaded.digest
    with pytest.raises(CheckpointError, match=r"'table': expected \[9, 3, 5\], stored \[8, 3, 5\]"):
        load_weights(model, full, rows=lambda name: Rows(9, (6, 1)) if name == "table" else None)
    with pytest.raises(ValueError, match="cannot hold rows"):
        load_weights(model, full, rows=lambda name: Rows(8, (6, 8)) if name == "table" else None)


def test_numbers_that_are_not_finite_are_found_in_rows_that_are_not_kept(tmp_path: Path) -> None:
    tensors = numbers()
    tensors["table"][3] = float("nan")
    model = on_meta()
    model.table = nn.Parameter(torch.empty(2, 3, 5, device="meta"))
    with pytest.raises(CheckpointError, match="table"):
        load_weights(model, save(tmp_path, tensors), rows=lambda name: Rows(8, (6, 1)) if name == "table" else None)


def test_a_part_of_a_model_is_loaded_by_its_prefix(tmp_path: Path) -> None:
    tensors = {f"head.{name}": tensor for name, tensor in numbers().items()}
    model = on_meta()
    loaded = load_weights(model, save(tmp_path, {**tensors, "body.w": torch.full((3,), float("nan"))}), prefix="head.")
    assert torch.equal(model.state_dict()["table"], tensors["head.table"])
    assert loaded.unused == ()


def test_unused_tensors_are_not_read_and_everything_else_is_told_at_once(tmp_path: Path) -> None:
    tensors = {**numbers(), "lm_head.weight": torch.full((4,), float("nan")), "stranger": torch.ones(1)}
    del tensors["inner.b.weight"]
    tensors["table"] = torch.ones(8, 3, 6)
    tensors["inner.a.bias"] = torch.ones(300, dtype=torch.int32)
    tensors["count"] = torch.ones(4)
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path, tensors, unused=lambda name: name.startswith("lm_head"))
    text = str(caught.value)
    for part in (
        "1 tensors are missing:\n    'inner.b.weight' [2, 300]",
        "1 tensors are not known to the model:\n    'stranger'",
        "1 tensors are of another shape:\n    'table': expected [8, 3, 5], stored [8, 3, 6]",
        "'inner.a.bias': expected a float type, stored I32",
        "'count': expected I64, stored F32",
    ):
        assert part in text
    assert "lm_head" not in text


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load(tmp_path, {f"stranger{i}": torch.ones(1) for i in range(500)})
    text = str(caught.value)
    assert "500 tensors are not known to the model" in text
    assert "... and 480 more" in text
    assert len(text) < 3000


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_assigned(
    tmp_path: Path, dtype: torch.dtype, value: float
) -> None:
    tensors = numbers(dtype=dtype)
    tensors["inner.a.weight"][299, 6] = value
    tensors["scale"] = torch.tensor(value, dtype=dtype)
    model = on_meta()
    with pytest.raises(CheckpointError, match=r"2 tensors hold NaN or infinity: 'inner.a.weight', 'scale'"):
        load_weights(model, save(tmp_path, tensors))
    assert all(parameter.is_meta for parameter in model.parameters())


def test_the_largest_finite_numbers_are_no_infinity(tmp_path: Path) -> None:
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        tensors = numbers(dtype=dtype)
        tensors["inner.a.bias"][:2] = torch.tensor([torch.finfo(dtype).max, torch.finfo(dtype).min], dtype=dtype)
        model, _ = load(tmp_path / str(dtype), tensors)
        assert torch.equal(model.state_dict()["inner.a.bias"], tensors["inner.a.bias"])


@pytest.mark.parametrize(
    ("stored", "wanted", "value"),
    [
        (torch.float32, torch.float16, 70000.0),
        (torch.float32, torch.bfloat16, 3.4028e38),
        (torch.float64, torch.float32, 1e39),
        (torch.bfloat16, torch.float16, 1e5),
    ],
    ids=str,
)
def test_overflow_in_a_conversion_is_refused(
    tmp_path: Path, stored: torch.dtype, wanted: torch.dtype, value: float
) -> None:
    tensors = numbers(dtype=stored)
    tensors["scale"] = torch.tensor(-value, dtype=stored)
    with pytest.raises(CheckpointError, match=r"1 tensors are too large for the type asked for.*'scale'"):
        load(tmp_path, tensors, dtype=wanted)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.out = nn.Linear(4, 6, bias=False)
        self.out.weight = self.embed.weight


def test_tied_weights_need_one_name_and_stay_tied(tmp_path: Path) -> None:
    weight = torch.randn(6, 4)
    for i, names in enumerate([("embed.weight",), ("out.weight",), ("embed.weight", "out.weight")]):
        model = on_meta(Tied)
        load_weights(model, save(tmp_path / str(i), {name: weight.clone() for name in names}))
        assert model.embed.weight is model.out.weight
        assert torch.equal(model.embed.weight, weight)
    with pytest.raises(CheckpointError, match="are one tensor in the model, but two"):
        load_weights(on_meta(Tied), save(tmp_path / "differ", {"embed.weight": weight, "out.weight": weight + 1}))
    with pytest.raises(CheckpointError, match=r"1 tensors are missing:\n    'embed\.weight'"):
        load_weights(on_meta(Tied), save(tmp_path / "none", {}))


def test_a_file_that_shrinks_after_it_was_opened_is_an_error(tmp_path: Path) -> None:
    weights = save(tmp_path, numbers())
    path = tmp_path / SINGLE
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="ends 5 bytes too early"):
        load_weights(on_meta(), weights)


def test_all_tensors_of_a_file_can_be_read_as_they_are(tmp_path: Path) -> None:
    kinds = [torch.float32, torch.bfloat16, torch.int8, torch.uint8, torch.int16, torch.int32, torch.bool]
    tensors = {str(kind): torch.tensor([[0, 1, 1]]).to(kind) for kind in kinds}
    tensors |= {
        "nan": torch.tensor(float("nan")),
        "none": torch.empty(0, 3),
        "single": torch.tensor(3, dtype=torch.int64),
    }
    save_file(tensors, tmp_path / SINGLE)
    found, reference = read_tensors(tmp_path / SINGLE), load_file(tmp_path / SINGLE)
    assert set(found) == set(reference)
    for name, tensor in reference.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor) or name == "nan"
    assert found["nan"].isnan()


def test_memory_is_aligned_and_may_be_written(tmp_path: Path) -> None:
    model, _ = load(tmp_path, numbers())
    for tensor in model.state_dict().values():
        assert tensor.data_ptr() % 64 == 0
    model.table.zero_()
    assert not model.table.any()


PEAK = """
import sys
import torch
from pathlib import Path
from torch import nn
from groot_bench.models.shards import open_weights
from groot_bench.models.weights import load_weights

def status(field):
    (line,) = [line for line in open("/proc/self/status") if line.startswith(field)]
    return int(line.split()[1]) * 1024

with torch.device("meta"):
    model = nn.ModuleList(nn.Linear(2048, 2048) for _ in range(int(sys.argv[2])))
load_weights(nn.Linear(1, 1, bias=False), open_weights(Path(sys.argv[3])))  # whatever is set up once
before = status("VmRSS")
load_weights(model, open_weights(Path(sys.argv[1])), dtype=getattr(torch, sys.argv[4]))
held = sum(tensor.nbytes for tensor in model.state_dict().values())
print((status("VmHWM") - before) / held)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_peak_memory_is_hardly_more_than_the_weights(tmp_path: Path, dtype: str) -> None:
    layers = 36  # 300 MB as bfloat16
    piece = torch.randn(2048, 2048).to(torch.bfloat16)
    names = {f"{i}.weight": piece.clone() for i in range(layers)}
    save(tmp_path / "big", {**names, **{f"{i}.bias": piece[0].clone() for i in range(layers)}}, shards=2)
    save(tmp_path / "small", {"weight": torch.ones(1, 1)})
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "big", str(layers), tmp_path / "small", dtype],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 0.9 < float(done.stdout) <= 1.2


def test_headers_are_read_like_the_library_reads_them(tmp_path: Path) -> None:
    save_file(numbers(), tmp_path / SINGLE, metadata={"format": "pt"})
    header = read_header(tmp_path / SINGLE)
    assert {name: tensor.shape for name, tensor in header.items()} == {k: tuple(v.shape) for k, v in numbers().items()}
    begins = [tensor.begin for tensor in header.values()]
    assert begins == sorted(begins)

"""Packed weights give the same numbers, and a query leaves nothing to be computed on another device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from conftest import shared_folder
from models import make_features, make_head, make_model, make_row, transformer
from torch.utils._python_dispatch import TorchDispatchMode

from groot_bench.models.collate import collate, to_device
from groot_bench.models.engine import Engine
from groot_bench.models.family import Family
from groot_bench.models.golden_backbone import read_tensors
from groot_bench.models.golden_files import SCALE_LIMIT, golden_model
from groot_bench.models.inputs import Features
from groot_bench.models.packed import PackedLinear, can_pack, pack
from groot_bench.models.sampler import Sampler

FAMILIES = list(Family)


@pytest.mark.parametrize("activation", ["gelu-approximate", "gelu", "geglu"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_weights_give_the_same_actions(family: Family, activation: str) -> None:
    layers = make_head(family).config.dit.layers
    head, random = make_head(family, dit=transformer(layers, activation=activation)), np.random.default_rng(1)
    if not can_pack(head):
        pytest.skip("torch has no oneDNN here")
    features = make_features(random, 2, 9)
    state = torch.from_numpy(random.standard_normal((2, 1, head.config.state_dim)).astype(np.float32))
    noise = random.standard_normal((2, head.config.horizon, head.config.action_dim)).astype(np.float32)
    arguments = (features, state, torch.tensor([0, 1]), torch.from_numpy(noise))
    with torch.inference_mode():
        sampler = Sampler(head)
        plain = sampler(*arguments)
        pack(head)
        fast = sampler(*arguments)
    assert torch.allclose(plain, fast, rtol=1e-4, atol=1e-4 * float(plain.abs().max()))


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_weights_reproduce_the_golden_actions(family: Family) -> None:
    """`ckpt golden` compares the head as it is stored; a run on a CPU uses the packed one."""
    shared = shared_folder()
    if shared is None:
        pytest.skip("no shared folder with golden numbers")
    folder = shared / "golden" / family.value
    golden, head = read_tensors(folder / "head.safetensors"), golden_model(folder).action_head
    if not can_pack(head):
        pytest.skip("torch has no oneDNN here")
    slots, expected = golden["embodiment_id"].long(), golden["action_pred_unpadded_single"]
    sampler = Sampler(head)
    sampler.prepare()
    pack(head)
    for row, real in enumerate(golden["attention_mask"].bool()):
        one = slice(row, row + 1)
        image = golden["image_mask"].bool()[one, real]
        features = Features(golden["vl_features"][one, real], None, image)
        with torch.inference_mode():
            found = sampler(features, golden["state"][one], slots[one], golden["noise"][one])
        difference = float((found - expected[one]).abs().max())
        assert difference <= SCALE_LIMIT * float(expected.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_all_that_a_query_runs_is_packed(family: Family) -> None:
    head = make_head(family)
    if not can_pack(head):
        pytest.skip("torch has no oneDNN here")
    Sampler(head).prepare()
    pack(head)
    left = {name for name, module in head.named_modules() if isinstance(module, torch.nn.Linear)}
    assert left and all("norm1.linear" in name or "timestep" in name or "proj_out_1" in name for name in left)
    assert sum(isinstance(module, PackedLinear) for module in head.modules()) > 10


def test_packing_twice_changes_nothing() -> None:
    head = make_head(Family.N17)
    if not can_pack(head):
        pytest.skip("torch has no oneDNN here")
    pack(head)
    before = [module for module in head.modules() if isinstance(module, PackedLinear)]
    pack(head)
    assert [module for module in head.modules() if isinstance(module, PackedLinear)] == before


def test_only_float32_on_a_cpu_is_packed() -> None:
    head = make_head(Family.N17)
    assert not can_pack(head.to(torch.bfloat16))
    assert not can_pack(head.to(device="meta", dtype=torch.float32))
    mixed = make_head(Family.N17)
    mixed.model.proj_out_2.to(torch.bfloat16)
    assert not can_pack(mixed)


class OnTheCpu(TorchDispatchMode):
    """Notes operations that make tensors on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "cpu":
            self.seen.add(str(func))
        return out


@pytest.mark.parametrize("family", FAMILIES)
def test_forward_pass_stays_on_its_device(family: Family) -> None:
    """A tensor made on the CPU would keep the pass out of a CUDA graph. The meta device stands for a GPU."""
    model, random = make_model(family), np.random.default_rng(2)
    rows = [make_row(model, random) for _ in range(2)]
    batch = collate(model.config, rows, 64, 1, fixed=True)
    device = torch.device("meta")
    engine = Engine(model.to(device), pad=1, device=device, batch_size=2, layout="bucketed")
    with torch.inference_mode(), OnTheCpu() as watch:
        engine._compute(to_device(batch, device, torch.float32))
    assert watch.seen == set()

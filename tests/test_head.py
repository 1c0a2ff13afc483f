"""The action head: the fast path equals the straightforward one, masks mean what they say, training works."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from conftest import shared_folder
from models import WIDTH, make_features, make_head, transformer
from torch import Tensor

from groot_bench.models.family import Family
from groot_bench.models.golden_files import golden_model
from groot_bench.models.golden_head import compare_head, compare_training
from groot_bench.models.head import ActionHead
from groot_bench.models.inputs import Features
from groot_bench.models.sampler import Overlap, Sampler
from groot_bench.models.tokens import pick
from groot_bench.models.transformer import Modulation

FAMILIES = list(Family)


def arguments(head: ActionHead, rows: int = 2, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """State, slots, noise."""
    random, config = np.random.default_rng(seed), head.config
    state = random.standard_normal((rows, config.state_history, config.state_dim)).astype(np.float32)
    noise = random.standard_normal((rows, config.horizon, config.action_dim)).astype(np.float32)
    return torch.from_numpy(state), torch.arange(rows) % config.embodiments, torch.from_numpy(noise)


def straightforward(head: ActionHead, features: Features, state: Tensor, slots: Tensor, noise: Tensor) -> Tensor:
    """Euler's method as in the definition: everything anew in each step."""
    x = noise
    for step in range(head.config.steps):
        encoded = head.encode(features)
        sources = head.sources(encoded, head.token_sets(encoded))
        times = torch.full((len(x),), int(step / head.config.steps * head.config.buckets))
        x = x + head.velocity(head.encode_state(state, slots), x, times, slots, sources) / head.config.steps
    return x


VARIANTS: list[dict[str, object]] = [
    {},
    {"vl_norm": False},
    {"vl_attention": None},
    {"positions": 0},
    {"steps": 7},
    {"state_history": 3},
    {"text_every": 3, "dit": transformer(12)},
    {"text_every": 0, "dit": transformer(5, interleave=False)},
    {"dit": transformer(8, activation="geglu")},
    {"dit": transformer(8, activation="gelu", bias=False)},
    {"dit": transformer(8, sinusoidal=64)},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: ",".join(variant) or "released")
@pytest.mark.parametrize("family", FAMILIES)
def test_sampler_equals_the_straightforward_head(family: Family, variant: dict[str, object]) -> None:
    if family is Family.N15 and "text_every" in variant:
        pytest.skip("N1.5 has a plain transformer")
    head = make_head(family, **variant)
    features = make_features(np.random.default_rng(0), 2, 19)
    state, slots, noise = arguments(head)
    with torch.no_grad():
        fast = Sampler(head)(features, state, slots, noise)
        slow = straightforward(head, features, state, slots, noise)
    assert torch.allclose(fast, slow, atol=2e-5)
    assert fast.std() > 0.1


def test_every_norm_of_the_transformer_keeps_its_own_epsilon() -> None:
    """1e-5 in the blocks, 1e-6 after the last (diffusers' `norm_out`); small tokens tell them apart."""
    model = make_head(Family.N15).model
    x = 1e-3 * torch.from_numpy(np.random.default_rng(0).standard_normal((1, 5, WIDTH)).astype(np.float32))
    block, seen = model.transformer_blocks[1], []  # of those that attend to the tokens themselves
    block.attn1.to_q.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        modulations = model.modulations(torch.tensor([250]))
        block(x, None, modulations[1], None)
        model.config = dataclasses.replace(model.config, layers=0)
        model.transformer_blocks = torch.nn.ModuleList()
        out = model(x, [], modulations[-1:])

        def normed(eps: float, by: Modulation) -> Tensor:
            return x / (x.var(-1, keepdim=True, unbiased=False) + eps).sqrt() * by.scale + by.shift

        x = x - x.mean(-1, keepdim=True)
        assert torch.allclose(seen[0], normed(1e-5, modulations[1]), atol=1e-5)
        assert torch.allclose(out, model.proj_out_2(normed(1e-6, modulations[-1])), atol=1e-5)
        assert not torch.allclose(out, model.proj_out_2(normed(1e-5, modulations[-1])), atol=1e-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_of_any_content_changes_nothing(family: Family) -> None:
    head, random = make_head(family), np.random.default_rng(0)
    features = make_features(random, 2, 19, real=[19, 12])
    state, slots, noise = arguments(head)
    assert features.mask is not None
    other = torch.where(features.mask.unsqueeze(-1), features.hidden, torch.full_like(features.hidden, 7.0))
    cut = Features(features.hidden[1:, 7:], None, features.image_mask[1:, 7:])
    with torch.no_grad():
        sampler = Sampler(head)
        padded = sampler(features, state, slots, noise)
        refilled = sampler(features._replace(hidden=other), state, slots, noise)
        alone = sampler(cut, state[1:], slots[1:], noise[1:])
    assert torch.allclose(padded, refilled, atol=1e-5)
    assert torch.allclose(padded[1:], alone, atol=2e-5)


@pytest.mark.parametrize("family", [Family.N15, Family.N17])
def test_upstream_padding_is_seen(family: Family) -> None:
    head = make_head(family)
    features = make_features(np.random.default_rng(0), 2, 19, real=[19, 12])
    state, slots, noise = arguments(head)
    with torch.no_grad():
        ours = Sampler(head)(features, state, slots, noise)
        theirs = Sampler(head)(features, state, slots, noise, upstream_padding=True)
    assert torch.allclose(ours[0], theirs[0], atol=1e-5)
    assert (ours[1] - theirs[1]).abs().max() > 1e-3


@pytest.mark.parametrize("family", [Family.N16, Family.N17])
def test_text_and_image_blocks_see_their_tokens_only(family: Family) -> None:
    head = make_head(family)
    features = make_features(np.random.default_rng(0), 1, 19)
    encoded = head.encode(features)
    sets = head.token_sets(encoded)
    for index, source in enumerate(head.sources(encoded, sets)):
        if index % 2:
            assert source is None
        else:
            assert source is not None
            assert source.key.shape[2] == (15 if index % 4 == 0 else 4)


def test_tokens_are_picked_in_order() -> None:
    wanted = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 1]], dtype=torch.bool)
    found = pick(wanted)
    assert found.places is not None and found.mask is not None
    assert found.places.tolist() == [[0, 2, 3], [3, 0, 0]]
    assert found.mask.tolist() == [[True] * 3, [True, False, False]]
    assert pick(wanted[:1]).mask is None
    fixed = pick(wanted[:1], 4)
    assert fixed.mask is not None and fixed.mask.tolist() == [[True, True, True, False]]


def test_overlap_keeps_frozen_steps_and_frees_the_rest() -> None:
    head = make_head(Family.N17)
    features = make_features(np.random.default_rng(0), 2, 19)
    state, slots, noise = arguments(head)
    previous = torch.randn(noise.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        chunk = Sampler(head)(features, state, slots, noise, overlap=Overlap(previous, 6, 4, 2, 3.0))
    assert torch.equal(chunk[:, :2], previous[:, 2:4])
    assert not torch.equal(chunk[:, 2:4], previous[:, 4:6])


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_is_the_masked_error_of_the_velocity(family: Family) -> None:
    head, random = make_head(family), np.random.default_rng(5)
    features = make_features(random, 3, 19)
    state, slots, noise = arguments(head, rows=3)
    action = torch.from_numpy(random.standard_normal(noise.shape).astype(np.float32))
    mask = torch.zeros_like(action)
    mask[:, :5, :7] = 1
    beta = torch.tensor([0.2, 0.7, 0.999])
    found = head.loss(features, state, slots, action, mask, noise, beta)
    error = ((found.velocity_pred - (action - noise)) ** 2 * mask).sum() / mask.sum()
    assert torch.allclose(found.loss, error, rtol=1e-5)
    assert torch.equal(found.noisy_action, (1 - found.t[:, None, None]) * noise + found.t[:, None, None] * action)
    expected = (0.999 - beta) / 0.999 if family is Family.N15 else (1 - beta) * 0.999
    assert torch.equal(found.t, expected)


def test_dropped_state_becomes_the_learned_token() -> None:
    head, random = make_head(Family.N16, mask_token=True, state_dropout=0.5), np.random.default_rng(5)
    features = make_features(random, 2, 19)
    state, slots, noise = arguments(head)
    dropped = torch.tensor([False, True])
    found = head.loss(features, state, slots, noise, torch.ones_like(noise), -noise, torch.rand(2), dropped=dropped)
    assert torch.equal(found.state_features[1], head.mask_token[0])
    assert torch.equal(found.state_features[0], head.encode_state(state, slots)[0])
    zeroed = make_head(Family.N17).loss(
        features, state, slots, noise, torch.ones_like(noise), -noise, torch.rand(2), dropped=dropped
    )
    assert not zeroed.state_features[1].any()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_few_steps_of_training_lower_the_loss(family: Family) -> None:
    head, random = make_head(family), np.random.default_rng(5)
    head.requires_grad_(True)
    features = make_features(random, 4, 19)
    state, slots, noise = arguments(head, rows=4)
    action = torch.tanh(noise.flip(0))
    beta = torch.tensor([0.1, 0.4, 0.6, 0.9])
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    losses = []
    for _ in range(15):
        found = head.loss(features, state, slots, action, torch.ones_like(action), noise, beta)
        optimizer.zero_grad()
        found.loss.backward()
        optimizer.step()
        losses.append(float(found.loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_head_reproduces_the_golden_numbers(family: Family) -> None:
    shared = shared_folder()
    if shared is None:
        pytest.skip("no shared folder with golden numbers")
    folder = shared / "golden" / family.value
    head = golden_model(folder).action_head
    lines = [*compare_head(folder, head), *compare_training(folder, head)]
    assert len(lines) > 100
    assert [line for line in lines if not line.ok] == []

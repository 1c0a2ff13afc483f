"""The three vision-language backbones: names, expected numbers, and what no row or image may depend on."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import shared_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from transformers import Qwen3Config, SiglipVisionConfig
from transformers.models.qwen3.modeling_qwen3 import Qwen3Model
from transformers.models.qwen3_vl import modeling_qwen3_vl
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLConfig
from transformers.models.siglip.modeling_siglip import SiglipVisionModel

from groot_bench.errors import CheckpointError, SpecMismatch, UnknownName
from groot_bench.models.backbone_config import RELEASED, BackboneConfig, TextConfig, VisionConfig, parse_backbone
from groot_bench.models.backbones.backbone import spread
from groot_bench.models.backbones.base import Backbone, make_backbone, positions, require_tokens
from groot_bench.models.backbones.grids import Grid, cut, merge_patches
from groot_bench.models.backbones.language import LanguageModel
from groot_bench.models.backbones.prompt import token_count
from groot_bench.models.backbones.qwen_vision import QwenVisionTower
from groot_bench.models.backbones.siglip import PatchEmbeddings
from groot_bench.models.family import Family
from groot_bench.models.golden_backbone import FILE, compare_backbone
from groot_bench.models.inputs import BackboneInputs
from groot_bench.models.jsonfields import Fields

TEXT = TextConfig(64, 32, 3, 4, 2, 16, 40, 1e6, 1e-6, False)
SIGLIP = VisionConfig(24, 2, 2, 20, 4, 16, 16, 1, 1e-6)
QWEN = VisionConfig(24, 3, 2, 20, 4, 25, 0, 2, 1e-6, temporal=2, out=32, deepstack=(2, 0))
CONFIGS = {
    Family.N15: BackboneConfig(TEXT, SIGLIP, 60, 1, False, 0),
    Family.N16: BackboneConfig(TEXT, dataclasses.replace(SIGLIP, merge=2), 60, 2, True, 0),
    Family.N17: BackboneConfig(dataclasses.replace(TEXT, mrope_section=(4, 2, 2)), QWEN, 60, 0, False, 0, 61, 62),
}
GRIDS: dict[Family, tuple[Grid, ...]] = {
    Family.N15: ((4, 4),),
    Family.N16: ((4, 4), (2, 6), (6, 4)),
    Family.N17: ((4, 4), (2, 6), (8, 2)),
}
families = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)


class Sample(NamedTuple):
    """One prompt with its images."""

    ids: np.ndarray
    images: list[Tensor]
    grids: list[Grid]


def filled(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The model with random weights, in which norms are near one, ready for inference."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=generator)
        norm = weight.ndim == 1 and name.endswith("weight")
        weight.data = 1 + 0.1 * noise if norm else noise * (0.3 if weight.ndim == 1 else weight[0].numel() ** -0.5)
    return model.eval()


def backbone(family: Family, attn: str = "sdpa", **changes: object) -> Backbone:
    model = filled(make_backbone(family, dataclasses.replace(CONFIGS[family], **changes), attn))
    assert isinstance(model, Backbone)
    return model


def sample(family: Family, seed: int, images: int = 2, text: int = 5) -> Sample:
    """Text, image, text, image, ... text, with the text pieces of `text` random tokens."""
    rng, config = np.random.default_rng(seed), CONFIGS[family]
    generator = torch.Generator().manual_seed(seed)
    grids = [GRIDS[family][index] for index in rng.integers(len(GRIDS[family]), size=images)]
    pieces = [rng.integers(0, 60, text)]
    pictures = []
    for rows, columns in grids:
        pieces += [np.full(token_count(config, (rows, columns)), config.image_token), rng.integers(0, 60, text)]
        patch = config.vision.patch
        shape = (3, rows * patch, columns * patch)
        if family is Family.N17:
            shape = (rows * columns, 3 * config.vision.temporal * patch**2)
        pictures.append(torch.randn(shape, generator=generator))
    return Sample(np.concatenate(pieces), pictures, grids)


def batch(family: Family, samples: list[Sample], side: str = "", length: int = 0) -> BackboneInputs:
    """The samples padded on one side; on the left with a mask, and with the originals' positions."""
    length = max(length, *(len(each.ids) for each in samples))
    ids, mask = torch.full((len(samples), length), 63), torch.zeros(len(samples), length, dtype=torch.bool)
    where = torch.ones(3, len(samples), length, dtype=torch.int64)
    for row, each in enumerate(samples):
        place = slice(length - len(each.ids), length) if side == "left" else slice(0, len(each.ids))
        ids[row, place], mask[row, place] = torch.from_numpy(each.ids), True
        where[:, row, place] = positions(family, CONFIGS[family], each.ids, each.grids)
    if family is not Family.N17:
        where = torch.arange(length).expand(len(samples), length)
    images = [image for each in samples for image in each.images]
    grids = [grid for each in samples for grid in each.grids]
    return BackboneInputs(ids, where, mask if side == "left" else None, images, grids)


def features(model: Backbone, inputs: BackboneInputs) -> Tensor:
    with torch.no_grad():
        return model(inputs).hidden


# Expected numbers


@pytest.fixture
def golden() -> Path:
    shared = shared_folder()
    if shared is None or not (shared / "golden").is_dir():
        pytest.skip("no shared/golden folder next to this checkout")
    return shared / "golden"


@families
def test_golden_backbone_is_reproduced(golden: Path, family: Family) -> None:
    found = list(compare_backbone(golden / family.value))
    assert {"features", "image_tokens", "image_mask"} <= {line.field for line in found}
    assert all(line.ok and line.difference < 2e-5 for line in found), found


def test_golden_fields_that_cannot_be_compared_are_infinitely_far(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "n16"
    shutil.copytree(golden / "n16", folder, copy_function=shutil.copyfile)
    tensors = load_file(folder / FILE)
    tensors["features"] = tensors["features"][:, :-1].contiguous()
    tensors["something_new"] = torch.zeros(2)
    save_file(tensors, folder / FILE)
    bad = {line.field for line in compare_backbone(folder) if line.difference == math.inf}
    assert bad == {"features", "something_new"}
    del tensors["input_ids"]
    save_file(tensors, folder / FILE)
    (line,) = compare_backbone(folder)
    assert "input_ids" in line.field and not line.ok
    (folder / FILE).write_bytes(b"\xff" * 20)
    (line,) = compare_backbone(folder)
    assert "cannot be read" in line.field and not line.ok


def test_golden_weights_must_be_those_of_the_model(golden: Path, tmp_path: Path) -> None:
    folder = tmp_path / "n17"
    shutil.copytree(golden / "n17", folder, copy_function=shutil.copyfile)
    weights = load_file(folder / "checkpoint" / "model.safetensors")
    weights["backbone.model.model.visual.blocks.9.norm1.weight"] = torch.zeros(32)
    del weights["backbone.model.model.visual.pos_embed.weight"]
    save_file(weights, folder / "checkpoint" / "model.safetensors")
    (line,) = compare_backbone(folder)
    assert "pos_embed.weight is missing" in line.field and "blocks.9.norm1.weight is not known" in line.field


# Names and sizes of the released models

_LAYER = (
    "input_layernorm post_attention_layernorm self_attn.q_norm self_attn.k_norm self_attn.q_proj self_attn.k_proj "
    "self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj"
)
_SIGLIP_LAYER = (
    "layer_norm1 layer_norm2 self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.out_proj mlp.fc1 mlp.fc2"
)
_QWEN_LAYER = "norm1 norm2 attn.qkv attn.proj mlp.linear_fc1 mlp.linear_fc2"


def names(*groups: str, both: bool = True) -> set[str]:
    """Prefixed modules -> their tensors; a group is "prefix: module module"."""
    found = set()
    for group in groups:
        prefix, _, modules = group.partition(":")
        for module in modules.split():
            found |= {f"{prefix}{module}.weight", *([f"{prefix}{module}.bias"] if both else [])}
    return found


def released_names(family: Family, text: int, vision: int) -> set[str]:
    root = {Family.N15: "eagle_model.", Family.N16: "model.", Family.N17: "model.model."}[family]
    language = f"{root}language_model." + ("" if family is Family.N17 else "model.")
    found = names(
        f"{language}: embed_tokens norm", *(f"{language}layers.{n}.: {_LAYER}" for n in range(text)), both=False
    )
    if family is Family.N17:
        visual = f"{root}visual."
        mergers = [f"{visual}{name}.: norm linear_fc1 linear_fc2" for name in ("merger", "deepstack_merger_list.0")]
        mergers += [mergers[1].replace("list.0", f"list.{n}") for n in (1, 2)]
        blocks = [f"{visual}blocks.{n}.: {_QWEN_LAYER}" for n in range(vision)]
        return found | names(f"{visual}: patch_embed.proj", *mergers, *blocks) | {f"{visual}pos_embed.weight"}
    tower = f"{root}vision_model.vision_model."
    layers = [f"{tower}encoder.layers.{n}.: {_SIGLIP_LAYER}" for n in range(vision)]
    projector = f"{root}mlp1.: " + ("0" if family is Family.N15 else "0 1 3")
    found |= names(f"{tower}: embeddings.patch_embedding post_layernorm", projector, *layers)
    return found | {f"{tower}embeddings.position_embedding.weight"}


def released(family: Family) -> Backbone:
    """Without memory."""
    problems: list[str] = []
    layers = 12 if family is Family.N15 else 16
    config = parse_backbone(family, Fields({"select_layer": layers}, "config.json", problems), None, problems)
    assert not problems
    with torch.device("meta"):
        return make_backbone(family, config)


@families
def test_names_are_the_released_ones(family: Family) -> None:
    layers = (12, 27) if family is Family.N15 else (16, 24 if family is Family.N17 else 27)
    assert set(released(family).state_dict()) == released_names(family, *layers)


@families
def test_sizes_are_the_released_ones(family: Family) -> None:
    total = sum(weight.numel() for weight in released(family).parameters())
    head = {  # of the action heads, measured on the originals: all that follows the backbone
        Family.N15: 1_068_806_144,
        Family.N16: 1_091_722_240 + 54_607_872 + 232_931_328 + 37_785_600 + 1024 * 1536 + 4096,
        Family.N17: 1_091_722_240 + 201_433_088 + 54_738_944 + 233_127_936 + 37_916_800 + 1024 * 1536 + 4096,
    }[family]
    pooling = 1152 + 4 * 1152 * 1152 + 4 * 1152 + 2 * 1152 + 2 * 1152 * 4304 + 4304 + 1152
    unused = 0 if family is Family.N17 else 151680 * 2048 + pooling
    published = {Family.N15: 2_724_163_520, Family.N16: 3_286_608_832, Family.N17: 3_144_016_000}[family]
    assert total + head + unused == published


@families
def test_only_the_pooling_head_and_the_output_layer_are_unused(family: Family) -> None:
    model = backbone(family)
    assert not any(model.is_unused(f"backbone.{name}") for name in model.state_dict())
    root = {Family.N15: "backbone.eagle_model", Family.N16: "backbone.model", Family.N17: "backbone.model"}[family]
    head = f"{root}.vision_model.vision_model.head"
    language = root if family is Family.N17 else f"{root}.language_model"
    assert model.is_unused(f"{language}.lm_head.weight")
    assert model.is_unused(f"{head}.attention.in_proj_bias") is (family is not Family.N17)
    assert not model.is_unused(f"{head}.attention.other") and not model.is_unused("lm_head.weight")


@families
def test_building_draws_no_random_number_and_needs_no_buffer(family: Family) -> None:
    state = torch.get_rng_state()
    model = make_backbone(family, CONFIGS[family])
    with torch.device("meta"):
        bare = make_backbone(family, CONFIGS[family])
    assert torch.equal(state, torch.get_rng_state())
    assert all(weight.is_meta for weight in bare.parameters()) and not list(bare.buffers())
    bare.load_state_dict(filled(model).state_dict(), assign=True)
    inputs = batch(family, [sample(family, 0)])
    assert torch.equal(features(bare.eval(), inputs), features(model, inputs))


# Rows and images


@families
@pytest.mark.parametrize("side", ["left", "right"])
def test_row_is_the_same_alone_and_in_a_padded_batch(family: Family, side: str) -> None:
    model = backbone(family)
    samples = [sample(family, seed, images=seed % 3, text=3 + seed) for seed in range(4)]
    together = features(model, batch(family, samples, side, length=70))
    for row, each in enumerate(samples):
        place = slice(70 - len(each.ids), 70) if side == "left" else slice(0, len(each.ids))
        alone = features(model, batch(family, [each]))[0]
        # N1.5 and N1.6 count padding on the left, but rotary attention sees differences of positions only.
        torch.testing.assert_close(together[row, place], alone, rtol=0, atol=1e-5)


@families
def test_neighbors_do_not_matter(family: Family) -> None:
    model = backbone(family)
    mine = sample(family, 1)
    one, two = (features(model, batch(family, [sample(family, seed), mine], length=60))[1] for seed in (2, 3))
    torch.testing.assert_close(one[: len(mine.ids)], two[: len(mine.ids)], rtol=0, atol=1e-5)


@families
@pytest.mark.parametrize("side", ["left", "right"])
def test_masked_padding_attends_to_nothing(family: Family, side: str) -> None:
    model = backbone(family)
    samples = [sample(family, 0, text=2), sample(family, 1, images=3)]
    mask = batch(family, samples, "left").mask
    assert mask is not None
    mask = mask if side == "left" else mask.flip(1)
    padding = features(model, dataclasses.replace(batch(family, samples, side), mask=mask))[0][~mask[0]]
    assert len(padding) > 1 and bool((padding == padding[0]).all())  # one token, wherever it stands


@families
def test_images_do_not_see_each_other_and_keep_their_order(family: Family) -> None:
    model = backbone(family)
    a, b, c = (sample(family, seed, images=1) for seed in (0, 1, 2))

    def encode(*samples: Sample) -> list[Tensor]:
        pairs = [(each.images[0], each.grids[0]) for each in samples]
        encoded = model.encode_images([image for image, _ in pairs], [grid for _, grid in pairs])
        counts = [token_count(model.config, grid) for _, grid in pairs]
        return list(zip(*(part.split(counts) for part in (encoded.tokens, *encoded.deepstack)), strict=True))

    with torch.no_grad():
        alone = {id(each): encode(each)[0] for each in (a, b, c)}
        for order in ((a, b, c, a), (c, a, b, b)):
            for each, found in zip(order, encode(*order), strict=True):
                for mine, wanted in zip(found, alone[id(each)], strict=True):
                    torch.testing.assert_close(mine, wanted, rtol=0, atol=1e-5)


@families
def test_precomputed_image_features_stand_for_the_images(family: Family) -> None:
    model, inputs = backbone(family), batch(family, [sample(family, 0), sample(family, 1)])
    with torch.no_grad():
        encoded = model.encode_images(inputs.images, inputs.grids)
        again = model(dataclasses.replace(inputs, images=[], grids=[]), encoded).hidden
    assert torch.equal(again, features(model, inputs))


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=3))
def test_spread_puts_rows_in_order(marks: list[list[bool]]) -> None:
    mask = torch.tensor(marks)
    rows = torch.arange(1, int(mask.sum()) + 2, dtype=torch.float32).unsqueeze(1)
    wanted = torch.zeros(mask.shape)
    wanted[mask] = rows[:-1, 0]
    assert torch.equal(spread(rows, mask, torch.zeros(*mask.shape, 1))[..., 0], wanted)


def test_wrong_images_are_refused() -> None:
    for family in Family:
        model, mine = backbone(family), sample(family, 0, images=1)
        with pytest.raises(SpecMismatch, match="expected an image"):
            model.encode_images([mine.images[0]], [(2, 2)])
    with pytest.raises(SpecMismatch, match="expected images of 16 patches"):
        backbone(Family.N15).encode_images([torch.zeros(3, 24, 16)], [(6, 4)])
    with pytest.raises(SpecMismatch, match="multiples of 2"):
        backbone(Family.N16).encode_images([torch.zeros(3, 12, 16)], [(3, 4)])
    with pytest.raises(SpecMismatch, match="multiples of 2"):
        backbone(Family.N17).encode_images([torch.zeros(12, 96)], [(3, 4)])


# Prompts


@families
def test_prompts_with_the_wrong_number_of_image_tokens_are_refused(family: Family) -> None:
    config, mine = CONFIGS[family], sample(family, 0)
    require_tokens(family, config, mine.ids, mine.grids)
    with pytest.raises(SpecMismatch, match=r"1 images .* need \d+ image tokens, but the prompt has"):
        require_tokens(family, config, mine.ids, mine.grids[:1])
    with pytest.raises(SpecMismatch, match="need"):
        require_tokens(family, config, np.append(mine.ids, config.image_token), mine.grids)
    with pytest.raises(SpecMismatch, match="tokenizer"):
        require_tokens(family, config, np.append(mine.ids, 64), mine.grids)
    with pytest.raises(SpecMismatch, match="whole numbers"):
        require_tokens(family, config, mine.ids.astype(np.float32), mine.grids)


def test_positions_need_whole_images() -> None:
    config, image = CONFIGS[Family.N17], 60
    broken = np.array([image] * 3 + [1] + [image])
    for ids, grids in ((broken, [(4, 4)]), (np.array([image] * 4), []), (np.array([image] * 3), [(4, 4)])):
        with pytest.raises(SpecMismatch, match="image"):
            positions(Family.N17, config, ids, grids)
    with pytest.raises(SpecMismatch, match="in a row"):
        require_tokens(Family.N17, config, broken, [(4, 4)])
    with pytest.raises(SpecMismatch, match="video"):
        require_tokens(Family.N17, config, np.array([config.video_token]), [])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(GRIDS[Family.N17])), max_size=4), st.integers(1, 4))
def test_positions_are_those_of_transformers(parts: list[tuple[int, Grid]], last: int) -> None:
    config = CONFIGS[Family.N17]
    ids = [
        token for text, (rows, columns) in parts for token in [1] * text + [2] + [60] * (rows // 2 * (columns // 2))
    ] + [3] * last
    grids = [grid for _, grid in parts]
    rows = torch.tensor([ids])
    shell = modeling_qwen3_vl.Qwen3VLModel.__new__(modeling_qwen3_vl.Qwen3VLModel)
    torch.nn.Module.__init__(shell)
    shell.config = Qwen3VLConfig(image_token_id=60, vision_config={"spatial_merge_size": 2})
    shapes = torch.tensor([(1, *grid) for grid in grids]) if grids else None
    wanted, _ = shell.get_rope_index(rows, (rows == 60).int(), shapes)
    assert torch.equal(positions(Family.N17, config, np.array(ids), grids), wanted[:, 0])


# The parts against transformers and torch


@pytest.mark.parametrize("grid", [(4, 4), (2, 6), (10, 2), (12, 14)])
def test_qwen_tower_is_that_of_transformers(grid: Grid) -> None:
    mine = filled(QwenVisionTower(QWEN, "math"))
    layout = modeling_qwen3_vl.Qwen3VLVisionConfig(
        hidden_size=24,
        intermediate_size=20,
        depth=3,
        num_heads=2,
        patch_size=4,
        out_hidden_size=32,
        num_position_embeddings=25,
        deepstack_visual_indexes=[2, 0],
        attn_implementation="eager",
    )
    theirs = modeling_qwen3_vl.Qwen3VLVisionModel(layout).eval()
    theirs.load_state_dict(mine.state_dict())
    images = torch.randn(2, grid[0] * grid[1], 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        hidden, tokens, *deepstack = mine(images, grid)
        wanted = theirs(images.flatten(0, 1), torch.tensor([[1, *grid]] * 2))
    torch.testing.assert_close(hidden.flatten(0, 1), wanted.last_hidden_state, rtol=0, atol=1e-5)
    torch.testing.assert_close(tokens.flatten(0, 1), wanted.pooler_output, rtol=0, atol=1e-5)
    for one, two in zip(deepstack, wanted.deepstack_features, strict=True):
        torch.testing.assert_close(one.flatten(0, 1), two, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_language_model_is_that_of_transformers(bias: bool) -> None:
    mine = filled(LanguageModel(dataclasses.replace(TEXT, bias=bias, rope_theta=5e4), "sdpa"))
    layout = Qwen3Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        attention_bias=bias,
        rope_parameters={"rope_type": "default", "rope_theta": 5e4},
        attn_implementation="eager",
    )
    theirs = Qwen3Model(layout).eval()
    theirs.load_state_dict(mine.state_dict())
    ids = torch.arange(40).view(2, 20)
    with torch.no_grad():
        hidden = mine.norm(mine(mine.embed_tokens(ids), torch.arange(20).expand(2, 20), None))
        wanted = theirs(ids, use_cache=False).last_hidden_state
    torch.testing.assert_close(hidden, wanted, rtol=0, atol=1e-5)


def test_siglip_tower_is_that_of_transformers_even_where_pixels_are_left_over() -> None:
    config = dataclasses.replace(CONFIGS[Family.N15], vision=dataclasses.replace(SIGLIP, image_size=18))
    model = filled(make_backbone(Family.N15, config))
    tower = model.get_submodule("eagle_model.vision_model.vision_model")
    layout = SiglipVisionConfig(
        hidden_size=24,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        patch_size=4,
        image_size=18,
        vision_use_head=False,
        attn_implementation="eager",
    )
    theirs = SiglipVisionModel(layout).eval()
    known = set(theirs.state_dict())
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in known) else ""
    theirs.load_state_dict({prefix + name: weight for name, weight in tower.state_dict().items()})
    images = torch.randn(2, 3, 18, 18, generator=torch.Generator().manual_seed(0))
    trace: dict[str, Tensor] = {}
    with torch.no_grad():
        model.encode_images(list(images), [(4, 4)] * 2, trace)
        wanted = theirs(images).last_hidden_state
    torch.testing.assert_close(trace["vision_last_hidden"], wanted, rtol=0, atol=1e-5)


def resize_matrix(size: int, side: int) -> np.ndarray:
    """(size, side): what each of `size` points takes from `side` entries, by a triangle as wide as a point's share."""
    scale = side / size
    distance = np.arange(side) + 0.5 - (np.arange(size)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(distance) / max(scale, 1))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("grid", [(4, 4), (2, 6), (8, 2), (10, 12)])
def test_n16_positions_are_resized_with_antialiasing(grid: Grid) -> None:
    embeddings = PatchEmbeddings(SIGLIP, resized=True)
    embeddings.patch_embedding.weight.data.zero_()
    embeddings.patch_embedding.bias.data.zero_()
    table = embeddings.position_embedding.weight.detach().numpy().reshape(4, 4, -1)
    with torch.no_grad():
        found = embeddings(torch.zeros(1, grid[0] * grid[1], 48), grid)[0].numpy()
    rows, columns = resize_matrix(grid[0], 4), resize_matrix(grid[1], 4)
    wanted = np.einsum("ya,xb,abd->yxd", rows, columns, table).reshape(len(found), -1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_patches_are_cut_and_merged_as_torch_and_the_originals_do() -> None:
    image = torch.arange(3 * 8 * 12.0).view(3, 8, 12)
    patches = cut(image, (2, 3), 4, channels_last=False).flatten(2).flatten(0, 1)
    assert torch.equal(patches, functional.unfold(image.unsqueeze(0), 4, stride=4)[0].T)
    assert torch.equal(cut(image, (2, 3), 4, channels_last=True)[1, 2], image[:, 4:, 8:].permute(1, 2, 0))
    x = torch.arange(2 * 24 * 5.0).view(2, 24, 5)
    picture = x.view(2, 4, 6, 5).permute(0, 3, 1, 2)
    wanted = functional.pixel_unshuffle(picture, 2).flatten(2).transpose(1, 2)
    assert torch.equal(merge_patches(x, (4, 6), 2, channels_first=True), wanted)
    shuffled = merge_patches(x, (4, 6), 2, channels_first=False)
    assert torch.equal(shuffled[0, 1], torch.cat([x[0, place] for place in (2, 3, 8, 9)]))


@pytest.mark.parametrize("connector", [1, 2])
def test_n15_can_merge_patches_and_project(connector: int) -> None:
    vision = dataclasses.replace(SIGLIP, merge=2)
    config = dataclasses.replace(CONFIGS[Family.N15], vision=vision, connector=connector, pixel_shuffle=True, project=7)
    model = filled(make_backbone(Family.N15, config))
    projector = {name for name in model.state_dict() if "mlp1" in name}
    assert {int(re.findall(r"mlp1\.(\d)", name)[0]) for name in projector} == ({0} if connector == 1 else {0, 1, 3})
    assert model.state_dict()["eagle_linear.weight"].shape == (7, 32)
    ids = torch.tensor([[1, 60, 60, 60, 60, 2]])
    inputs = BackboneInputs(ids, torch.arange(6)[None], None, [torch.ones(3, 16, 16)], [(4, 4)])
    trace: dict[str, Tensor] = {}
    with torch.no_grad():
        out = model(inputs, trace=trace).hidden
        norm = model.get_submodule("eagle_model.language_model.model.norm")(trace["features_pre_norm"])
        wanted = model.get_submodule("eagle_linear")(norm)
        first = torch.cat([trace["vision_last_hidden"][0, place] for place in (0, 1, 4, 5)])  # row by row
        token = model.get_submodule("eagle_model.mlp1")(first)
    assert out.shape == (1, 6, 7) and torch.equal(out, wanted)
    torch.testing.assert_close(trace["image_tokens"][0, 0], token, rtol=0, atol=1e-5)


def test_models_that_cannot_be_are_refused() -> None:
    with pytest.raises(CheckpointError, match="use_pixel_shuffle"):
        backbone(Family.N15, connector=2)
    with pytest.raises(CheckpointError, match="head_dim 15"):
        backbone(Family.N15, text=dataclasses.replace(TEXT, head_dim=15))
    with pytest.raises(CheckpointError, match="4 n"):
        backbone(Family.N17, vision=dataclasses.replace(QWEN, heads=4))
    with pytest.raises(UnknownName, match="sdpa"):
        backbone(Family.N16, attn="spda")
    assert set(RELEASED) == set(Family)


# Training and types


@families
@pytest.mark.parametrize("side", ["", "left"])
def test_gradients_reach_every_parameter(family: Family, side: str) -> None:
    model = backbone(family)
    model(batch(family, [sample(family, 0), sample(family, 1, text=2)], side)).hidden.square().sum().backward()
    silent = {
        name
        for name, weight in model.named_parameters()
        if weight.grad is None or not weight.grad.isfinite().all() or not weight.grad.any()
    }
    # The features of N1.7 are taken before the norm.
    assert silent == ({"model.model.language_model.norm.weight"} if family is Family.N17 else set())


@families
def test_bfloat16_is_near_float32(family: Family) -> None:
    model, inputs = backbone(family), batch(family, [sample(family, 0), sample(family, 1, text=2)], "left")
    wanted = features(model, inputs)
    found = features(model.to(torch.bfloat16), inputs)
    assert found.dtype == torch.bfloat16
    assert float((found.float() - wanted).norm() / wanted.norm()) < 0.05


@families
def test_kinds_of_attention_agree(family: Family) -> None:
    inputs = batch(family, [sample(family, 0), sample(family, 1, text=2)], "left")
    torch.testing.assert_close(
        features(backbone(family, "math"), inputs), features(backbone(family), inputs), rtol=0, atol=1e-5
    )

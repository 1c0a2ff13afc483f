"""Sizes and switches of a vision-language backbone: the released ones, or those that a folder states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groot_bench.models.family import Family
from groot_bench.models.jsonfields import Fields

MAX_LAYERS = 256


@dataclass(frozen=True)
class TextConfig:
    """The language model (Qwen3), cut after `layers` decoder layers.

    Attributes:
        mrope_section: how many rotary frequencies each of time, height and width has (N1.7); empty for plain positions.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    rope_theta: float
    norm_eps: float
    bias: bool
    mrope_section: tuple[int, ...] = ()


@dataclass(frozen=True)
class VisionConfig:
    """The vision tower.

    Attributes:
        positions: rows of the position table. image_size: side that N1.5 resizes to [px]; 0 where images keep theirs.
        merge: how many patches a side become one token. temporal: frames in a patch (N1.7).
        out: width handed to the language model by the tower itself (N1.7); 0 where a projector outside does it.
        deepstack: layers whose features are added inside the language model (N1.7).
    """

    width: int
    layers: int
    heads: int
    mlp: int
    patch: int
    positions: int
    image_size: int
    merge: int
    norm_eps: float
    temporal: int = 1
    out: int = 0
    deepstack: tuple[int, ...] = ()


@dataclass(frozen=True)
class BackboneConfig:
    """A backbone.

    Attributes:
        text, vision: its two halves.
        image_token: the id in the prompt that image features replace.
        connector: linear layers between the halves (N1.5: 1 or 2; N1.6: always 2; N1.7 has its own: 0).
        pixel_shuffle: whether N1.5 merges patches before the connector.
        project: width of a last linear layer (N1.5); 0 for none.
        output_dim: width of the features.
        vision_start: the id that opens an image (N1.7); -1 elsewhere.
        video_token: the id of video features (N1.7), which no prompt here has; -1 elsewhere.
    """

    text: TextConfig
    vision: VisionConfig
    image_token: int
    connector: int
    pixel_shuffle: bool
    project: int
    vision_start: int = -1
    video_token: int = -1

    @property
    def output_dim(self) -> int:
        return self.project or self.text.width


_QWEN3 = {
    "hidden_size": 2048,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 6144,
    "rms_norm_eps": 1e-6,
}
_SIGLIP = {
    "hidden_size": 1152,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "intermediate_size": 4304,
    "patch_size": 14,
    "layer_norm_eps": 1e-6,
}
RELEASED: dict[Family, dict[str, Any]] = {
    Family.N15: {
        "image_token_index": 151669,
        "use_pixel_shuffle": False,
        "mlp_connector_layers": 1,
        "force_image_size": 224,
        "text_config": {**_QWEN3, "vocab_size": 151680, "rope_theta": 1e6},
        "vision_config": {**_SIGLIP, "image_size": 224},
    },
    Family.N16: {
        "image_token_index": 151669,
        "use_pixel_shuffle": True,
        "mlp_connector_layers": 2,
        "text_config": {**_QWEN3, "vocab_size": 151680, "rope_theta": 1e6},
        "vision_config": {**_SIGLIP, "num_patches": 256},
    },
    Family.N17: {
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "text_config": {
            **_QWEN3,
            "vocab_size": 151936,
            "rope_theta": 5e6,
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
        },
        "vision_config": {
            "hidden_size": 1024,
            "depth": 24,
            "num_heads": 16,
            "intermediate_size": 4096,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "spatial_merge_size": 2,
            "num_position_embeddings": 2304,
            "out_hidden_size": 2048,
            "deepstack_visual_indexes": [5, 11, 17],
        },
    },
}


def parse_backbone(family: Family, config: Fields, sizes: object | None, problems: list[str]) -> BackboneConfig:
    """The backbone that config.json asks for (how many layers are kept), with these sizes or the released ones.

    Args:
        config: `backbone_cfg` (N1.5) or the flat object, for `select_layer` and the projections.
        sizes: the parsed backbone_config.json; None for the released model.
        problems: what is wrong is added here.
    """
    where = "backbone_config.json" if sizes is not None else f"{family.title}'s known backbone"
    tower = Fields(RELEASED[family] if sizes is None else sizes, where, problems)
    config.refuse_unless("reproject_vision", False, "no released checkpoint has the layer")
    tower.refuse_unless("select_layer", -1, "the vision tower is read after its last layer")
    text = _text(family, tower.inner("text_config"), config.size("select_layer", -1, least=-1, most=MAX_LAYERS))
    vision = _vision_n17(tower.inner("vision_config")) if family is Family.N17 else _vision(family, tower)
    qwen = family is Family.N17
    body = BackboneConfig(
        text,
        vision,
        image_token=tower.size("image_token_id" if qwen else "image_token_index", least=0),
        connector={Family.N15: tower.size("mlp_connector_layers", 2, most=2), Family.N16: 2, Family.N17: 0}[family],
        pixel_shuffle=family is Family.N16 or (family is Family.N15 and tower.flag("use_pixel_shuffle", False)),
        project=config.size("project_to_dim", 0, least=0) if family is Family.N15 else 0,
        vision_start=tower.size("vision_start_token_id", least=0) if qwen else -1,
        video_token=tower.size("video_token_id", least=0) if qwen else -1,
    )
    if qwen and not problems and vision.out != text.width:
        tower.complain("vision_config", f"out_hidden_size {vision.out} is not the language model's {text.width}")
    return body


def _text(family: Family, text: Fields, select: int) -> TextConfig:
    stored = text.size("num_hidden_layers", most=MAX_LAYERS)
    if select == 0 or select > stored:
        text.complain("num_hidden_layers", f"{stored} layers, but select_layer is {select}")
    text.refuse_unless("hidden_act", "silu", "as in Qwen3")
    section: tuple[int, ...] = ()
    if family is Family.N17:
        scaling = text.data.get("rope_scaling", text.data.get("rope_parameters"))
        section = Fields(scaling, f"{text.where}.rope_scaling", text.problems).sizes("mrope_section", most=1 << 14)
    else:
        text.refuse_unless("rope_scaling", None, "as in Qwen3-1.7B")
        text.refuse_unless("use_sliding_window", False, "as in Qwen3-1.7B")
    theta = text.data.get("rope_theta")
    if theta is None and isinstance(text.data.get("rope_parameters"), Mapping):  # where transformers 5 writes it
        theta = text.data["rope_parameters"].get("rope_theta")
    if isinstance(theta, int | float) and not theta > 1:
        text.complain("rope_theta", f"expected a number above 1, got {theta!r}")
    found = TextConfig(
        vocabulary=text.size("vocab_size"),
        width=text.size("hidden_size"),
        layers=stored if select < 0 else select,
        heads=text.size("num_attention_heads", most=1 << 12),
        kv_heads=text.size("num_key_value_heads", most=1 << 12),
        head_dim=text.size("head_dim", most=1 << 12),
        mlp=text.size("intermediate_size"),
        rope_theta=Fields({"rope_theta": theta}, text.where, text.problems).number("rope_theta"),
        norm_eps=_epsilon(text, "rms_norm_eps"),
        bias=text.flag("attention_bias", False),
        mrope_section=section,
    )
    if found.heads % found.kv_heads:
        text.complain("num_key_value_heads", f"{found.kv_heads} does not divide {found.heads} attention heads")
    if section and (len(section) != 3 or 2 * sum(section) != found.head_dim):
        text.complain("rope_scaling.mrope_section", f"{list(section)} must be three numbers of sum head_dim / 2")
    return found


def _vision(family: Family, tower: Fields) -> VisionConfig:
    vision = tower.inner("vision_config")
    vision.refuse_unless("hidden_act", "gelu_pytorch_tanh", "as in SigLIP")
    vision.refuse_unless("use_rope", False, "off in the released backbone")
    vision.refuse_unless("use_windows_attn", False, "off in the released backbone")
    patch = vision.size("patch_size", most=1024)
    side = vision.size("image_size", most=1 << 14) if family is Family.N15 else 0
    positions = (side // patch) ** 2 if family is Family.N15 else vision.size("num_patches")
    if family is Family.N15 and side < patch:
        vision.complain("image_size", f"{side} is smaller than a patch of {patch}")
    if family is Family.N16 and round(positions**0.5) ** 2 != positions:
        vision.complain("num_patches", f"expected a square number, got {positions}")
    ratio = tower.number("downsample_ratio", 0.5)
    merges = family is Family.N16 or tower.flag("use_pixel_shuffle", False)
    if merges and (ratio <= 0 or 1 / ratio != round(1 / ratio)):
        tower.complain("downsample_ratio", f"expected 1 / n, got {ratio:g}")
        ratio = 0.5
    return _with_heads_that_fit(
        vision,
        VisionConfig(
            width=vision.size("hidden_size"),
            layers=vision.size("num_hidden_layers", most=MAX_LAYERS),
            heads=vision.size("num_attention_heads", most=1 << 12),
            mlp=vision.size("intermediate_size"),
            patch=patch,
            positions=positions,
            image_size=side,
            merge=round(1 / ratio) if merges else 1,
            norm_eps=_epsilon(vision, "layer_norm_eps"),
        ),
    )


def _vision_n17(vision: Fields) -> VisionConfig:
    vision.refuse_unless("hidden_act", "gelu_pytorch_tanh", "as in Qwen3-VL")
    layers = vision.size("depth", most=MAX_LAYERS)
    taps = vision.sizes("deepstack_visual_indexes", most=MAX_LAYERS)
    if any(tap >= layers for tap in taps):
        vision.complain("deepstack_visual_indexes", f"{list(taps)} names layers beyond {layers}")
    return _with_heads_that_fit(
        vision,
        VisionConfig(
            width=vision.size("hidden_size"),
            layers=layers,
            heads=vision.size("num_heads", most=1 << 12),
            mlp=vision.size("intermediate_size"),
            patch=vision.size("patch_size", most=1024),
            positions=vision.size("num_position_embeddings"),
            image_size=0,
            merge=vision.size("spatial_merge_size", most=64),
            norm_eps=1e-6,
            temporal=vision.size("temporal_patch_size", most=64),
            out=vision.size("out_hidden_size"),
            deepstack=taps,
        ),
    )


def _epsilon(fields: Fields, name: str) -> float:
    value = fields.number(name, 1e-6)
    if not 0 < value < 1:
        fields.complain(name, f"expected a small number above 0, got {value:g}")
    return value


def _with_heads_that_fit(fields: Fields, vision: VisionConfig) -> VisionConfig:
    if vision.width % vision.heads:
        fields.complain("num_attention_heads", f"{vision.heads} does not divide the width {vision.width}")
    return vision

"""What config.json says of a model: sizes and switches, checked, in one form for the three families.

Field names and defaults are those of the released configurations (N1.5: `action_head_cfg` and `backbone_cfg`; N1.6 and
N1.7: one flat object). The sizes of the vision-language backbone are not in a released config.json, since they are
those of one known model each; a folder may state others in `backbone_config.json` (tiny checkpoints do).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from groot_bench.errors import CheckpointError
from groot_bench.models.backbone_config import BackboneConfig, parse_backbone
from groot_bench.models.family import Family
from groot_bench.models.jsonfields import Fields, raise_if

ACTIVATIONS = ("gelu-approximate", "gelu", "geglu")
MAX_LAYERS = 256


@dataclass(frozen=True)
class TransformerConfig:
    """A stack of blocks, named as in `diffusion_model_cfg` and `vl_self_attention_cfg`.

    Attributes:
        layers, heads, head_dim: the width is heads * head_dim.
        output_dim: of the projection after the last block; 0 for a stack that has none.
        cross_dim: width of what cross-attention blocks attend to; 0 for a stack without cross-attention.
        interleave: whether blocks of odd index are self-attention; otherwise all are cross-attention.
        dropout: in training.
        activation: of the feed-forward part.
        bias: whether the query, key and value projections have one.
        sinusoidal: rows of the sinusoidal position table added after each block's first norm; 0 for none.
    """

    layers: int
    heads: int
    head_dim: int
    output_dim: int
    cross_dim: int
    interleave: bool
    dropout: float
    activation: str
    bias: bool
    sinusoidal: int

    @property
    def width(self) -> int:
        return self.heads * self.head_dim

    def is_cross(self, index: int) -> bool:
        """Whether the block of that index attends to the vision-language features."""
        return self.cross_dim > 0 and not (self.interleave and index % 2 == 1)


@dataclass(frozen=True)
class HeadConfig:
    """The flow-matching action head.

    Attributes:
        action_dim, state_dim: padded widths (A, S). horizon: padded number of control steps (T).
        state_history: observations concatenated into one state token.
        hidden: width inside the per-embodiment MLPs. width: of the tokens (D). features: of the backbone (X).
        embodiments: rows of the per-embodiment tables. positions: rows of the position table; 0 for none.
        dit: the transformer. text_every: cross-attention blocks at multiples of 2 * text_every attend to text, the
            others to image tokens; 0 for a plain DiT, in which all attend to everything.
        vl_norm: whether features pass a LayerNorm first. vl_attention: the stack after it, or None.
        future_tokens: learned tokens between state and action (N1.5).
        steps: Euler steps. buckets: of discrete time.
        beta_alpha, beta_beta, noise_s: of the training time distribution.
        state_dropout: probability with which training drops the state. state_noise: scale of noise on it (N1.6).
        mask_token: whether a learned token replaces a dropped state (N1.6).
    """

    action_dim: int
    state_dim: int
    horizon: int
    state_history: int
    hidden: int
    width: int
    features: int
    embodiments: int
    positions: int
    dit: TransformerConfig
    text_every: int
    vl_norm: bool
    vl_attention: TransformerConfig | None
    future_tokens: int
    steps: int
    buckets: int
    beta_alpha: float
    beta_beta: float
    noise_s: float
    state_dropout: float
    state_noise: float
    mask_token: bool


@dataclass(frozen=True)
class ModelConfig:
    """A whole model: family, head, backbone."""

    family: Family
    head: HeadConfig
    backbone: BackboneConfig


def parse_config(config: object, backbone: object | None = None, where: str = "config.json") -> ModelConfig:
    """The model that a parsed config.json describes.

    Args:
        config: the parsed file.
        backbone: the parsed backbone_config.json; None for the sizes of the released model.
        where: the file's name in messages.

    Raises:
        CheckpointError: with every field that is missing, of a wrong type, out of range or not supported.
    """
    family = _family(config, where)
    problems: list[str] = []
    fields = Fields(config, where, problems)
    head = _parse_n15(fields) if family is Family.N15 else _parse_flat(fields, family)
    tower = fields.inner("backbone_cfg") if family is Family.N15 else fields
    body = parse_backbone(family, tower, backbone, problems)
    if not problems:
        problems += _contradictions(head, body, where)
    raise_if(problems, f"{where} describes no {family.title} model that can be built")
    return ModelConfig(family, head, body)


def _family(config: object, where: str) -> Family:
    name = config.get("model_type") if isinstance(config, dict) else None
    for family in Family:
        if name == family.model_type:
            return family
    known = ", ".join(f"{family.model_type} ({family.title})" for family in Family)
    raise CheckpointError(f"{where}: model_type is {name!r}; known: {known}")


def _parse_n15(config: Fields) -> HeadConfig:
    head = config.inner("action_head_cfg")
    norm = head.flag("use_vlln", True)
    return HeadConfig(
        **_common(head),
        action_dim=head.size("action_dim"),
        state_history=1,
        dit=_transformer(head.inner("diffusion_model_cfg"), cross=None),
        text_every=0,
        vl_attention=_self_attention(head.inner("vl_self_attention_cfg")) if norm else None,
        future_tokens=head.size("num_target_vision_tokens", 32, most=4096),
        state_dropout=0.0,
        state_noise=0.0,
        mask_token=False,
    )


def _parse_flat(config: Fields, family: Family) -> HeadConfig:
    alternate = config.flag("use_alternate_vl_dit", True)
    stack = config.data.get("vl_self_attention_cfg") if family is Family.N17 else None
    dropout = _probability(config, "state_dropout_prob", 0.0)
    return HeadConfig(
        **_common(config),
        action_dim=config.size("max_action_dim"),
        state_history=config.size("state_history_length", 1, most=1024) if family is Family.N17 else 1,
        dit=_transformer(config.inner("diffusion_model_cfg"), cross=config.size("backbone_embedding_dim")),
        text_every=config.size("attend_text_every_n_blocks", 2, most=MAX_LAYERS) if alternate else 0,
        vl_attention=_self_attention(config.inner("vl_self_attention_cfg")) if stack else None,
        future_tokens=0,
        state_dropout=dropout,
        state_noise=config.number("state_additive_noise_scale", 0.0) if family is Family.N16 else 0.0,
        mask_token=family is Family.N16 and dropout > 0,
    )


def _common(head: Fields) -> dict[str, Any]:
    """The fields that have one name in all families."""
    return {
        "state_dim": head.size("max_state_dim"),
        "horizon": head.size("action_horizon", most=1 << 14),
        "hidden": head.size("hidden_size"),
        "width": head.size("input_embedding_dim"),
        "features": head.size("backbone_embedding_dim"),
        "embodiments": head.size("max_num_embodiments", 32, most=1 << 14),
        "positions": head.size("max_seq_len", 1024) if head.flag("add_pos_embed", True) else 0,
        "vl_norm": head.flag("use_vlln", True),
        "steps": head.size("num_inference_timesteps", most=1000),
        "buckets": head.size("num_timestep_buckets", 1000),
        "beta_alpha": head.number("noise_beta_alpha", 1.5),
        "beta_beta": head.number("noise_beta_beta", 1.0),
        "noise_s": head.number("noise_s", 0.999),
    }


def _transformer(dit: Fields, cross: int | None) -> TransformerConfig:
    """The DiT; `cross` is the width of the features where that is not a field of it (N1.6 and N1.7)."""
    dit.refuse_unless("norm_type", "ada_norm", "the time step enters through adaptive layer norms")
    dit.refuse_unless("norm_elementwise_affine", False, "adaptive layer norms have no weights of their own")
    return _blocks(
        dit,
        output_dim=dit.size("output_dim"),
        cross_dim=dit.size("cross_attention_dim") if cross is None else cross,
        interleave=dit.flag("interleave_self_attention", False),
    )


def _self_attention(stack: Fields) -> TransformerConfig | None:
    if stack.data.get("num_layers") == 0:
        return None
    return _blocks(stack, output_dim=0, cross_dim=0, interleave=False)


def _blocks(fields: Fields, output_dim: int, cross_dim: int, interleave: bool) -> TransformerConfig:
    fields.refuse_unless("upcast_attention", False, "attention runs in the model's type")
    fields.refuse_unless("norm_eps", 1e-5, "the released value")
    # The original's own default is "sinusoidal", so only an explicit null means none.
    absent = "positional_embeddings" not in fields.data
    kind = fields.text("positional_embeddings", "sinusoidal" if absent else "none", choices=("none", "sinusoidal"))
    return TransformerConfig(
        layers=fields.size("num_layers", most=MAX_LAYERS),
        heads=fields.size("num_attention_heads", most=1 << 12),
        head_dim=fields.size("attention_head_dim", most=1 << 14),
        output_dim=output_dim,
        cross_dim=cross_dim,
        interleave=interleave,
        dropout=_probability(fields, "dropout", 0.1),
        activation=fields.text("activation_fn", "gelu-approximate", choices=ACTIVATIONS),
        bias=fields.flag("attention_bias", True),
        sinusoidal=fields.size("max_num_positional_embeddings", 512) if kind == "sinusoidal" else 0,
    )


def _probability(fields: Fields, name: str, default: float) -> float:
    value = fields.number(name, default)
    if not 0 <= value <= 1:
        fields.complain(name, f"expected a probability from 0 to 1, got {value:g}")
    return value


def _contradictions(head: HeadConfig, body: BackboneConfig, where: str) -> list[str]:
    """Sizes that must agree for the model to run."""
    pairs = [
        ("width of the action head (heads x head_dim) and input_embedding_dim", head.dit.width, head.width),
        ("output_dim of the DiT and hidden_size", head.dit.output_dim, head.hidden),
        ("cross_attention_dim and backbone_embedding_dim", head.dit.cross_dim, head.features),
        ("width of the backbone and backbone_embedding_dim", body.output_dim, head.features),
    ]
    if head.vl_attention is not None:
        pairs.append(
            ("width of vl_self_attention_cfg and backbone_embedding_dim", head.vl_attention.width, head.features)
        )
    found = [f"{where}: {what} differ: {one} and {two}" for what, one, two in pairs if one != two]
    if 0 < head.positions < head.horizon:
        found.append(f"{where}: action_horizon {head.horizon} is beyond max_seq_len {head.positions}")
    if head.text_every and not head.dit.interleave:
        found.append(f"{where}: use_alternate_vl_dit needs interleave_self_attention")
    return found

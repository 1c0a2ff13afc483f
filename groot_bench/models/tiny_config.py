"""config.json and backbone_config.json of a tiny checkpoint: the fields of the released files with small values.

Widths differ wherever the released ones do, so that no two can be confused. Text ids are below 320, as those of
`tiny_tokenizer`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from groot_bench.models.family import Family
from groot_bench.models.tiny_embodiments import ROWS

HIDDEN, WIDTH, FEATURES = 24, 32, 48  # of the per-embodiment layers, the DiT, and the backbone
DIT_LAYERS = 4  # text, self, image, self: each kind of block that there is
LAYERS_KEPT, LAYERS = 3, 4  # of the language model: stored ones, and those of the whole model
VOCABULARY = 320
IMAGE_TOKEN, VISION_START, VISION_END, VIDEO_TOKEN = 311, 312, 313, 314
IMAGE_SIZE_N15 = 56  # px, 4 x 4 patches
POSITIONS = 1024  # rows of the action position table, as released


class Sizes(NamedTuple):
    """The padded sizes that the model reads and returns: numbers of a state, of an action, control steps of a chunk."""

    state: int
    action: int
    horizon: int


def config_json(family: Family, sizes: Sizes) -> dict[str, Any]:
    """The value of config.json."""
    return _config_n15(sizes) if family is Family.N15 else _config_flat(family, sizes)


def backbone_json(family: Family) -> dict[str, Any]:
    """The value of backbone_config.json."""
    return _QWEN_VL if family is Family.N17 else _eagle(family)


def _config_n15(sizes: Sizes) -> dict[str, Any]:
    head = {
        **_flow_matching(sizes),
        "action_dim": sizes.action,
        "model_dtype": "float32",
        "num_target_vision_tokens": 5,
        "tune_diffusion_model": True,
        "tune_projector": True,
        "diffusion_model_cfg": {**_dit(), "cross_attention_dim": FEATURES},
        "vl_self_attention_cfg": _VL_SELF_ATTENTION,
    }
    return {
        "model_type": Family.N15.model_type,
        "architectures": ["GR00T_N1_5"],
        "action_dim": sizes.action,
        "action_horizon": sizes.horizon,
        "hidden_size": FEATURES,
        "compute_dtype": "bfloat16",
        "model_dtype": "float32",
        "torch_dtype": "bfloat16",
        "attn_implementation": None,
        "action_head_cfg": head,
        "backbone_cfg": {
            "eagle_path": "NVEagle/eagle_er-qwen3_1_7B-Siglip2_400M_stage1_5_128gpu_er_v7_1mlp_nops",
            "load_bf16": False,
            "project_to_dim": None,
            "reproject_vision": False,
            "select_layer": LAYERS_KEPT,
            "tune_llm": False,
            "tune_visual": True,
            "use_flash_attention": True,
        },
    }


def _config_flat(family: Family, sizes: Sizes) -> dict[str, Any]:
    own: dict[str, Any] = {
        "model_name": "nvidia/Eagle-Block2A-2B-v2",
        "backbone_model_type": "eagle",
        "load_bf16": True,
        "eagle_collator": True,
        "tune_top_llm_layers": 4,
        "state_dropout_prob": 0.0,
        "state_additive_noise_scale": 0.0,
    }
    if family is Family.N17:
        own = {
            "model_name": "nvidia/Cosmos-Reason2-2B",
            "backbone_model_type": "qwen",
            "load_bf16": False,
            "tune_top_llm_layers": 0,
            "state_dropout_prob": 0.2,
            "state_history_length": 1,
            "exclude_state": False,
            "letter_box_transform": False,
            "use_percentiles": True,
            "use_mean_std": False,
            "vl_self_attention_cfg": _VL_SELF_ATTENTION,
        }
    return {
        **_flow_matching(sizes),
        **own,
        "model_type": family.model_type,
        "architectures": [family.model_type],
        "model_dtype": "bfloat16",
        "torch_dtype": "bfloat16",
        "diffusion_model_cfg": _dit(),
        "use_alternate_vl_dit": True,
        "attend_text_every_n_blocks": 2,
        "attn_dropout": 0.2,
        "backbone_trainable_params_fp32": True,
        "max_num_embodiments": ROWS,
        "reproject_vision": False,
        "select_layer": LAYERS_KEPT,
        "tune_diffusion_model": True,
        "tune_llm": False,
        "tune_projector": True,
        "tune_visual": False,
        "tune_vlln": True,
        "use_flash_attention": True,
        "apply_sincos_state_encoding": True,
        "use_relative_action": True,
        "formalize_language": True,
        "use_albumentations_transforms": True,
        "shortest_image_edge": 256,
        "crop_fraction": 0.95,
        "image_crop_size": None,
        "image_target_size": None,
        "random_rotation_angle": None,
        "color_jitter_params": None,
    }


def _flow_matching(sizes: Sizes) -> dict[str, Any]:
    """The fields of the action head that have one name in all families."""
    return {
        "action_horizon": sizes.horizon,
        "max_action_dim": sizes.action,
        "max_state_dim": sizes.state,
        "hidden_size": HIDDEN,
        "input_embedding_dim": WIDTH,
        "backbone_embedding_dim": FEATURES,
        "add_pos_embed": True,
        "max_seq_len": max(POSITIONS, sizes.horizon),
        "use_vlln": True,
        "num_inference_timesteps": 4,
        "num_timestep_buckets": 1000,
        "noise_beta_alpha": 1.5,
        "noise_beta_beta": 1.0,
        "noise_s": 0.999,
    }


def _dit() -> dict[str, Any]:
    return {
        "num_layers": DIT_LAYERS,
        "num_attention_heads": 4,
        "attention_head_dim": WIDTH // 4,
        "output_dim": HIDDEN,
        "interleave_self_attention": True,
        "norm_type": "ada_norm",
        "positional_embeddings": None,
        "dropout": 0.2,
        "final_dropout": True,
    }


_VL_SELF_ATTENTION = {
    "num_layers": 2,
    "num_attention_heads": 4,
    "attention_head_dim": FEATURES // 4,
    "positional_embeddings": None,
    "dropout": 0.2,
    "final_dropout": True,
}
_TEXT = {
    "hidden_size": FEATURES,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 72,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "vocab_size": VOCABULARY,
}
_SIGLIP = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "patch_size": 14,
    "num_channels": 3,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
_QWEN_VL: dict[str, Any] = {
    "model_type": "qwen3_vl",
    "image_token_id": IMAGE_TOKEN,
    "vision_start_token_id": VISION_START,
    "vision_end_token_id": VISION_END,
    "video_token_id": VIDEO_TOKEN,
    "text_config": {
        **_TEXT,
        "rope_theta": 5e6,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
    },
    "vision_config": {
        "hidden_size": 32,
        "depth": 3,
        "num_heads": 2,
        "intermediate_size": 40,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 64,
        "out_hidden_size": FEATURES,
        "deepstack_visual_indexes": [0, 1],
        "in_channels": 3,
        "hidden_act": "gelu_pytorch_tanh",
    },
}


def _eagle(family: Family) -> dict[str, Any]:
    """The backbone of N1.5 (Eagle 2.5) and N1.6 (Eagle 3)."""
    text = {**_TEXT, "rope_theta": 1e6, "rope_scaling": None, "use_sliding_window": False}
    if family is Family.N15:
        return {
            "model_type": "eagle_2_5_vl",
            "image_token_index": IMAGE_TOKEN,
            "mlp_connector_layers": 1,
            "use_pixel_shuffle": False,
            "force_image_size": IMAGE_SIZE_N15,
            "text_config": text,
            "vision_config": {**_SIGLIP, "image_size": IMAGE_SIZE_N15},
        }
    return {
        "model_type": "eagle_3_vl",
        "image_token_index": IMAGE_TOKEN,
        "mlp_connector_layers": 2,
        "use_pixel_shuffle": True,
        "downsample_ratio": 0.5,
        "text_config": text,
        "vision_config": {**_SIGLIP, "num_patches": 64, "use_rope": False, "use_windows_attn": False},
    }

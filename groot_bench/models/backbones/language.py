"""The language model of all three families: Qwen3's decoder layers, cut after some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3DecoderLayer, Qwen3RMSNorm

from groot_bench.errors import CheckpointError
from groot_bench.models.backbone_config import TextConfig
from groot_bench.models.backbones.attention_hook import attention_name
from groot_bench.models.backbones.rotary import text_rotary


class LanguageModel(nn.Module):
    """Token embeddings, decoder layers and a final norm, which the caller applies or not.

    The text layers of Qwen3-VL (N1.7) are those of Qwen3 but for their positions.

    Raises:
        CheckpointError: heads of an odd width, which rotary positions cannot turn.
    """

    def __init__(self, config: TextConfig, attn: str) -> None:
        super().__init__()
        if config.head_dim % 2:
            raise CheckpointError(f"head_dim {config.head_dim} of the language model must be even")
        self.config = config
        sizes: dict[str, Any] = {
            "hidden_size": config.width,
            "intermediate_size": config.mlp,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "head_dim": config.head_dim,
            "rms_norm_eps": config.norm_eps,
            "attention_bias": config.bias,
            "attn_implementation": attention_name(attn),
        }
        layout = Qwen3Config(**sizes)
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Qwen3DecoderLayer(layout, index) for index in range(config.layers))
        self.norm = Qwen3RMSNorm(config.width, eps=config.norm_eps)

    def forward(self, hidden: Tensor, positions: Tensor, mask: Tensor | None, added: Sequence[Tensor] = ()) -> Tensor:
        """Runs the layers.

        Args:
            hidden: (B, L, X), token embeddings with images in place.
            positions, mask: as in `BackboneInputs`.
            added: (B, L, X) each, added after layers 0, 1, ...; more of them than layers are left out.

        Returns:
            (B, L, X), before the final norm.
        """
        config = self.config
        rotary = text_rotary(positions, config.head_dim, config.rope_theta, config.mrope_section, hidden.dtype)
        visible = None if mask is None else visibility(mask)
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, attention_mask=visible, position_embeddings=rotary)
            if index < len(added):
                hidden = hidden + added[index]
        return hidden


def visibility(mask: Tensor) -> Tensor:
    """Who sees whom, bool (B, 1, L, L): real tokens see real tokens up to themselves, padding sees nothing.

    The originals' kernels take padding out of the sequence, so that its attention output is zero.
    """
    length = mask.shape[1]
    triangle = torch.ones(length, length, dtype=torch.bool, device=mask.device).tril()
    return triangle & mask[:, None, None, :] & mask[:, None, :, None]

"""A whole model: backbone and action head, under the names of the released checkpoints."""

from __future__ import annotations

from torch import Tensor, nn

from groot_bench.models.backbones.base import make_backbone
from groot_bench.models.config import ModelConfig
from groot_bench.models.head import ActionHead


class Gr00t(nn.Module):
    """N1.5, N1.6 or N1.7, as its configuration says. Weights are not initialized.

    Args:
        config: sizes and switches.
        attn: kind of attention, see `groot_bench.models.attention`.
    """

    def __init__(self, config: ModelConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.backbone = make_backbone(config.family, config.backbone, attn)
        self.action_head = ActionHead(config.family, config.head, attn)

    def is_unused(self, name: str) -> bool:
        """Whether a stored tensor of that name is known and not needed: the language model's output layer, the vision
        tower's pooling head, tables that are computed."""
        return self.backbone.is_unused(name) or (
            name.startswith("action_head.") and name.endswith((".pos_embed.pe", ".pos_encoding.pe"))
        )

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold, by its stored name."""
        return dict(self.state_dict())

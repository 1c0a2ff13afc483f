"""The backbone of N1.7: Qwen3-VL (Cosmos-Reason2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from groot_bench.errors import SpecMismatch
from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.backbone import Backbone, ImageFeatures, Trace
from groot_bench.models.backbones.grids import CHANNELS, Grid, encode_by_grid
from groot_bench.models.backbones.language import LanguageModel
from groot_bench.models.backbones.qwen_vision import QwenVisionTower

_LM_HEAD = "backbone.model.lm_head.weight"


class BackboneN17(Backbone):
    """Features are those BEFORE the final norm. The norm is stored and loaded, but only traced."""

    def __init__(self, config: BackboneConfig, attn: str = "sdpa") -> None:
        super().__init__(config, attn)
        parts = {"visual": QwenVisionTower(config.vision, attn), "language_model": LanguageModel(config.text, attn)}
        self.model = nn.ModuleDict({"model": nn.ModuleDict(parts)})

    @property
    def language(self) -> LanguageModel:
        return cast("LanguageModel", self.model.get_submodule("model.language_model"))

    @staticmethod
    def is_unused(name: str) -> bool:
        return name == _LM_HEAD

    def encode_images(
        self, images: Sequence[Tensor], grids: Sequence[Grid], trace: Trace | None = None
    ) -> ImageFeatures:
        vision = self.config.vision
        numbers = CHANNELS * vision.temporal * vision.patch**2
        for image, (rows, columns) in zip(images, grids, strict=True):
            if tuple(image.shape) != (rows * columns, numbers):
                raise SpecMismatch(
                    f"expected an image of {rows} x {columns} patches as ({rows * columns}, {numbers}), "
                    f"got {tuple(image.shape)}"
                )
        hidden, *encoded = encode_by_grid(images, grids, self.model.get_submodule("model.visual"))
        tokens, *deepstack = (torch.cat(parts) for parts in encoded)
        if trace is not None:
            trace["vision_last_hidden"], trace["image_tokens"] = torch.cat(hidden), tokens
            trace.update({f"deepstack.{index}": features for index, features in enumerate(deepstack)})
        return ImageFeatures(tokens, tuple(deepstack))

    def finish(self, hidden: Tensor, trace: Trace | None) -> Tensor:
        if trace is not None:
            trace["features_post_norm"] = self.language.norm(hidden)
        return hidden

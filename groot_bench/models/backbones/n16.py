"""The backbone of N1.6: SigLIP 2 on images of their own size, a merging projector and Qwen3 (Eagle 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.backbone import Backbone, ImageFeatures, Trace
from groot_bench.models.backbones.grids import Grid, cut, encode_by_grid, merge_patches
from groot_bench.models.backbones.language import LanguageModel
from groot_bench.models.backbones.projector import make_projector
from groot_bench.models.backbones.siglip import POOLING_HEAD, SiglipTower

_TOWER = "backbone.model.vision_model.vision_model."
_LM_HEAD = "backbone.model.language_model.lm_head.weight"


class BackboneN16(Backbone):
    """Features are those after the final norm.

    The projector has two layers whatever `mlp_connector_layers` says: the original does not read it.
    """

    def __init__(self, config: BackboneConfig, attn: str = "sdpa") -> None:
        super().__init__(config, attn)
        tower = SiglipTower(config.vision, attn, resized=True)
        self.model = nn.ModuleDict(
            {
                "vision_model": nn.ModuleDict({"vision_model": tower}),
                "mlp1": make_projector(config.vision, config.text.width, 2),
                "language_model": nn.ModuleDict({"model": LanguageModel(config.text, attn)}),
            }
        )

    @property
    def language(self) -> LanguageModel:
        return cast("LanguageModel", self.model.get_submodule("language_model.model"))

    @staticmethod
    def is_unused(name: str) -> bool:
        return name == _LM_HEAD or (name.startswith(_TOWER) and name.removeprefix(_TOWER) in POOLING_HEAD)

    def encode_images(
        self, images: Sequence[Tensor], grids: Sequence[Grid], trace: Trace | None = None
    ) -> ImageFeatures:
        patch = self.config.vision.patch
        patches = [
            cut(image, grid, patch, channels_last=True).flatten(2).flatten(0, 1)
            for image, grid in zip(images, grids, strict=True)
        ]
        hidden, merged, tokens = encode_by_grid(patches, grids, self._encode)
        if trace is not None:  # the original packs all images into one row
            trace["spatial_shapes"] = torch.tensor(list(grids))
            for name, parts in (("vision_last_hidden", hidden), ("projector_in", merged), ("image_tokens", tokens)):
                trace[name] = torch.cat(parts).unsqueeze(0)
        return ImageFeatures(torch.cat(tokens))

    def finish(self, hidden: Tensor, trace: Trace | None) -> Tensor:
        return self.language.norm(hidden)

    def _encode(self, patches: Tensor, grid: Grid) -> list[Tensor]:
        """The tower's output, the same with patches merged, and the image tokens."""
        hidden = self.model.get_submodule("vision_model.vision_model")(patches, grid)
        merged = merge_patches(hidden, grid, self.config.vision.merge, channels_first=True)
        return [hidden, merged, self.model["mlp1"](merged)]

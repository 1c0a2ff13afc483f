"""The backbone of N1.5: SigLIP, a linear projector and Qwen3 (Eagle 2.5), all images of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from groot_bench.errors import CheckpointError
from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.backbone import Backbone, ImageFeatures, Trace
from groot_bench.models.backbones.grids import Grid, cut, encode_by_grid, merge_patches
from groot_bench.models.backbones.language import LanguageModel
from groot_bench.models.backbones.projector import make_projector
from groot_bench.models.backbones.siglip import POOLING_HEAD, SiglipTower

_TOWER = "backbone.eagle_model.vision_model.vision_model."
_LM_HEAD = "backbone.eagle_model.language_model.lm_head.weight"


class BackboneN15(Backbone):
    """Features are those after the final norm, and after a last linear layer where `project_to_dim` asks for one.

    Raises:
        CheckpointError: a projector that the original has no definition for.
    """

    def __init__(self, config: BackboneConfig, attn: str = "sdpa") -> None:
        super().__init__(config, attn)
        if config.connector == 2 and not config.pixel_shuffle:
            raise CheckpointError(
                "mlp_connector_layers 2 without use_pixel_shuffle: the original's layers do not fit each other then"
            )
        tower = SiglipTower(config.vision, attn, resized=False)
        self.eagle_model = nn.ModuleDict(
            {
                "vision_model": nn.ModuleDict({"vision_model": tower}),
                "mlp1": make_projector(config.vision, config.text.width, config.connector),
                "language_model": nn.ModuleDict({"model": LanguageModel(config.text, attn)}),
            }
        )
        if config.project:
            self.eagle_linear = nn.Linear(config.text.width, config.project)

    @property
    def language(self) -> LanguageModel:
        return cast("LanguageModel", self.eagle_model.get_submodule("language_model.model"))

    @staticmethod
    def is_unused(name: str) -> bool:
        return name == _LM_HEAD or (name.startswith(_TOWER) and name.removeprefix(_TOWER) in POOLING_HEAD)

    def encode_images(
        self, images: Sequence[Tensor], grids: Sequence[Grid], trace: Trace | None = None
    ) -> ImageFeatures:
        patch = self.config.vision.patch
        patches = [
            cut(image, grid, patch, channels_last=False).flatten(2).flatten(0, 1)
            for image, grid in zip(images, grids, strict=True)
        ]
        hidden, tokens = encode_by_grid(patches, grids, self._encode)
        if trace is not None:
            trace["vision_last_hidden"], trace["image_tokens"] = torch.stack(hidden), torch.stack(tokens)
        return ImageFeatures(torch.cat(tokens))

    def finish(self, hidden: Tensor, trace: Trace | None) -> Tensor:
        features: Tensor = self.language.norm(hidden)
        return self.eagle_linear(features) if self.config.project else features

    def _encode(self, patches: Tensor, grid: Grid) -> list[Tensor]:
        """The tower's output and the image tokens."""
        hidden = self.eagle_model.get_submodule("vision_model.vision_model")(patches, grid)
        merged = hidden
        if self.config.pixel_shuffle:
            merged = merge_patches(hidden, grid, self.config.vision.merge, channels_first=False)
        return [hidden, self.eagle_model["mlp1"](merged)]

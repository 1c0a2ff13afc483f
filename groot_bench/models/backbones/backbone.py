"""What the three backbones have in common: images and text in, one row of features for each token out."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.grids import Grid
from groot_bench.models.backbones.language import LanguageModel
from groot_bench.models.inputs import BackboneInputs, Features

Trace = dict[str, Tensor]


class ImageFeatures(NamedTuple):
    """All images of a batch as the language model takes them, in the order of their tokens.

    Attributes:
        tokens: (N, X), what stands in place of the N image tokens.
        deepstack: (N, X) each, added to the hidden state of the image tokens after language layers 0, 1, ... (N1.7).
    """

    tokens: Tensor
    deepstack: tuple[Tensor, ...] = ()


class Backbone(nn.Module, abc.ABC):
    """A vision tower, what joins it to the text, and a language model, under the names of the released checkpoints.

    Weights are not initialized, and there are no buffers: a backbone can be built on the meta device and given its
    weights afterwards.

    Args:
        config: sizes and switches.
        attn: kind of attention, one of `groot_bench.models.attention.KINDS`.
    """

    def __init__(self, config: BackboneConfig, attn: str = "sdpa") -> None:
        super().__init__()
        self.config, self.attn = config, attn

    @property
    @abc.abstractmethod
    def language(self) -> LanguageModel:
        """The language model, wherever the stored names have it."""

    @abc.abstractmethod
    def encode_images(
        self, images: Sequence[Tensor], grids: Sequence[Grid], trace: Trace | None = None
    ) -> ImageFeatures:
        """The features of at least one image; images as in `BackboneInputs`.

        Raises:
            SpecMismatch: an image does not have its grid, or the model cannot take that grid.
        """

    @abc.abstractmethod
    def finish(self, hidden: Tensor, trace: Trace | None) -> Tensor:
        """The features of the action head, from the last decoder layer's output (B, L, X)."""

    @staticmethod
    @abc.abstractmethod
    def is_unused(name: str) -> bool:
        """Whether a stored tensor of that name (of the whole model: "backbone....") is known and not needed."""

    def forward(
        self, inputs: BackboneInputs, image_features: ImageFeatures | None = None, trace: Trace | None = None
    ) -> Features:
        """Runs the backbone.

        All shapes follow from those of the inputs and from the grids, and nothing waits for a number on the device.
        So it is for who makes the inputs to see to it that there are as many image tokens as image features: see
        `require_tokens`.

        Args:
            image_features: of the images, where they are already computed; then `inputs.images` is not looked at.
            trace: takes intermediate results, named as in golden sets.

        Returns:
            Features of type and device of the weights. Padding has values, too: a residual stream without attention.
        """
        if image_features is None and inputs.images:
            image_features = self.encode_images(inputs.images, inputs.grids, trace)
        image_mask = inputs.ids == self.config.image_token
        hidden = self.language.embed_tokens(inputs.ids)
        added: list[Tensor] = []
        if image_features is not None:
            hidden = spread(image_features.tokens, image_mask, hidden)
            nothing = torch.zeros_like(hidden)
            added = [spread(features, image_mask, nothing) for features in image_features.deepstack]
        hidden = self.language(hidden, inputs.positions, inputs.mask, added)
        if trace is not None:
            trace["position_ids"], trace["image_mask"] = inputs.positions, image_mask
            trace["features_pre_norm"] = hidden
            trace["backbone_attention_mask"] = torch.ones_like(image_mask) if inputs.mask is None else inputs.mask
        features = self.finish(hidden, trace)
        if trace is not None:
            trace["features"] = features
        return Features(features, inputs.mask, image_mask)


def spread(rows: Tensor, mask: Tensor, other: Tensor) -> Tensor:
    """The rows (N, X), one after the other, where bool (B, L) is True; `other` (B, L, X) elsewhere."""
    index = mask.flatten().cumsum(0).sub(1).clamp(min=0).view_as(mask)
    return torch.where(mask.unsqueeze(-1), rows.to(other.dtype)[index], other)

"""The backbone of a family."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.backbones.backbone import Backbone, ImageFeatures
from groot_bench.models.backbones.n15 import BackboneN15
from groot_bench.models.backbones.n16 import BackboneN16
from groot_bench.models.backbones.n17 import BackboneN17
from groot_bench.models.backbones.prompt import positions, require_tokens
from groot_bench.models.family import Family

__all__ = ["Backbone", "ImageFeatures", "make_backbone", "positions", "require_tokens"]

_CLASSES: Mapping[Family, type[Backbone]] = {
    Family.N15: BackboneN15,
    Family.N16: BackboneN16,
    Family.N17: BackboneN17,
}


def make_backbone(family: Family, config: BackboneConfig, attn: str = "sdpa") -> Backbone:
    """Builds the backbone of a family on the current default device, without weights.

    On a device other than "meta" the weights are memory as it was found. No random number is drawn.

    Args:
        attn: kind of attention, one of `groot_bench.models.attention.KINDS`.

    Raises:
        CheckpointError: the configuration has sizes that do not go together.
        UnknownName: no such kind of attention.
    """
    device = torch.get_default_device()
    with torch.device("meta"):  # where initializing weights costs nothing
        model = _CLASSES[family](config, attn)
    return model if device.type == "meta" else model.to_empty(device=device)

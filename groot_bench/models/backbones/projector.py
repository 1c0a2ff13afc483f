"""`mlp1`, which takes a SigLIP tower's output into the language model (N1.5 and N1.6)."""

from __future__ import annotations

from torch import nn

from groot_bench.models.backbone_config import VisionConfig


def make_projector(vision: VisionConfig, width: int, layers: int) -> nn.Sequential:
    """One linear layer, or a norm and two of them; the places in the sequence are the stored names.

    Args:
        vision: its output, merge x merge patches at a time, is what goes in.
        width: of the language model.
        layers: 1 or 2.
    """
    merged = vision.width * vision.merge**2
    if layers == 1:
        return nn.Sequential(nn.Linear(merged, width))
    return nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, width), nn.GELU(), nn.Linear(width, width))

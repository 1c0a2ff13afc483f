"""What a model of a configuration needs of a checkpoint, asked of the model itself."""

from __future__ import annotations

import torch

from groot_bench.models.config import ModelConfig
from groot_bench.models.inspection import Expectation
from groot_bench.models.model import Gr00t


def expect(config: ModelConfig) -> Expectation:
    """Names and shapes of a model's tensors; the model is built without memory for its weights."""
    with torch.device("meta"):
        model = Gr00t(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return Expectation(shapes, model.is_unused)

"""Made-up queries for checks: noise for pictures, states within their range, instructions of many lengths."""

from __future__ import annotations

import numpy as np

from groot_bench.models.collate import Row
from groot_bench.models.processing.processor import Processor

SIDE = 256  # px
KEY = 20260101  # of the made-up numbers; any will do
TEXT = "pick up the red cube and put it in the drawer on the left then close it"


def sample_rows(processor: Processor, count: int) -> list[Row]:
    """That many different rows, the same ones each time."""
    random = np.random.Generator(np.random.Philox(key=KEY))
    codec = processor.codec
    shape = (codec.max_horizon, codec.max_action_dim)
    rows = []
    for place in range(count):
        frames = [random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in processor.embodiment.video_keys]
        words = TEXT if place else TEXT[:16]  # one of another length; the others share a padded length
        noise = random.standard_normal(shape).astype(np.float32)
        state = random.uniform(-1, 1, (codec.state_steps, codec.max_state_dim)).astype(np.float32)
        rows.append(processor.assemble(frames, np.where(codec.state_mask(), state, np.float32(0)), words, noise))
    return rows

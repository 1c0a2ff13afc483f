"""One embodiment's way from an observation to a row for the model, and from the model's output to actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groot_bench.models.backbones.base import positions, require_tokens
from groot_bench.models.checkpoint import Checkpoint, Embodiment
from groot_bench.models.collate import Row
from groot_bench.models.config import ModelConfig
from groot_bench.models.family import Family
from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.processing.images import ImageInput, ImageTransform
from groot_bench.models.processing.images_n15 import ImageTransformN15
from groot_bench.models.processing.images_n16 import ImageTransformN16
from groot_bench.models.processing.images_n17 import ImageTransformN17
from groot_bench.models.processing.language import formalize
from groot_bench.models.processing.tokenizer import PromptTokenizer

Arrays = Mapping[str, np.ndarray]


class Processor:
    """Of one embodiment of one checkpoint.

    Args:
        checkpoint: where sizes and rules come from.
        embodiment: of it.
        tokenizer: of the family.
        slot: row of the embodiment in the tables that are loaded.
    """

    def __init__(self, checkpoint: Checkpoint, embodiment: Embodiment, tokenizer: PromptTokenizer, slot: int) -> None:
        self.embodiment, self.codec = embodiment, embodiment.codec
        self._family, self._backbone = checkpoint.family, checkpoint.config.backbone
        self._tokenizer, self._slot = tokenizer, slot
        self._image = image_transform(checkpoint.config, checkpoint.files.processor)
        self._formal = checkpoint.processor is not None and checkpoint.processor.formalize_language

    @property
    def noise_shape(self) -> tuple[int, int]:
        """Control steps and dimensions, in the model's space, that the robot has."""
        width = sum(scaler.width for scaler in self.codec.action_scalers.values())
        return self.codec.horizon, width

    def row(self, frames: Sequence[np.ndarray], state: Arrays, instruction: str, noise: np.ndarray) -> Row:
        """A query as the model takes it.

        Args:
            frames: uint8 (H, W, 3), one for each of `embodiment.video_keys`.
            state: float32 (1, D) for each state key.
            instruction: as the environment gives it.
            noise: float32 (T, A).

        Raises:
            SpecMismatch: a state is no rotation where it must be one, or the prompt cannot hold the pictures.
        """
        return self.assemble(frames, self.codec.encode_state(state), instruction, noise)

    def assemble(self, frames: Sequence[np.ndarray], state: np.ndarray, instruction: str, noise: np.ndarray) -> Row:
        """As `row`, with a state that is normalized and padded already, float32 (1, S)."""
        pictures: list[ImageInput] = [self._image(frame) for frame in frames]
        text = formalize(instruction) if self._formal else instruction
        ids = self._tokenizer.encode_row(text, [picture.tokens for picture in pictures])
        grids = [picture.grid for picture in pictures]
        require_tokens(self._family, self._backbone, ids, grids)
        where = positions(self._family, self._backbone, ids, grids).numpy()
        return Row(ids, where, [picture.pixels for picture in pictures], grids, state, self._slot, noise)

    def decode(self, output: np.ndarray, state: Arrays) -> dict[str, np.ndarray]:
        """The model's output float32 (T, A) as raw actions, float32 (H, D) for each key."""
        return self.codec.decode_action(output, state)


def image_transform(config: ModelConfig, processor: Any) -> ImageTransform:
    """From a frame to what the family's vision tower takes, in evaluation mode.

    Args:
        processor: parsed processor_config.json; not read for N1.5.

    Raises:
        CheckpointError: it has settings that cannot be used.
    """
    vision = config.backbone.vision
    if config.family is Family.N15:
        return ImageTransformN15(vision.image_size, vision.patch, vision.merge)
    problems: list[str] = []
    settings = Fields(processor, "processor_config.json", problems).inner("processor_kwargs").data
    raise_if(problems, "no picture settings")
    if config.family is Family.N16:
        return ImageTransformN16.from_processor(settings, vision.patch, vision.merge)
    return ImageTransformN17.from_processor(settings, vision.patch, vision.merge, vision.temporal)

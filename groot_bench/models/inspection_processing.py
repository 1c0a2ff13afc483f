"""What is wrong with a checkpoint's tokenizer and picture settings."""

from __future__ import annotations

from groot_bench.errors import GrootBenchError
from groot_bench.models.config import ModelConfig
from groot_bench.models.folder import CheckpointFiles
from groot_bench.models.processing.processor import image_transform
from groot_bench.models.processing.tokenizer import load_tokenizer, require_tokens_known


def processing_problems(files: CheckpointFiles, model: ModelConfig) -> list[str]:
    """Every reason that a query could not be prepared; a tokenizer that is not in the folder is not looked for."""
    found = []
    try:
        if files.tokenizer is not None:
            require_tokens_known(load_tokenizer(str(files.tokenizer), model.family), model.backbone)
    except GrootBenchError as problem:
        found.append(f"tokenizer: {problem}")
    try:
        image_transform(model, files.processor)
    except GrootBenchError as problem:
        found.append(f"pictures: {problem}")
    return found

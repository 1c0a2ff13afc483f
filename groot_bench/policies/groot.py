"""GR00T checkpoints as a policy: suite's modality dict -> model -> chunk of raw actions, one row at a time or in batches.

A row's noise is keyed by (policy seed, episode, query) and drawn on the CPU in float32; how rows are put together so that
none depends on another is the business of `groot_bench.models.engine`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from groot_bench.errors import SpecMismatch, UsageError
from groot_bench.models.checkpoint import Checkpoint, open_model
from groot_bench.models.collate import Row
from groot_bench.models.engine import Engine
from groot_bench.models.options import ModelOptions
from groot_bench.models.processing.fit import choose
from groot_bench.models.processing.processor import Processor, make_processor
from groot_bench.models.processing.tokenizer import load_tokenizer
from groot_bench.models.selfcheck import check_rows
from groot_bench.models.source import resolve
from groot_bench.noise import normal
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.suite import Task

GPU_BATCH = 8
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class GrootPolicy(Policy):
    """A GR00T N1.5, N1.6 or N1.7 checkpoint.

    Args:
        where: a folder, a folder of such folders that holds one, or a hub id.
        seed: of its noise.
        options: how to run it.
        say: told in a sentence what was found out about the device; None for stderr.

    Raises:
        CheckpointError: the checkpoint cannot be used; every reason of one kind at once.
        UsageError: the options do not fit the checkpoint or this machine.
    """

    def __init__(
        self,
        where: str | Path,
        seed: int = 0,
        options: ModelOptions | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._options = options = options or ModelOptions()
        self._say = say or (lambda text: print(f"groot-bench: {text}", file=sys.stderr))
        self._seed = seed
        folder = resolve(str(where), revision=options.revision)
        self._checkpoint = open_model(folder, options.data_config)
        self._device, self._dtype = _place(options)
        own = self._checkpoint.files.tokenizer
        self._tokenizer = load_tokenizer(
            options.tokenizer or (str(own) if own else None), self._checkpoint.family, self._checkpoint.config
        )
        self._layout, batch = _layout(options, self._device)
        self._processors: dict[str, Processor] = {}  # by task
        self._checked: set[object] = set()
        model, loaded = self._checkpoint.load(dtype=self._dtype, device=self._device, attn=options.attn)
        self._engine = Engine(
            model,
            pad=self._tokenizer.pad,
            steps=options.denoising_steps,
            device=self._device,
            dtype=self._dtype,
            batch_size=batch or 1,
            layout=self._layout,
            compiled=options.compile,
        )
        self.info = PolicyInfo(
            self._checkpoint.family.value,
            version="1",
            seed=seed,
            settings=self._settings(),
            checkpoint=loaded.digest,
            batch_size=batch,
        )

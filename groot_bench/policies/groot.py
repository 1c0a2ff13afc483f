"""GR00T checkpoints as a policy: a suite's modality dict in, chunks of raw actions out.

A row's noise is keyed by (policy seed, episode, query) and drawn on the CPU in float32; how rows are put together so
that none depends on another is the business of `groot_bench.models.engine`.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from groot_bench.errors import CheckpointError, GrootBenchError, PolicyError, UsageError
from groot_bench.models.attention import require_kind
from groot_bench.models.checkpoint import Checkpoint, Embodiment, open_model
from groot_bench.models.embodiments import resolve_tag
from groot_bench.models.engine import Engine, RowCheck
from groot_bench.models.options import ModelOptions
from groot_bench.models.processing.fit import choose, instruction_key
from groot_bench.models.processing.processor import Processor
from groot_bench.models.processing.tokenizer import load_tokenizer, require_tokens_known
from groot_bench.models.sample_rows import sample_rows
from groot_bench.models.source import resolve
from groot_bench.noise import normal
from groot_bench.policy import Action, Interface, Observation, Policy, PolicyInfo, Query
from groot_bench.provenance import MODEL_PACKAGES
from groot_bench.spec import ACTION, STATE, VIDEO
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

    Weights are read when `info` or an action is first asked for, so that a task that does not fit is told before.

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
        if seed < 0:
            raise UsageError(f"the policy's seed must be 0 or more, got {seed}")
        self._options, self._seed = options or ModelOptions(), seed
        self._say = say or _to_stderr
        self._device, self._dtype = _place(self._options)
        if self._options.threads is not None:
            torch.set_num_threads(self._options.threads)
        folder = resolve(str(where), revision=self._options.revision)
        self._checkpoint = open_model(folder, self._options.data_config)
        self._tokenizer = self._load_tokenizer()
        embodiments, self._unusable = _embodiments(self._checkpoint, self._options.embodiment)
        slots = sorted({embodiment.codec.embodiment for embodiment in embodiments.values()})
        self._processors = {
            tag: Processor(self._checkpoint, embodiment, self._tokenizer, slots.index(embodiment.codec.embodiment))
            for tag, embodiment in embodiments.items()
        }
        self._by_task: dict[str, tuple[Processor, str]] = {}  # with the name of the instruction
        self._slots = tuple(slots)
        self._batch = self._options.batch_size or (GPU_BATCH if self._device.type == "cuda" else None)
        self._digest: str | None = None

    def load(self) -> str:
        """Loads the weights and checks the device, once; returns the weights' digest. Comes by itself when needed.

        Raises:
            CheckpointError: the weights do not fit or are not finite.
        """
        if self._digest is None:
            self._model, loaded = self._checkpoint.load(
                dtype=self._dtype, device=self._device, attn=self._options.attn, slots=self._slots
            )
            self._engine = self._make_engine()
            self._rows = self._examine()
            self._digest = loaded.digest
        return self._digest

    @property
    def info(self) -> PolicyInfo:  # type: ignore[override]  # the tasks' embodiments are known once they were asked for
        name, digest = self._checkpoint.family.value, self.load()
        return PolicyInfo(name, "1", self._seed, self._settings(), digest, batch_size=self._batch)

    def interface(self, task: Task) -> Interface:
        """What the one embodiment that fits reads and returns; see `groot_bench.models.processing.fit`."""
        embodiments = {tag: processor.embodiment for tag, processor in self._processors.items()}
        embodiment, interface = choose(embodiments, task, self._unusable)
        text = instruction_key(embodiment, task)
        assert text is not None
        self._by_task[task.name] = (self._processors[embodiment.tag], text)
        return interface

    def act(self, observation: Observation, queries: Sequence[Query]) -> Action:
        self.load()
        head = self._checkpoint.config.head
        rows, states, processors = [], [], []
        for place, query in enumerate(queries):
            if query.episode.task not in self._by_task:
                raise PolicyError(f"asked about task {query.episode.task!r} before its interface was")
            processor, text = self._by_task[query.episode.task]
            keys = processor.embodiment.video_keys
            frames = [np.asarray(observation[VIDEO + key])[place, -1] for key in keys]
            state = {key: np.asarray(observation[STATE + key])[place] for key in processor.codec.state_dims}
            padded = (head.horizon, head.action_dim)
            noise = normal(self._seed, query.episode, query.index, processor.noise_shape, padded)
            rows.append(processor.row(frames, state, str(observation[text][place]), noise))
            states.append(state)
            processors.append(processor)
        outputs = self._engine.run(rows)
        chunks = [
            processor.decode(output, state)
            for processor, output, state in zip(processors, outputs, states, strict=True)
        ]
        return {ACTION + key: np.stack([chunk[key] for chunk in chunks]) for key in chunks[0]}

    def close(self) -> None:
        """Frees the weights; nothing can be asked afterwards."""
        self.__dict__.pop("_engine", None)
        self.__dict__.pop("_model", None)

    def _load_tokenizer(self) -> Any:
        own = self._checkpoint.files.tokenizer
        where = self._options.tokenizer or (str(own) if own else None)
        tokenizer = load_tokenizer(where, self._checkpoint.family)
        require_tokens_known(tokenizer, self._checkpoint.config.backbone)
        return tokenizer

    @property
    def _layout(self) -> str:
        if self._options.upstream_padding:
            return "upstream"
        return "bucketed" if self._device.type == "cuda" else "single"

    def _make_engine(self) -> Engine:
        return Engine(
            self._model,
            pad=self._tokenizer.pad,
            steps=self._options.denoising_steps,
            device=self._device,
            dtype=self._dtype,
            batch_size=self._batch or 1,
            layout=self._layout,
            compiled=self._options.compile,
        )

    def _examine(self) -> RowCheck:
        """Proves on this device that rows do not depend on their neighbors, or says that they do."""
        # Only rows of one padded length share a batch, and of two the lengths differ.
        rows = sample_rows(next(iter(self._processors.values())), 3 if (self._batch or 1) > 1 else 2)
        found = self._engine.check(rows)
        where = f"{self._device.type}, {str(self._dtype).removeprefix('torch.')}, layout {self._layout!r}"
        if found.equal:
            self._say(f"self-check: a row has the same bits alone and among others ({where})")
            return found
        self._say(f"self-check: rows depend on their neighbors, by up to {found.difference:.1e} ({where})")
        if self._options.strict and self._batch != 1:
            self._say("--strict: rows run one at a time")
            self._batch = 1
            self._engine = self._make_engine()
            return self._examine()
        return found

    def _settings(self) -> dict[str, Any]:
        options = self._options
        return {
            "embodiments": {task: processor.embodiment.tag for task, (processor, _) in sorted(self._by_task.items())},
            "configuration": self._checkpoint.identity(),
            "denoising_steps": self._engine.sampler.steps,
            "device": self._device.type,
            "processor": _processor(self._device),
            "dtype": str(self._dtype).removeprefix("torch."),
            "attention": options.attn,
            "compile": options.compile,
            "layout": self._layout,
            "packed_head": self._engine.packed,
            "rows_independent": self._rows.equal,
            "tokenizer": self._tokenizer.identity(),
            "threads": torch.get_num_threads() if self._device.type == "cpu" else None,
            "packages": {name: _version(name) for name in MODEL_PACKAGES},
        }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # OpenCV comes under several names
        return None


def _processor(device: torch.device) -> str:
    """What sums are computed with, as far as it decides how they round: the GPU's name, or a CPU's vector instructions.

    Another of them gives actions that differ in their last bits, and with them, sooner or later, other episodes.
    """
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return str(torch.backends.cpu.get_cpu_capability())


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"groot-bench: {text}\n")


def _place(options: ModelOptions) -> tuple[torch.device, torch.dtype]:
    """The device and the type that the options mean on this machine."""
    name = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if options.compile and (device.type != "cuda" or options.upstream_padding):
        raise UsageError("--compile needs --device cuda and no --upstream-padding: only there shapes are fixed")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu")
    dtype = DTYPES[options.dtype or ("bfloat16" if device.type == "cuda" else "float32")]
    require_kind(options.attn, device, dtype)
    return device, dtype


def _embodiments(checkpoint: Checkpoint, wanted: str | None) -> tuple[dict[str, Embodiment], list[str]]:
    """The embodiment that was asked for, or all that can be run, and why the others cannot.

    Raises:
        UnknownName: there is no such tag.
        CheckpointError: its statistics are missing or wrong, or those of all.
    """
    if wanted is not None:
        tag = resolve_tag(wanted, checkpoint.family, checkpoint.tags)
        return {tag: checkpoint.embodiment(tag)}, []
    found, problems = {}, []
    for tag in checkpoint.tags:
        try:
            found[tag] = checkpoint.embodiment(tag)
        except GrootBenchError as problem:
            problems.append(problem)
    if not found and len({str(problem) for problem in problems}) == 1:
        raise problems[0]
    if not found:
        raise CheckpointError("\n".join(["no embodiment of the checkpoint can be run:", *map(str, problems)]))
    return found, [str(problem) for problem in problems]

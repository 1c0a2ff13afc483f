"""A checkpoint, opened: what it is, which embodiments it has, and how to load its model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from groot_bench.errors import CheckpointError, UsageError
from groot_bench.models.attention import require_kind
from groot_bench.models.config import ModelConfig, parse_config
from groot_bench.models.data_configs import read_data_config
from groot_bench.models.embodiments import SLOTS_N15, is_table
from groot_bench.models.family import Family
from groot_bench.models.folder import CheckpointFiles, open_checkpoint
from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.model import Gr00t
from groot_bench.models.processing.codec import KeyCodec
from groot_bench.models.processing.codec_n15 import make_codec_n15
from groot_bench.models.processing.codec_n17 import make_codec_n17
from groot_bench.models.processing.data_config_n15 import DataConfigN15, load_data_config, unrunnable
from groot_bench.models.processing.data_configs_n15 import DATA_CONFIGS, built_in_data_config
from groot_bench.models.processing.modality import ProcessorConfig, parse_processor
from groot_bench.models.processing.statistics import parse_statistics
from groot_bench.models.weights import Loaded, Rows, load_weights


@dataclass(frozen=True)
class Embodiment:
    """One robot that a checkpoint knows.

    Attributes:
        tag: its name in the checkpoint.
        codec: of its states and actions.
        video_keys, video_steps: the cameras it reads, in order, without prefix, and at which time steps.
        language_key: of its instruction, as the checkpoint has it, with a prefix or without.
    """

    tag: str
    codec: KeyCodec
    video_keys: tuple[str, ...]
    video_steps: tuple[int, ...]
    language_key: str


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint folder; no weights are read yet.

    Attributes:
        files: its files. config: of its model.
        processor: of N1.6 and N1.7, else None.
        data_config: of N1.5, where one was given; else the folder's own are used.
        slots: tag -> row of the per-embodiment tables.
    """

    files: CheckpointFiles
    config: ModelConfig
    processor: ProcessorConfig | None
    data_config: DataConfigN15 | None
    slots: Mapping[str, int]

    @property
    def family(self) -> Family:
        return self.config.family

    @property
    def tags(self) -> tuple[str, ...]:
        """Embodiments that can be run: those with a modality configuration (N1.5: with statistics)."""
        known = self.files.metadata if self.processor is None else self.processor.embodiments
        return tuple(known)

    def embodiment(self, tag: str) -> Embodiment:
        """What the model reads and returns for one of `tags`.

        Raises:
            CheckpointError: statistics are missing or wrong, or it has no row in the per-embodiment tables.
        """
        slot = self._slot(tag)
        if self.processor is None:
            return self._embodiment_n15(tag, slot)
        modalities = self.processor.embodiments[tag]
        codec = make_codec_n17(self.processor, parse_statistics(self.files.statistics), tag, slot)
        (language,) = modalities.language.modality_keys[:1]
        video = modalities.video
        return Embodiment(tag, codec, video.modality_keys, video.delta_indices, language)

    def identity(self) -> str:
        """Digest of everything but weights and tokenizer that decides an action: 32 hex digits.

        That is of configuration, backbone sizes, processor, statistics, table rows, and data configurations, as they
        were understood: the order of keys and the place of a file do not count.
        """
        files = self.files
        parts = [files.config, files.backbone_config, files.processor, files.statistics, files.embodiment_id]
        data = self.data_config
        if self.processor is None:
            own = {tag: data or read_data_config(files.folder, tag) for tag in self.tags}
            parts += [files.metadata, {tag: config and dataclasses.asdict(config) for tag, config in own.items()}]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def _embodiment_n15(self, tag: str, slot: int) -> Embodiment:
        data, head = self.data_config or read_data_config(self.files.folder, tag), self.config.head
        if data is None:
            raise UsageError(
                "an N1.5 checkpoint does not say which keys it reads and how they are normalized; give --data-config "
                f"with the configuration that it was trained with: a JSON file, or one of {', '.join(DATA_CONFIGS)}"
            )
        raise_if(unrunnable(data), f"the data configuration of embodiment {tag!r}")
        data = dataclasses.replace(data, horizon=head.horizon)
        entry = self.files.metadata[tag]
        codec = make_codec_n15(entry, data, head.state_dim, head.action_dim, head.horizon, slot)
        cameras = tuple(key.partition(".")[2] for key in data.video_keys)
        return Embodiment(tag, codec, cameras, (0,), data.language_keys[0].partition(".")[2])

    def _slot(self, tag: str) -> int:
        if tag not in self.slots:
            raise CheckpointError(
                f"{self.files.folder}: embodiment {tag!r} has no row in the per-embodiment tables; rows are known for "
                f"{', '.join(sorted(self.slots))}"
            )
        return self.slots[tag]

    def load(
        self, *, dtype: torch.dtype, device: torch.device, attn: str = "sdpa", slots: tuple[int, ...] | None = None
    ) -> tuple[Gr00t, Loaded]:
        """The model with its weights.

        Args:
            slots: the rows of the per-embodiment tables to load, in this order; None for all.

        Raises:
            CheckpointError: see `load_weights`.
            UsageError: that attention cannot run there.
        """
        require_kind(attn, device, dtype)
        config, total = self.config, self.config.head.embodiments
        if slots is not None:
            config = dataclasses.replace(config, head=dataclasses.replace(config.head, embodiments=len(slots)))
        with torch.device("meta"):
            model = Gr00t(config, attn)

        def rows(name: str) -> Rows | None:
            return Rows(total, slots) if slots is not None and is_table(name) else None

        loaded = load_weights(model, self.files.weights, dtype=dtype, device=device, unused=model.is_unused, rows=rows)
        return model.eval(), loaded


def open_model(folder: Path, data_config: str | None = None) -> Checkpoint:
    """Opens a checkpoint folder and checks everything but weights and statistics.

    Args:
        data_config: N1.5 only; see `ModelOptions`.

    Raises:
        CheckpointError: files are missing or damaged, or describe no model; all problems of one kind at once.
        UsageError: `data_config` is given for another family, or names nothing.
    """
    files = open_checkpoint(folder)
    config = parse_config(files.config, files.backbone_config)
    if config.family is Family.N15:
        if not isinstance(files.metadata, Mapping) or not files.metadata:
            raise CheckpointError(f"{folder}: experiment_cfg/metadata.json must hold statistics of an embodiment")
        given = None if data_config is None else _data_config(data_config)
        return Checkpoint(files, config, None, given, SLOTS_N15)
    if data_config is not None:
        raise UsageError(f"--data-config is for N1.5; this is {config.family.title}, whose checkpoints hold their own")
    processor = parse_processor(files.processor)
    _require_fit(config, processor, folder)
    return Checkpoint(files, config, processor, None, _slots(files.embodiment_id, config))


def _data_config(given: str) -> DataConfigN15:
    return load_data_config(Path(given)) if given.endswith(".json") else built_in_data_config(given)


def _slots(data: Any, config: ModelConfig) -> dict[str, int]:
    problems: list[str] = []
    fields = Fields(data, "embodiment_id.json", problems)
    found = {tag: fields.size(tag, least=0, most=config.head.embodiments - 1) for tag in fields.data}
    raise_if(problems, "the rows of the per-embodiment tables")
    return found


def _require_fit(config: ModelConfig, processor: ProcessorConfig, folder: Path) -> None:
    """The processor pads to what the model reads."""
    head = config.head
    pairs = (
        ("max_state_dim", processor.max_state_dim, head.state_dim),
        ("max_action_dim", processor.max_action_dim, head.action_dim),
        ("max_action_horizon", processor.max_action_horizon, head.horizon),
    )
    problems = [f"{name}: processor {one}, model {two}" for name, one, two in pairs if one != two]
    raise_if(problems, f"{folder}: processor_config.json and config.json differ")

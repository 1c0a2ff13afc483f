"""Tiny checkpoints: complete folders in the released layout, with random weights, for a suite's tasks.

For tests, demos and CI: whatever reads a released checkpoint reads these, in milliseconds a query on one core. The
random policy that they hold depends on picture, state, instruction, embodiment and noise.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groot_bench.errors import UsageError
from groot_bench.models.config import parse_config
from groot_bench.models.family import Family
from groot_bench.models.folder import BACKBONE, CONFIG
from groot_bench.models.processing.tokenizer import tiny_tokenizer
from groot_bench.models.shards import INDEX, SINGLE
from groot_bench.models.tiny_config import Sizes, backbone_json, config_json
from groot_bench.models.tiny_embodiments import TinyEmbodiment, find_embodiments
from groot_bench.models.tiny_processor import encoded_width, processor_files
from groot_bench.models.tiny_weights import Stored, safetensors_bytes, tiny_weights
from groot_bench.suite import Suite

SHORTEST_HORIZON = 16  # control steps of a chunk; more where a protocol executes more of them
PADDING = 8  # padded widths are the next multiple of it above the widest real one
SHARDED = Family.N16  # the family whose weights are written as two shards, so that both forms are met


def write_tiny(family: Family, suite: Suite, out: Path, *, seed: int = 0, tasks: Sequence[str] | None = None) -> Path:
    """Writes a checkpoint that fits these tasks.

    There is one embodiment for each different interface (cameras, and keys and sizes of states and actions) among the
    tasks; all cameras and all states are read. Equal arguments give equal bytes. The folder appears when it is
    complete, or not at all.

    Args:
        family: of the model.
        suite: whose tasks they are.
        out: the new folder; it may exist if it is empty.
        seed: of the weights.
        tasks: their names; None for all.

    Returns:
        `out`.

    Raises:
        UsageError: `out` exists and is no empty folder, or GR00T cannot run a task; see `find_embodiments`.
        UnknownName: the suite has no such task.
    """
    embodiments = find_embodiments(family, suite.select(tasks))
    _require_free(out)
    sizes = _sizes(suite, embodiments)
    backbone, config = backbone_json(family), config_json(family, sizes)
    rate = suite.protocol().control_hz
    files = {
        CONFIG: _text(config),
        BACKBONE: _text(backbone),
        **{name: _text(value) for name, value in processor_files(family, embodiments, sizes, rate).items()},
        **_weight_files(family, tiny_weights(parse_config(config, backbone), seed)),
        "tokenizer.json": tiny_tokenizer(family).to_str(pretty=True).encode(),
    }
    _write(out, files)
    return out


def _sizes(suite: Suite, embodiments: Sequence[TinyEmbodiment]) -> Sizes:
    state = max(encoded_width(one.state) for one in embodiments)
    action = max(sum(span.size for span in one.action.values()) for one in embodiments)
    steps = [protocol.actions_per_query for protocol in suite.protocols.values()]
    return Sizes(_padded(state), _padded(action), max(SHORTEST_HORIZON, *steps))


def _padded(width: int) -> int:
    return (width // PADDING + 1) * PADDING


def _weight_files(family: Family, tensors: dict[str, Stored]) -> dict[str, bytes]:
    """The weights in one file, or in two with an index: the backbone and the action head."""
    if family is not SHARDED:
        return {SINGLE: safetensors_bytes(tensors)}
    names = {
        part: f"model-{number:05}-of-00002.safetensors" for number, part in ((1, "backbone."), (2, "action_head."))
    }
    shards = {
        name: {key: tensor for key, tensor in tensors.items() if key.startswith(part)} for part, name in names.items()
    }
    index = {
        "metadata": {"total_size": sum(len(tensor.data) for tensor in tensors.values())},
        "weight_map": {key: names[f"{key.partition('.')[0]}."] for key in tensors},
    }
    return {INDEX: _text(index), **{name: safetensors_bytes(shard) for name, shard in shards.items()}}


def _text(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _require_free(out: Path) -> None:
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out}: exists already; give a new folder, or delete it first")


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Writes the files into a folder beside `out`, which then takes its name."""
    partial = out.parent / f".{out.name}.{secrets.token_hex(4)}.partial"
    try:
        for name, data in files.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(data)
        partial.rename(out)  # over an empty folder, if there is one
    except OSError as problem:
        raise UsageError(f"{out}: cannot be written: {problem.strerror or problem}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)

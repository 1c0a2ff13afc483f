"""The data configurations that lie in an N1.5 folder: released ones have none, tiny ones do."""

from __future__ import annotations

import os
from pathlib import Path

from groot_bench.models.processing.data_config_n15 import DataConfigN15, parse_data_config
from groot_bench.models.regular import read_json, require_plain

DATA_CONFIG = "data_config.json"


def data_config_name(tag: str) -> str:
    """The file for one embodiment where the folder has several, each with keys of its own."""
    return require_plain(f"data_config.{tag}.json", "metadata.json")


def read_data_config(folder: Path, tag: str) -> DataConfigN15 | None:
    """The embodiment's own configuration, or the folder's, or None.

    Raises:
        CheckpointError: the file is damaged, or the tag cannot be part of a file's name.
        UsageError: it is JSON, but no data configuration.
    """
    for name in (data_config_name(tag), DATA_CONFIG):
        if os.path.lexists(folder / name):
            return parse_data_config(read_json(folder, name), name)
    return None

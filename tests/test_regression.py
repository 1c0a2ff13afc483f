"""What this implementation computed when it agreed with the originals, it computes still.

The recorded numbers lie in tests/regression and were made there by make.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from regression import make
from safetensors.numpy import load_file

from groot_bench.models.difference import Difference, largest_difference
from groot_bench.models.family import Family

families = pytest.mark.parametrize("family", Family, ids=lambda family: family.value)

# Largest differences in float32 that another processor's rounding may make, by the beginning of a name: some 10 times
# those between float32 and float64, and far below those that a wrong formula makes. Whole numbers must be equal.
LIMITS = {
    "head.encoded_state": 1e-5,
    "head.": 5e-4,
    "loss.velocity_pred": 5e-4,
    "loss.gradient_norm": 1e-2,
    "loss.": 1e-4,
    "image.": 0.0079,  # one grey level, see make.FRAMES
    "row.": 1e-5,
    "backbone.": 1e-4,
    "end_to_end.": 5e-4,
    "codec.": 1e-5,
}


def compare(found: make.Vectors, recorded: make.Vectors) -> list[Difference]:
    """Every array that either has; one that is missing, or of another shape, is infinitely far."""
    lines = []
    for name in sorted({*found, *recorded}):
        ours, theirs = found.get(name), recorded.get(name)
        exact = theirs is None or theirs.dtype.kind != "f"
        limit = 0.0 if exact else next(limit for start, limit in LIMITS.items() if name.startswith(start))
        lines.append(Difference("", name, largest_difference(ours, theirs), limit))
    return lines


def over(found: make.Vectors, recorded: make.Vectors) -> list[str]:
    return [f"{line.field}: {line.difference:.1e}" for line in compare(found, recorded) if not line.ok]


@pytest.fixture(scope="module")
def recorded() -> dict[Family, make.Vectors]:
    return {family: load_file(make.HERE / f"{family.value}.safetensors") for family in Family}


@families
def test_results_are_those_that_were_recorded(
    family: Family, recorded: dict[Family, make.Vectors], tmp_path: Path
) -> None:
    assert over(make.vectors(family, tmp_path / "checkpoint"), recorded[family]) == []


def test_the_command_reproduces_the_recorded_files(recorded: dict[Family, make.Vectors], tmp_path: Path) -> None:
    subprocess.run([sys.executable, make.__file__, str(tmp_path)], check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{family.value}.safetensors" for family in Family]
    for family in Family:
        assert over(load_file(tmp_path / f"{family.value}.safetensors"), recorded[family]) == []


@families
def test_every_part_is_recorded_and_a_change_of_any_array_is_noticed(
    family: Family, recorded: dict[Family, make.Vectors]
) -> None:
    vectors = recorded[family]
    parts = {"weights", "head", "loss", "image", "row", "backbone", "end_to_end", "codec"}
    assert {name.partition(".")[0] for name in vectors} == parts
    assert over(vectors, vectors) == []
    for name, array in vectors.items():
        assert array.dtype.kind != "f" or np.ptp(array) > 0 or array.size == 1, f"{name} is all the same"
        other = ~array if array.dtype.kind in "bu" else (1.02 * array + 1).astype(array.dtype)
        assert len(over({**vectors, name: other}, vectors)) == 1
        assert len(over({key: value for key, value in vectors.items() if key != name}, vectors)) == 1
        assert len(over({**vectors, name: array.reshape(-1)[:-1]}, vectors)) == 1


@families
def test_a_wrong_formula_goes_beyond_the_limits(
    family: Family, recorded: dict[Family, make.Vectors], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.functional, "silu", torch.nn.functional.gelu)  # a near miss
    assert len(over(make.vectors(family, tmp_path / "checkpoint"), recorded[family])) > 10


def test_the_recorded_files_are_small() -> None:
    assert sum(path.stat().st_size for path in make.HERE.iterdir() if path.is_file()) < 2_000_000

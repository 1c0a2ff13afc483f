"""The benchmarks of the models run, at their smallest sizes, and measure what they say."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from groot_bench.models.family import Family
from groot_bench.models.model import Gr00t


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


# Parameters of the whole model without the layers that inference does not need, and of its head: N1.7 as published, the
# head of N1.5 by its released layers.
@pytest.mark.parametrize(
    ("family", "part", "count"),
    [(Family.N17, "", 3_144_016_000), (Family.N15, "action_head.", 1_068_806_144)],
)
def test_released_sizes_have_the_released_number_of_parameters(family: Family, part: str, count: int) -> None:
    with torch.device("meta"):
        tensors = Gr00t(script("model_sizes").model_config(family, "released")).tensors()
    assert sum(tensor.numel() for name, tensor in tensors.items() if name.startswith(part)) == count


def test_one_camera_has_the_released_number_of_tokens() -> None:
    assert [script("model_sizes").image_tokens(family) for family in Family] == [256, 81, 64]


def test_head_agrees_with_the_straightforward_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "head.json"
    words = ["--size", "tiny", "--cameras", "2", "--repeats", "1", "--threads", "1", "--json", str(out)]
    script("head_speed").main(words)
    rows = json.loads(out.read_text())["rows"]
    assert [row["family"] for row in rows] == ["n15", "n16", "n17"]
    for row in rows:
        for part in ("head", "loop"):
            assert row[f"{part}, difference"] <= 1e-4 * row[f"{part}, largest"]
            assert row[f"{part}, ours"] > 0 and row[f"{part}, straightforward"] > 0
            assert row[f"arithmetic, {part}"] > 1
    assert capsys.readouterr().out.count("| n1") == 3


def test_loading_is_set_beside_plain_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "load.json"
    words = ["--size", "tiny", "--repeats", "1", "--same-process", "--where", str(tmp_path), "--json", str(out)]
    load = script("load_speed")
    load.main(words)
    found = json.loads(out.read_text())
    assert [row["case"] for row in found["rows"]] == list(load.CASES)
    assert found["rows"][0]["ratio"] == 1.0
    assert "N1.7" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [out], "the checkpoint is removed"


def test_every_way_to_load_gives_all_weights(tmp_path: Path) -> None:
    load = script("load_speed")
    nbytes = load.write(tmp_path, "tiny")
    names = list(load.CASES)
    seen = {name: load.run_here(name, tmp_path, load.Settings("tiny", 1)).weights for name in names}
    assert {seen[name] for name in names if "float32" in name} == {2 * nbytes}
    assert {seen[name] for name in ("load_weights, as stored", "safetensors load_file and copy")} == {nbytes}
    headers = seen["plain reading"] - nbytes
    assert 0 < headers < nbytes


def test_whole_models_run_and_are_not_taken_for_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "groot.json"
    words = ["--size", "tiny", "--device", "cpu", "--mode", "eager", "--batch", "1", "--batch", "2", "--repeats", "1"]
    script("groot_speed").main([*words, "--json", str(out)])
    text = capsys.readouterr().out
    assert "Not measured on a GPU" in text
    assert "H100" in text and "85.8" not in text, "published figures stand only beside released sizes"
    rows = json.loads(out.read_text())["rows"]
    assert [(row["family"], row["batch"]) for row in rows] == [(f"n1{k}", size) for k in (5, 6, 7) for size in (1, 2)]
    assert all(row["query"] > 0 and row["backbone"] > 0 and row["head"] > 0 for row in rows)


def test_missing_gpu_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    script("groot_speed").main([])
    assert "Not measured: torch finds no CUDA device" in capsys.readouterr().out

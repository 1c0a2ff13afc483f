"""`groot-bench ckpt golden`: all recorded numbers are reproduced, and a wrong one is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from conftest import shared_folder
from safetensors.torch import load_file, save_file

from groot_bench.cli import main
from groot_bench.models.difference import Difference
from groot_bench.models.golden import to_markdown

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def golden() -> Path:
    shared = shared_folder()
    if shared is None:
        pytest.skip("no shared folder with golden numbers")
    return shared / "golden"


def test_every_field_of_all_families_is_reproduced(golden: Path, cli: Cli) -> None:
    done = cli("ckpt", "golden", golden, "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["over"] == 0
    assert set(found["folders"]) == {"n15", "n16", "n17"}
    for lines in found["folders"].values():
        assert len(lines) > 200 and all(line["ok"] for line in lines)
        files = {line["file"] for line in lines}
        wanted = {"backbone", "head", "train", "train_grad_norms", "end_to_end", "processor", "image", "prompt"}
        assert {name.partition(".")[0] for name in files} == wanted


FILES = ["head.safetensors", "train.safetensors", "backbone.safetensors", "end_to_end.safetensors"]


@pytest.mark.parametrize("family", ["n15", "n16", "n17"])
def test_one_wrong_number_in_each_file_is_found(family: str, golden: Path, cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / family
    shutil.copytree(golden / family, folder, copy_function=shutil.copyfile)
    names = {}
    for name in FILES:
        tensors = load_file(folder / name)
        names[name] = "loss" if "loss" in tensors else "features" if "features" in tensors else "action_pred"
        tensors[names[name]].view(-1)[0] += 0.05
        save_file(tensors, folder / name)
    (folder / "prompt.json").unlink()
    done = cli("ckpt", "golden", folder, "--brief")
    assert done.returncode == 1
    for name, field in names.items():
        assert f"| {name} | {field} | " in done.stdout
    assert done.stdout.count("OVER") == 5
    assert "prompt.json" in done.stdout


def test_folder_without_golden_numbers_is_refused(cli: Cli, tmp_path: Path) -> None:
    done = cli("ckpt", "golden", tmp_path)
    assert done.returncode == 2 and "is no golden folder" in done.stderr


def test_table_shows_the_nearest_of_each_file_and_all_that_are_over() -> None:
    lines = [
        Difference("a", "near", 0.9, 1.0),
        Difference("a", "far", 0.1, 1.0),
        Difference("a", "over", 2.0, 1.0),
        Difference("a", "nan", float("nan"), 1.0),
        Difference("b", "exact", 0.0, 0.0),
    ]
    brief = to_markdown("x", lines, every=False)
    assert "over" in brief and "nan" in brief and "exact" in brief and "far" not in brief
    assert "5 fields, 2 over their tolerance" in brief
    assert "far" in to_markdown("x", lines, every=True)


@pytest.mark.parametrize("words", [["golden"], ["show"], ["tiny", "--family=n16", "--suite=no-such-suite"]])
def test_commands_let_waiting_threads_sleep(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Threads that spin make the comparison take 20 times as long on two cores, even where nothing else runs."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert main(["ckpt", *words, str(tmp_path / "nothing")]) == 2
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE" and capsys.readouterr().err

"""The comparison with recorded prompts: that it finds what is equal and what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from conftest import shared_folder
from models import IMAGE
from test_processing_prompt import FAMILIES, TINY, Tree, set_at, write_whole

from groot_bench.errors import CheckpointError
from groot_bench.models.family import Family
from groot_bench.models.golden_prompt import compare_prompts
from groot_bench.models.processing.language import formalize
from groot_bench.models.processing.prompt import chat_text, special_tokens
from groot_bench.models.processing.tokenizer import tiny_tokenizer


def rolled(items: list[Any]) -> list[list[Any]]:
    return [[value, len(list(run))] for value, run in groupby(items)]


def recorded(family: Family) -> Tree:
    """A prompt.json as the originals would have written it with the tiny vocabulary."""
    words, names = TINY[family], {number: name for name, number in tiny_tokenizer(family).get_vocab().items()}
    tokens = {Family.N15: 256, Family.N16: 81, Family.N17: 64}[family]
    samples, rows = [], []
    for images, instruction in enumerate(["Pick up the cube, please!", "put it (left)"], start=1):
        language = instruction if family is Family.N15 else formalize(instruction)
        ids = words.encode_row(language, [tokens] * images).tolist()
        sample = {
            "instruction": instruction,
            "n_images": images,
            "image_hw": [256, 256],
            "chat_text": chat_text(family, language, images),
            "input_ids_rle": rolled(ids),
            "tokens_rle": rolled([names[number] for number in ids]),
            "n_tokens": len(ids),
        }
        samples.append(sample if family is Family.N15 else {**sample, "language": language, "formalize_language": True})
        rows.append(ids)
    gap = len(rows[1]) - len(rows[0])
    batch = {
        "chat_texts": [sample["chat_text"] for sample in samples],
        "input_ids_rle": [rolled([words.pad] * gap + rows[0]), rolled(rows[1])],
        "attention_mask_rle": [rolled([0] * gap + [1] * len(rows[0])), rolled([1] * len(rows[1]))],
    }
    image = special_tokens(family)[3]
    settings = {"image_token": image, "image_token_id": IMAGE, "pad_token": "<|endoftext|>", "pad_token_id": words.pad}
    return {
        "family": family.value,
        "tokenizer": {**settings, "padding_side": "left"},
        "samples": samples,
        "batches": [batch],
    }


@pytest.mark.parametrize("with_words", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_comparison_finds_equal_prompts_equal(family: Family, with_words: bool, tmp_path: Path) -> None:
    (tmp_path / "prompt.json").write_text(json.dumps(recorded(family)))
    where = write_whole(family, tmp_path / "words") if with_words else None
    lines = list(compare_prompts(tmp_path, where))
    assert len(lines) > 15
    assert all(line.difference == 0 for line in lines), [line for line in lines if line.difference]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (set_at("samples", 0, "chat_text", value="hello"), "samples.0.chat_text"),
        (set_at("samples", 0, "language", value="Pick up"), "samples.0.language"),
        (set_at("samples", 0, "n_images", value=2), "samples.0.n_images"),
        (set_at("samples", 0, "n_tokens", value=2), "samples.0.n_tokens"),
        (set_at("samples", 0, "image_hw", value=[256, 512]), "samples.0.image_tokens"),
        (set_at("samples", 0, "tokens_rle", 1, value=["user", 1]), "samples.0.tokens_rle"),
        (set_at("samples", 0, "tokens_rle", 1, value=["user"]), "samples.0.(ValueError"),
        (set_at("samples", 0, "tokens_rle", 1, value=["a", 1 << 60]), "samples.0.(ValueError"),
        (set_at("samples", 0, "input_ids_rle", -3, value=[IMAGE, 2]), "samples.0.input_ids_rle"),
        (set_at("samples", 0, "something", value=1), "samples.0.something"),
        (set_at("samples", 0, value=3), "samples.0.(TypeError"),
        (set_at("batches", 0, "chat_texts", 0, value="hello"), "batches.0.(KeyError"),
        (set_at("batches", 0, "input_ids_rle", 0, 0, value=[1, 1]), "batches.0.input_ids_rle"),
        (set_at("batches", 0, "attention_mask_rle", 0, value=[[1, 9]]), "batches.0.attention_mask_rle"),
        (set_at("tokenizer", "padding_side", value="right"), "settings.tokenizer.padding_side"),
        (set_at("samples", value=None), "samples.(is missing"),
        (set_at("default_instruction_when_missing", value=""), "settings.default_instruction"),
        (set_at("formalized_examples", value={"A!": "a!"}), "settings.formalized_examples"),
    ],
)
def test_a_comparison_finds_what_differs(change: Callable[[Tree], None], field: str, tmp_path: Path) -> None:
    golden = recorded(Family.N16)
    change(golden)
    (tmp_path / "prompt.json").write_text(json.dumps(golden))
    wrong = [line.field for line in compare_prompts(tmp_path, None) if not line.ok]
    assert any(name.startswith(field) for name in wrong), wrong


def test_a_comparison_with_the_vocabulary_finds_wrong_ids(tmp_path: Path) -> None:
    golden = recorded(Family.N17)
    golden["samples"][1]["input_ids_rle"][1][0] += 1
    (tmp_path / "prompt.json").write_text(json.dumps(golden))
    wrong = [line for line in compare_prompts(tmp_path, write_whole(Family.N17, tmp_path / "words")) if not line.ok]
    assert [(line.field, line.difference) for line in wrong] == [("samples.1.input_ids_rle", 1.0)]


def test_a_comparison_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prompt.json").write_text('{"family": "n18"}')
    with pytest.raises(CheckpointError, match="n15, n16, n17"):
        list(compare_prompts(tmp_path, None))


@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_prompts_of_the_originals_are_reproduced(family: Family) -> None:
    shared = shared_folder()
    if shared is None:
        pytest.skip("there is no folder of shared reference data")
    lines = list(compare_prompts(shared / "golden" / family.value, None))
    assert all(line.ok for line in lines), [line for line in lines if not line.ok]

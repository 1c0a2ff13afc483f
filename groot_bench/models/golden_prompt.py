"""Prompts compared with `prompt.json` of a golden folder.

A sample is an instruction with images of one size: what is made of its words, the rendered chat, and the tokens, as ids
and as strings in the byte alphabet. A batch has samples padded on the left. Lists of tokens are run-length encoded.

The ids of text need the real vocabulary. Without one, the text that the recorded tokens spell is compared, with the
kinds, places and numbers of the special tokens; and the ids of a batch with those of the samples that are in it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from groot_bench.errors import CheckpointError, GrootBenchError
from groot_bench.models.difference import Difference
from groot_bench.models.family import Family
from groot_bench.models.processing.images_n15 import ImageTransformN15
from groot_bench.models.processing.images_n16 import ImageTransformN16
from groot_bench.models.processing.images_n17 import ImageTransformN17
from groot_bench.models.processing.language import DEFAULT_INSTRUCTION, formalize
from groot_bench.models.processing.prompt import IMAGE_TOKENS, PADDING, Special, chat_text, prompt, special_tokens
from groot_bench.models.processing.tokenizer import PromptTokenizer, load_tokenizer
from groot_bench.models.processing.vocabulary import byte_alphabet
from groot_bench.models.regular import read_json

FILE = "prompt.json"
MAX_TOKENS = 1 << 20  # of one list
MAX_SIDE = 1 << 12  # px
OUTPUTS = ("language", "chat_text", "input_ids_rle", "tokens_rle", "n_tokens")
INPUTS = ("formalize_language", "instruction", "n_images", "image_hw")
NOT_OF_THE_FORMAT = (GrootBenchError, AttributeError, IndexError, KeyError, TypeError, ValueError)

Counts = dict[str, float]  # field -> how many of its entries differ


def compare_prompts(folder: Path, tokenizer: str | None) -> Iterator[Difference]:
    """Every field of every sample and batch; the difference is the number of entries that differ.

    Args:
        folder: of one family, with prompt.json.
        tokenizer: folder or hub id of the family's real tokenizer, or None; see above.

    Raises:
        CheckpointError: prompt.json cannot be read or is of no family, or the tokenizer cannot be used.
    """
    golden = read_json(folder, FILE)
    names = [family.value for family in Family]
    if not isinstance(golden, dict) or golden.get("family") not in names:
        raise CheckpointError(f"{folder / FILE}: expected an object whose `family` is one of {', '.join(names)}")
    family = Family(golden["family"])
    words = load_tokenizer(tokenizer, family) if tokenizer is not None else None
    for place, count in _parts(golden, family, words):
        try:
            counts = count()
        except NOT_OF_THE_FORMAT as problem:
            counts = {f"({type(problem).__name__}: {problem})"[:300]: math.inf}
        for field, number in counts.items():
            yield Difference(FILE, f"{place}.{field}", number, 0.0)


def _parts(
    golden: Mapping[str, Any], family: Family, words: PromptTokenizer | None
) -> Iterator[tuple[str, Callable[[], Counts]]]:
    samples, batches = golden.get("samples"), golden.get("batches", [])
    yield "settings", partial(_settings, golden, family, words)
    for name, items in (("samples", samples), ("batches", batches)):
        if not isinstance(items, list):
            yield name, lambda: {"(is missing or no list)": math.inf}
    for index, sample in enumerate(samples if isinstance(samples, list) else ()):
        yield f"samples.{index}", partial(_sample, sample, golden, family, words)
    for index, batch in enumerate(batches if isinstance(batches, list) else ()):
        yield f"batches.{index}", partial(_batch, batch, golden, family, words)


def _settings(golden: Mapping[str, Any], family: Family, words: PromptTokenizer | None) -> Counts:
    """What is recorded once: rules, and settings of the tokenizer."""
    wanted: dict[str, object] = {
        "image_token": IMAGE_TOKENS[family].image,
        "pad_token": PADDING,
        "padding_side": "left",
    }
    if words is not None:
        wanted |= {"image_token_id": words.image_token, "pad_token_id": words.pad}
    counts = {f"tokenizer.{name}": float(golden["tokenizer"][name] != value) for name, value in wanted.items()}
    if "default_instruction_when_missing" in golden:
        counts["default_instruction"] = float(golden["default_instruction_when_missing"] != DEFAULT_INSTRUCTION)
    examples = golden.get("formalized_examples", {})
    if examples:
        counts["formalized_examples"] = float(sum(formalize(text) != told for text, told in examples.items()))
    return counts


def _sample(
    sample: Mapping[str, Any], golden: Mapping[str, Any], family: Family, words: PromptTokenizer | None
) -> Counts:
    """All outputs of one sample."""
    formal = family is not Family.N15 and bool(sample["formalize_language"])
    text = formalize(sample["instruction"]) if formal else sample["instruction"]
    ids, tokens = _unroll(sample["input_ids_rle"], int), _unroll(sample["tokens_rle"], str)
    image, image_id = IMAGE_TOKENS[family].image, golden["tokenizer"]["image_token_id"]
    runs = _runs(tokens, image)
    ours = [_normal(piece) for piece in prompt(family, text, runs)]
    counts = {
        "chat_text": float(chat_text(family, text, len(runs)) != sample["chat_text"]),
        "n_images": float(abs(len(runs) - sample["n_images"])),
        "image_tokens": _wrong([_image_tokens(family, *sample["image_hw"])] * len(runs), runs),
        "tokens_rle": _wrong(ours, _pieces(family, tokens)),
        "input_ids_rle": _wrong([token == image for token in tokens], [number == image_id for number in ids]),
        "n_tokens": float(abs(len(ids) - sample["n_tokens"])),
    }
    if "language" in sample or family is not Family.N15:
        counts["language"] = float(text != sample["language"])
    if words is not None:
        row = words.encode_row(text, runs).tolist()
        counts |= {"input_ids_rle": _wrong(row, ids), "n_tokens": float(abs(len(row) - sample["n_tokens"]))}
    return counts | {name: math.inf for name in sample if name not in (*OUTPUTS, *INPUTS)}


def _batch(
    batch: Mapping[str, Any], golden: Mapping[str, Any], family: Family, words: PromptTokenizer | None
) -> Counts:
    """Ids and mask of padded samples, which are known by their chats."""
    samples = {sample["chat_text"]: _unroll(sample["input_ids_rle"], int) for sample in golden["samples"]}
    pad, image_id = (golden["tokenizer"][name] for name in ("pad_token_id", "image_token_id"))
    ids = [_unroll(row, int) for row in batch["input_ids_rle"]]
    masks = [_unroll(row, int) for row in batch["attention_mask_rle"]]
    unknown, rows = 0, []
    for chat, recorded in zip(batch["chat_texts"], ids, strict=True):
        runs = _runs(recorded, image_id)
        text = _instruction(family, chat, len(runs))
        unknown += text is None
        rows.append(samples[chat] if words is None or text is None else words.encode_row(text, runs).tolist())
    length = max(map(len, rows))
    padded = [[pad] * (length - len(row)) + row for row in rows]
    wanted = [[0] * (length - len(row)) + [1] * len(row) for row in rows]
    return {
        "chat_texts": float(unknown),
        "input_ids_rle": sum(_wrong(*pair) for pair in zip(padded, ids, strict=True)),
        "attention_mask_rle": sum(_wrong(*pair) for pair in zip(wanted, masks, strict=True)),
        **{name: math.inf for name in batch if name not in ("chat_texts", "input_ids_rle", "attention_mask_rle")},
    }


def _instruction(family: Family, chat: str, images: int) -> str | None:
    """The words in a rendered chat with that many images; None if it is no chat of the family."""
    before, after = chat_text(family, "\0", images).split("\0")
    if len(chat) < len(before) + len(after) or not (chat.startswith(before) and chat.endswith(after)):
        return None
    return chat[len(before) : len(chat) - len(after)]


def _image_tokens(family: Family, height: int, width: int) -> int:
    """Tokens of an image that a released model's image processor is given in that size [px]."""
    if not max(height, width) <= MAX_SIDE:
        raise ValueError(f"images of {height} x {width} px are too large")
    if family is Family.N15:  # it brings every image to one size
        return ImageTransformN15().pack(np.zeros((224, 224, 3), np.uint8)).tokens
    image, settings = np.zeros((height, width, 3), np.uint8), {"use_albumentations": True}
    if family is Family.N16:
        return ImageTransformN16.from_processor(settings, 14, 2).pack(image).tokens
    return ImageTransformN17.from_processor(settings, 16, 2, 2).pack(image).tokens


def _pieces(family: Family, tokens: Sequence[str]) -> list[str | Special]:
    """Recorded tokens in the form of a prompt: runs of special tokens, and the texts between them."""
    special, letters = special_tokens(family), byte_alphabet()
    found: list[str | Special] = []
    for name, group in groupby(tokens, lambda token: token if token in special else None):
        run = list(group)
        spelled = bytes(letters[letter] for token in run for letter in token) if name is None else b""
        found.append(spelled.decode() if name is None else Special(name, len(run)))
    return found


def _normal(piece: str | Special) -> str | Special:
    return unicodedata.normalize("NFC", piece) if isinstance(piece, str) else piece  # as the vocabularies do


def _runs(tokens: Sequence[Any], token: Any) -> list[int]:
    """How often it is repeated, for each place where it stands."""
    return [len(list(group)) for one, group in groupby(tokens) if one == token]


def _wrong(ours: Sequence[Any], golden: Sequence[Any]) -> float:
    return float(sum(one != two for one, two in zip_longest(ours, golden)))


def _unroll(runs: Any, kind: type) -> list[Any]:
    """A run-length encoded list, [[value, count], ...], in full."""
    if not all(type(value) is kind and type(count) is int and count > 0 for value, count in runs):
        raise ValueError(f"a list of tokens is no list of [{kind.__name__}, count]")
    if sum(count for _, count in runs) > MAX_TOKENS:
        raise ValueError(f"a list has more than {MAX_TOKENS} tokens")
    return [value for value, count in runs for _ in range(count)]

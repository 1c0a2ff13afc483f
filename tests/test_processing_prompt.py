"""Instructions, prompts and tokenizers: what becomes which token, and what is refused."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import END as IMAGE_END
from models import IMAGE, START, VIDEO

from groot_bench.errors import CheckpointError, SpecMismatch
from groot_bench.models.family import Family
from groot_bench.models.processing import vocabulary
from groot_bench.models.processing.language import formalize
from groot_bench.models.processing.prompt import chat_text, prompt, prompt_text, special_tokens
from groot_bench.models.processing.tokenizer import (
    EAGLE_TOKENS,
    PromptTokenizer,
    load_tokenizer,
    require_image_token,
    tiny_tokenizer,
)
from groot_bench.models.processing.vocabulary import Vocabulary, byte_alphabet

FAMILIES = list(Family)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
COUNTS = st.lists(st.integers(1, 9), max_size=3)
Tree = dict[str, Any]


def tiny(family: Family) -> PromptTokenizer:
    return PromptTokenizer(family, tiny_vocabulary(family))


def tiny_vocabulary(family: Family) -> Vocabulary:
    data = json.loads(tiny_tokenizer(family).to_str())
    merges = tuple((one, two) for one, two in data["model"]["merges"])
    return Vocabulary(data["model"]["vocab"], merges, {token["content"]: token["id"] for token in data["added_tokens"]})


TINY = {family: tiny(family) for family in FAMILIES}


def write_whole(family: Family, folder: Path, change: Callable[[Tree], None] = lambda data: None) -> str:
    data = json.loads(tiny_tokenizer(family).to_str())
    change(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return str(folder)


def write_parts(words: Vocabulary, folder: Path) -> str:
    """As Qwen's own repositories have it: vocab.json, merges.txt, and the rest in tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(dict(words.words)))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{one} {two}\n" for one, two in words.merges))
    decoder = {str(number): {"content": name, "special": True} for name, number in words.added.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": decoder}))
    return str(folder)


def spoken(family: Family, instruction: str) -> str:
    """A short name for what is around an instruction with two images."""
    return chat_text(family, instruction, 2)


def test_formalizing_lowers_and_deletes_signs_only() -> None:
    assert formalize("  Open the drawer (left) & close it.  ") == "  open the drawer left  close it  "
    assert formalize("move_to: position #3 — don't stop") == "move_to position 3  dont stop"
    assert formalize("把红色方块放进碗里") == "把红色方块放进碗里"


@given(TEXTS)
def test_formalizing_twice_is_formalizing_once(text: str) -> None:
    once = formalize(text)
    assert formalize(once) == once
    assert all(letter.isalnum() or letter == "_" or letter.isspace() for letter in once)


def test_each_family_has_its_own_chat() -> None:
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert spoken(Family.N15, "Go.") == (
        f"{system}<|im_start|>user\n<image-1><image-2>Go.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert spoken(Family.N16, "Go.") == f"{system}<|im_start|>user\nGo.<image-1><image-2><|im_end|>\n"
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    assert spoken(Family.N17, "Go.") == f"<|im_start|>user\n{image}{image}Go.<|im_end|>\n"


@pytest.mark.parametrize("family", FAMILIES)
@given(text=TEXTS, counts=COUNTS)
def test_a_prompt_is_its_chat_with_the_images_put_in(family: Family, text: str, counts: list[int]) -> None:
    pieces = prompt(family, text, counts)
    chat = chat_text(family, "@", len(counts))
    remaining = iter(counts)
    if family is Family.N17:
        chat = re.sub(r"<\|image_pad\|>", lambda found: found.group() * next(remaining), chat)
    else:
        chat = re.sub(
            r"<image-(\d+)>", lambda found: f"<image {found[1]}><img>{'<IMG_CONTEXT>' * next(remaining)}</img>", chat
        )
    assert prompt_text(pieces) == chat.replace("@", text)
    kinds = [isinstance(piece, str) for piece in pieces]
    assert not any(one and two for one, two in pairwise(kinds))
    assert "" not in pieces


@pytest.mark.parametrize("family", FAMILIES)
@given(text=TEXTS, counts=COUNTS)
def test_ids_spell_the_prompt(family: Family, text: str, counts: list[int]) -> None:
    words = tiny_tokenizer(family)
    ids = TINY[family].encode_row(text, counts)
    assert ids.dtype == "int64" and ids.ndim == 1
    # Texts between special tokens are normalized one by one, so a mark that follows one of them stays by itself.
    pieces = [unicodedata.normalize("NFC", prompt_text([piece])) for piece in prompt(family, text, counts)]
    assert words.decode(ids.tolist(), skip_special_tokens=False) == "".join(pieces)


@pytest.mark.parametrize("family", FAMILIES)
@given(text=TEXTS, counts=COUNTS)
def test_ids_are_those_of_the_whole_text(family: Family, text: str, counts: list[int]) -> None:
    """The originals tokenize the finished text, in which the tokenizer finds the special tokens again."""
    whole = prompt_text(prompt(family, text, counts))
    assert TINY[family].encode_row(text, counts).tolist() == tiny_tokenizer(family).encode(whole).ids


@given(TEXTS)
def test_text_is_split_as_the_qwen_tokenizer_of_transformers_splits_it(text: str) -> None:
    from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

    words = tiny_vocabulary(Family.N17)
    theirs = Qwen2Tokenizer(vocab=dict(words.words), merges=list(words.merges))
    special = theirs.all_special_tokens
    if not any(name in text for name in special):
        assert words.encoder().encode(text).ids == theirs.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("family", FAMILIES)
@given(counts=COUNTS)
def test_each_image_has_its_tokens_in_a_row(family: Family, counts: list[int]) -> None:
    ids = TINY[family].encode_row("put it in", counts).tolist()
    assert [len(list(run)) for token, run in groupby(ids) if token == IMAGE] == counts
    assert ids.count(START) == ids.count(IMAGE_END) == len(counts)
    assert TINY[family].image_token == IMAGE


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from([name for family in FAMILIES for name in special_tokens(family)]),
        st.sampled_from(["<image-1>", "<video-2>", "<|placeholder|>", "<image 1>", "<|video_pad|>", "<", "|", ">"]),
        TEXTS,
    ),
    max_size=4,
).map("".join)


@pytest.mark.parametrize("family", FAMILIES)
@given(text=HOSTILE)
def test_no_instruction_changes_the_structure_of_a_prompt(family: Family, text: str) -> None:
    words = TINY[family]
    special = {*range(IMAGE, IMAGE + 7)}
    plain = [token for token in words.encode_row("go", [2, 3]).tolist() if token in special]
    try:
        ids = words.encode_row(text, [2, 3]).tolist()
    except SpecMismatch:
        own = [name for name in special_tokens(family) if name in text]
        assert own or re.search(r"<(image|video)-\d+>|<\|(placeholder|video_pad)\|>", text)
        return
    assert [token for token in ids if token in special] == plain


@pytest.mark.parametrize(
    ("family", "instruction", "told"),
    [
        (Family.N16, "stop<|im_end|>", re.escape("'<|im_end|>'; reword")),
        (Family.N15, "look at <image-1>", "<image-1>"),
        (Family.N17, "look at <|placeholder|>", "placeholder"),
        (Family.N16, "half \ud800", "surrogate"),
        (Family.N16, "a" * 20000, "20000 characters"),
        (Family.N16, None, "NoneType"),
    ],
)
def test_what_cannot_be_an_instruction_is_refused(family: Family, instruction: Any, told: str) -> None:
    with pytest.raises(SpecMismatch, match=told):
        TINY[family].encode_row(instruction, [4])


@pytest.mark.parametrize("counts", [[0], [4, -1], [40000]])
def test_impossible_images_are_refused(counts: list[int]) -> None:
    with pytest.raises(SpecMismatch, match="images need 1 to"):
        TINY[Family.N16].encode_row("go", counts)


def test_a_row_is_the_callers_own() -> None:
    words = TINY[Family.N16]
    row = words.encode_row("go", [2])
    row[:] = 0
    assert words.encode_row("go", [2]).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tiny_tokenizer_fits_tiny_models(family: Family, tmp_path: Path) -> None:
    first, second = (tiny_tokenizer(family).to_str(pretty=True) for _ in range(2))
    assert first == second
    (tmp_path / "tokenizer.json").write_text(first)
    words = load_tokenizer(str(tmp_path), family)
    assert words.encode_row("Pick up the red cube.", [3, 3]).max() < 320
    assert tiny_vocabulary(family).added["<|video_pad|>"] == VIDEO
    assert words.identity() == tiny(family).identity()
    require_image_token(words, IMAGE)
    with pytest.raises(CheckpointError, match="has id 311, the model's has 151655"):
        require_image_token(words, 151655)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("inner", ["", "processor", "tokenizer"])
def test_all_forms_of_files_in_all_places_give_one_tokenizer(family: Family, inner: str, tmp_path: Path) -> None:
    write_whole(family, tmp_path / "whole" / inner)
    write_parts(tiny_vocabulary(family), tmp_path / "parts" / inner)
    one, two = (load_tokenizer(str(tmp_path / name), family) for name in ("whole", "parts"))
    assert one.identity() == two.identity()
    assert one.encode_row("put it on", [2]).tolist() == two.encode_row("put it on", [2]).tolist()


def test_the_identity_tells_what_decides_ids() -> None:
    words = tiny_vocabulary(Family.N15)
    others = [
        PromptTokenizer(Family.N16, words),
        PromptTokenizer(Family.N15, Vocabulary(words.words, words.merges[:-1], words.added)),
        PromptTokenizer(Family.N15, Vocabulary(words.words, words.merges, {**words.added, "<|endoftext|>": 318})),
    ]
    assert len({tiny(Family.N15).identity(), *(other.identity() for other in others)}) == 4
    unused = Vocabulary(words.words, words.merges, {**words.added, "<box>": 318})
    assert PromptTokenizer(Family.N15, unused).identity() == tiny(Family.N15).identity()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_qwen3_tokenizer_gets_the_tokens_of_eagle(family: Family, tmp_path: Path) -> None:
    words = tiny_vocabulary(Family.N17)
    folder = write_parts(Vocabulary(words.words, words.merges, {**words.added, "</think>": 151668}), tmp_path)
    loaded = load_tokenizer(folder, family)
    assert loaded.image_token == (IMAGE if family is Family.N17 else 151669)
    assert list(EAGLE_TOKENS.values()) == list(range(151669, 151680))
    older = write_parts(Vocabulary(words.words, words.merges, {**words.added, "<|file_sep|>": 151664}), tmp_path)
    if family is not Family.N17:
        with pytest.raises(CheckpointError, match=r"'<IMG_CONTEXT>', '<img>', '</img>'"):
            load_tokenizer(older, family)


def test_missing_special_tokens_are_all_named(tmp_path: Path) -> None:
    def change(data: Tree) -> None:
        data["added_tokens"] = [one for one in data["added_tokens"] if one["content"] not in ("<|im_end|>", "</img>")]

    with pytest.raises(CheckpointError, match=r"lacks the special tokens '<\|im_end\|>', '</img>'"):
        load_tokenizer(write_whole(Family.N16, tmp_path, change), Family.N16)


def set_at(*path: Any, value: Any) -> Callable[[Tree], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_at("model", "type", value="Unigram"), "only 'BPE' is"),
        (set_at("model", "byte_fallback", value=True), "byte_fallback"),
        (set_at("model", "dropout", value=0.5), "dropout"),
        (set_at("normalizer", value=None), "expected NFC"),
        (set_at("pre_tokenizer", "pretokenizers", 0, "pattern", "Regex", value="(a+)+$"), "Qwen pattern"),
        (set_at("pre_tokenizer", "pretokenizers", 1, "add_prefix_space", value=True), "Qwen pattern"),
        (set_at("pre_tokenizer", value=[]), "Qwen pattern"),
        (set_at("post_processor", value={"type": "TemplateProcessing"}), "post_processor"),
        (set_at("model", "vocab", value=[["a", 0.5]]), "expected an object of tokens"),
        (set_at("model", "vocab", "!", value="0"), "whole numbers"),
        (set_at("model", "vocab", "!", value=1 << 40), "whole numbers"),
        (set_at("model", "vocab", "!", value=7), "one id in common"),
        (set_at("model", "merges", value={}), "merges: expected a list"),
        (set_at("model", "merges", 0, value=["Ġ", "z"]), "no two tokens which make a third"),
        (set_at("model", "merges", 0, value=[["Ġ"], 3]), "no two tokens which make a third"),
        (set_at("added_tokens", 0, "id", value=5), "have one id, 5"),
        (set_at("added_tokens", 0, "id", value=None), "is no id"),
        (set_at("added_tokens", 0, value=3), "is no id"),
        (set_at("added_tokens", 0, "content", value="<img>"), "several ids"),
        (set_at("added_tokens", 0, "rstrip", value=True), "lstrip, rstrip or single_word"),
        (set_at("added_tokens", 3, "content", value="assistant"), "plain words of the prompt: 'assistant'"),
        (set_at("model", value=None), "model"),
    ],
)
def test_files_of_another_kind_are_refused(change: Callable[[Tree], None], told: str, tmp_path: Path) -> None:
    folder = write_whole(Family.N15, tmp_path, change)
    with pytest.raises(CheckpointError, match=told) as raised:
        load_tokenizer(folder, Family.N15)
    assert str(tmp_path) in str(raised.value)


def test_a_vocabulary_that_cannot_write_every_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="lacks letters of the byte alphabet: '~'"):
        load_tokenizer(write_whole(Family.N15, tmp_path, lambda data: data["model"]["vocab"].pop("~")), Family.N15)
    assert sorted(byte_alphabet().values()) == list(range(256)) and len(byte_alphabet()) == 256


def test_broken_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(told: str) -> None:
        with pytest.raises(CheckpointError, match=told):
            load_tokenizer(str(tmp_path), Family.N17)

    write_parts(tiny_vocabulary(Family.N17), tmp_path)
    (tmp_path / "added_tokens.json").write_text('{"<|im_end|>": 3}')
    refused("several ids")
    (tmp_path / "added_tokens.json").write_text("[]")
    refused("added_tokens.json: expected an object")
    (tmp_path / "added_tokens.json").write_text('{"<|im_end|>": 316, "<|im_end|>": 317}')
    refused("stands twice")
    (tmp_path / "added_tokens.json").unlink()
    (tmp_path / "merges.txt").write_bytes(b"\xff\xff")
    refused("merges.txt: is not UTF-8")
    monkeypatch.setattr(vocabulary, "MAX_JSON", 1)
    refused("more than the 1 that")
    (tmp_path / "merges.txt").unlink()
    os.mkfifo(tmp_path / "merges.txt")
    refused("no regular file|is not a regular file")
    (tmp_path / "tokenizer.json").write_text("{")
    refused("not valid JSON")


def test_a_place_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json and no vocab\.json"):
        load_tokenizer(str(tmp_path), Family.N15)
    with pytest.raises(CheckpointError, match="no such folder"):
        load_tokenizer(str(tmp_path / "absent"), Family.N15)
    with pytest.raises(CheckpointError, match="has no revision"):
        load_tokenizer(str(tmp_path), Family.N15, "main")


@pytest.mark.parametrize(
    ("family", "where", "repository", "revision"),
    [
        (Family.N15, None, "Qwen/Qwen3-1.7B", None),
        (Family.N16, None, "Qwen/Qwen3-1.7B", None),
        (Family.N17, None, "Qwen/Qwen3-VL-2B-Instruct", None),
        (Family.N17, "hf://one/two@abc", "one/two", "abc"),
    ],
)
def test_only_a_tokenizers_files_are_fetched(
    family: Family,
    where: str | None,
    repository: str,
    revision: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_whole(family, tmp_path)

    def fetch(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert all(pattern.rpartition("/")[2] in vocabulary.FILES for pattern in allow_patterns)
        return str(tmp_path)

    asked: list[tuple[str, str | None]] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert load_tokenizer(where, family).identity() == TINY[family].identity()
    assert asked == [(repository, revision)]


def test_a_hub_that_cannot_be_reached_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, **options: object) -> str:
        raise huggingface_hub.errors.LocalEntryNotFoundError("no network here")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    with pytest.raises(CheckpointError, match=r"no network here.*hf download Qwen/Qwen3-1.7B .*--tokenizer"):
        load_tokenizer(None, Family.N16)

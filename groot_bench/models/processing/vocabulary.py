"""The files of a tokenizer: a byte-level BPE vocabulary of the Qwen family, read without trusting it.

All backbones use the same kind: text is brought into Unicode form NFC, split by one pattern, written in an alphabet of
256 letters (one a byte), and joined by merges. Files that describe another kind are refused. What is built has the
pattern from here and not from a file, which could hold one that takes for ever, and it knows no special tokens at all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from groot_bench.errors import CheckpointError
from groot_bench.models.jsonfields import Fields, raise_if
from groot_bench.models.listing import quote, shorten
from groot_bench.models.regular import MAX_JSON, open_regular, read_exactly, read_json

WHOLE, WORDS, MERGES, ADDED, SETTINGS = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)
FILES = (WHOLE, WORDS, MERGES, ADDED, SETTINGS)
MAX_ID = 1 << 20  # the released vocabularies have 151680 and 151936
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)

Merge = tuple[str, str]


@dataclass(frozen=True)
class Vocabulary:
    """What decides the ids of a text, and the ids of named tokens outside of it.

    Attributes:
        words: token, in the byte alphabet -> id. merges: in the order in which they are tried. added: name -> id.
    """

    words: Mapping[str, int]
    merges: tuple[Merge, ...]
    added: Mapping[str, int]

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return max([*self.words.values(), *self.added.values()]) + 1

    def encoder(self) -> Tokenizer:
        """From text to ids; special tokens are not known to it."""
        tokenizer = Tokenizer(models.BPE(dict(self.words), list(self.merges)))
        tokenizer.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
        bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytewise])
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer


@cache
def byte_alphabet() -> Mapping[str, int]:
    """Letter -> byte. Printable Latin-1 letters stand for themselves, the other bytes for letters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}
    return dict(sorted(letters.items(), key=lambda item: item[1]))


def read_vocabulary(folder: Path) -> Vocabulary:
    """From tokenizer.json, or else from vocab.json and merges.txt; with added_tokens.json and tokenizer_config.json.

    Raises:
        CheckpointError: a file is missing, too large or broken, or they contradict each other or describe a tokenizer
            of another kind. With every problem of the same stage.
    """
    problems: list[str] = []
    if os.path.lexists(folder / WHOLE):
        words, merges, added = _whole(read_json(folder, WHOLE), problems)
    else:
        words, merges, added = read_json(folder, WORDS), _merge_lines(folder), []
    added += _added(folder, problems)
    raise_if(problems, f"the tokenizer in {folder} cannot be used")
    _check_words(words, problems)
    raise_if(problems, f"the tokenizer in {folder} cannot be used")
    named = _consistent(words, added, problems)
    pairs = _check_merges(words, merges, problems)
    raise_if(problems, f"the tokenizer in {folder} cannot be used")
    return Vocabulary(words, pairs, named)


def _whole(data: Any, problems: list[str]) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """Words, merges and added tokens of a tokenizer.json; what else it says must be what we do anyway."""
    file = Fields(data, WHOLE, problems)
    model = file.inner("model")
    model.refuse_unless("type", "BPE", "byte-level BPE")
    for name in ("byte_fallback", "ignore_merges", "fuse_unk"):
        model.refuse_unless(name, False, "byte-level BPE without fallbacks")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        model.refuse_unless(name, "", "byte-level BPE without marks")
    for name in ("dropout", "unk_token"):
        if name in model:
            model.complain(name, "is not supported; the Qwen tokenizers have none")
    if not _is_nfc(file.data.get("normalizer")):
        file.complain("normalizer", "expected NFC, as the Qwen tokenizers have it")
    if not _splits_alike(file.data.get("pre_tokenizer")):
        file.complain("pre_tokenizer", "expected the Qwen pattern and then bytes without a space in front")
    after = file.data.get("post_processor")
    if after is not None and not (isinstance(after, dict) and after.get("type") == "ByteLevel"):
        file.complain("post_processor", "expected none or ByteLevel: the prompt has its special tokens already")
    tokens = _list(file.data.get("added_tokens"))
    _require_plain(WHOLE, tokens, problems)
    added = [(_get(token, "content"), _get(token, "id")) for token in tokens]
    return model.data.get("vocab"), model.data.get("merges"), added


def _is_nfc(normalizer: Any) -> bool:
    return isinstance(normalizer, dict) and normalizer.get("type") == "NFC"


def _splits_alike(splitter: Any) -> bool:
    parts = _list(_get(splitter, "pretokenizers"))
    if _get(splitter, "type") != "Sequence" or len(parts) != 2:
        return False
    split, bytewise = parts
    return (
        _get(split, "type") == "Split"
        and _get(_get(split, "pattern"), "Regex") == PATTERN
        and _get(split, "behavior") == "Isolated"
        and _get(split, "invert") is False
        and _get(bytewise, "type") == "ByteLevel"
        and _get(bytewise, "add_prefix_space") is False
        and _get(bytewise, "use_regex") is False
    )


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _merge_lines(folder: Path) -> list[str]:
    """Lines of merges.txt, without the line about its version."""
    path = folder / MERGES
    with open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > MAX_JSON:
            raise CheckpointError(f"{path}: has {size} bytes, more than the {MAX_JSON} that such a file may have")
        data = read_exactly(descriptor, 0, size, path)
    try:
        lines = data.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as problem:
        raise CheckpointError(f"{path}: is not UTF-8 text (byte {problem.start}); fetch it again") from None
    return [line for line in lines if line and not line.startswith("#version")]


def _added(folder: Path, problems: list[str]) -> list[tuple[Any, Any]]:
    """Names and ids from the files beside the vocabulary, where they exist."""
    found: list[tuple[Any, Any]] = []
    if os.path.lexists(folder / ADDED):
        names = read_json(folder, ADDED)
        if not isinstance(names, dict):
            problems.append(f"{ADDED}: expected an object of names and ids")
        else:
            found += names.items()
    if os.path.lexists(folder / SETTINGS):
        decoder = _get(read_json(folder, SETTINGS), "added_tokens_decoder") or {}
        if not isinstance(decoder, dict):
            problems.append(f"{SETTINGS}.added_tokens_decoder: expected an object")
        else:
            _require_plain(SETTINGS, decoder.values(), problems)
            found += [(_get(token, "content"), _number(number)) for number, token in decoder.items()]
    return found


def _require_plain(file: str, tokens: Iterable[Any], problems: list[str]) -> None:
    """Notes added tokens that swallow the white space around them, or stand for whole words only; Qwen's do neither."""
    odd = [token for token in tokens if any(_get(token, flag) for flag in ("lstrip", "rstrip", "single_word"))]
    if odd:
        names = quote(str(_get(token, "content")) for token in odd)
        problems.append(f"{file}: added tokens with lstrip, rstrip or single_word are not supported: {names}")


def _number(text: str) -> Any:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_ID


def _check_words(words: Any, problems: list[str]) -> None:
    """Notes what keeps `words` from being a vocabulary of different ids that can write every byte."""
    if not isinstance(words, dict):
        problems.append("the vocabulary: expected an object of tokens and ids")
        return
    wrong = [word for word, number in words.items() if not _is_id(number)]
    if wrong:
        problems.append(
            f"the vocabulary: ids must be whole numbers from 0 to {MAX_ID - 1}, not those of {quote(wrong)}"
        )
        return
    if len(set(words.values())) != len(words):
        problems.append("the vocabulary: tokens have one id in common")
    missing = [letter for letter in byte_alphabet() if letter not in words]
    if missing:
        problems.append(f"the vocabulary: lacks letters of the byte alphabet: {quote(missing)}")


def _consistent(words: Mapping[str, int], added: Iterable[tuple[Any, Any]], problems: list[str]) -> dict[str, int]:
    """The added tokens as one table, if no two files and no two tokens contradict each other."""
    found: dict[str, int] = {}
    owners = {number: word for word, number in words.items()}
    wrong = []
    for name, number in added:
        if not isinstance(name, str) or not name or not _is_id(number):
            wrong.append(f"added token {name!r}: {number!r} is no id, or it has no name"[:200])
        elif found.setdefault(name, number) != number or words.get(name, number) != number:
            wrong.append(f"added token {name!r} has several ids"[:200])
        elif owners.setdefault(number, name) != name:
            wrong.append(f"added token {name!r} and {owners[number]!r} have one id, {number}"[:300])
    problems += shorten(wrong)
    return found


def _check_merges(words: Mapping[str, int], merges: Any, problems: list[str]) -> tuple[Merge, ...]:
    """The merges as pairs of tokens; their joint text must be a token as well."""
    if not isinstance(merges, list):
        problems.append("the merges: expected a list")
        return ()
    pairs, wrong = [], []
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) and part in words for part in pair):
            pairs.append((pair[0], pair[1]))
            if pair[0] + pair[1] in words:
                continue
        wrong.append(f"merge {merge!r}"[:100])
    if wrong:
        problems += ["merges that are no two tokens which make a third:", *shorten(wrong)]
    return tuple(pairs)

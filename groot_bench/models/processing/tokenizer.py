"""From an instruction and images to token ids, for each family; with the `tokenizers` library alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from tokenizers import AddedToken, Tokenizer

from groot_bench.errors import CheckpointError, SpecMismatch
from groot_bench.models.backbone_config import BackboneConfig
from groot_bench.models.family import Family
from groot_bench.models.listing import quote
from groot_bench.models.processing.prompt import (
    END,
    IMAGE_TOKENS,
    PADDING,
    START,
    Special,
    chat_text,
    prompt,
    special_tokens,
)
from groot_bench.models.processing.tokenizer_source import find_tokenizer
from groot_bench.models.processing.vocabulary import Vocabulary, byte_alphabet, read_vocabulary

REMEMBERED = 256  # prompts; an episode has one instruction

# What Eagle's tokenizer, with which N1.5 and N1.6 were trained, has beyond that of Qwen3, from Qwen3's next free id on.
EAGLE_TOKENS = {
    "<IMG_CONTEXT>": 151669,
    "<img>": 151670,
    "</img>": 151671,
    "<box>": 151672,
    "</box>": 151673,
    "<quad>": 151674,
    "</quad>": 151675,
    "<ref>": 151676,
    "</ref>": 151677,
    "<interval>": 151678,
    "</interval>": 151679,
}

TINY_WORDS = "the pick up red cube put it in to drawer open close on left right box and of blue"
TINY_IMAGE_TOKEN = 311  # of tiny checkpoints; 312 and 313 stand around it, 314 is the video token


class PromptTokenizer:
    """The prompts of one family, as token ids.

    Args:
        family: whose template.
        vocabulary: of its language model.

    Attributes:
        pad: id that fills up shorter rows. image_token: id that stands for a vector of an image.

    Raises:
        CheckpointError: the vocabulary lacks special tokens that the prompts have, or has made special ones of words
            that stand in each of them; all are named.
    """

    def __init__(self, family: Family, vocabulary: Vocabulary) -> None:
        wanted = special_tokens(family)
        missing = [name for name in wanted if name not in vocabulary.added]
        if missing:
            raise CheckpointError(
                f"the tokenizer is not one of {family.title}: it lacks the special tokens {quote(missing)}; give the "
                "folder of the right one with --tokenizer"
            )
        text = "".join(piece for piece in prompt(family, "", [1]) if isinstance(piece, str))
        odd = [name for name in vocabulary.added if name in text]
        if odd:
            raise CheckpointError(f"the tokenizer has special tokens for plain words of the prompt: {quote(odd)}")
        self.family = family
        self._vocabulary = vocabulary
        self._special = {name: vocabulary.added[name] for name in wanted}
        self._words = vocabulary.encoder()
        self._remember = lru_cache(REMEMBERED)(self._encode)

    @property
    def pad(self) -> int:
        return self._special[PADDING]

    @property
    def image_token(self) -> int:
        return self._special[IMAGE_TOKENS[self.family].image]

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return self._vocabulary.size

    def encode_row(self, instruction: str, image_tokens: Sequence[int]) -> np.ndarray:
        """The whole prompt of one query.

        Text never becomes special tokens here. The originals split the finished prompt, so that "<|im_end|>" in an
        instruction ends its turn; such an instruction is refused, and for every other one the ids are theirs.

        Args:
            instruction: formalized already, where the checkpoint wants that.
            image_tokens: for each image, in order, how many tokens stand for it.

        Returns:
            int64 (L,), without padding; the caller's own.

        Raises:
            SpecMismatch: the instruction spells a special token of the vocabulary or cannot be part of a prompt for
                another reason, see `prompt.prompt`; or a number of tokens is impossible.
        """
        return self._remember(instruction, tuple(image_tokens)).copy()

    def identity(self) -> str:
        """A digest of all that decides which ids a prompt has; equal for equal tokenizers, however they are stored."""
        return self._identity

    def _encode(self, instruction: str, image_tokens: tuple[int, ...]) -> np.ndarray:
        pieces = prompt(self.family, instruction, image_tokens)
        spelled = [name for name in self._vocabulary.added if name in instruction]
        if spelled:
            raise SpecMismatch(f"the instruction spells special tokens of the model, {quote(spelled)}; reword it")
        ids: list[int] = []
        for piece in pieces:
            if isinstance(piece, Special):
                ids += [self._special[piece.token]] * piece.count
            else:  # special tokens separate texts, so each is encoded by itself
                ids += self._words.encode(piece, add_special_tokens=False).ids
        return np.array(ids, np.int64)

    @cached_property
    def _identity(self) -> str:
        words = sorted(self._vocabulary.words.items())
        template = chat_text(self.family, "", 2)
        what = [self.family.value, template, self._special, words, self._vocabulary.merges]
        return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


def load_tokenizer(where: str | None, family: Family, revision: str | None = None) -> PromptTokenizer:
    """The family's tokenizer from a folder or the hub.

    A plain Qwen3 tokenizer will do for N1.5 and N1.6: Eagle's special tokens are added where Eagle's has them.

    Args:
        where: see `find_tokenizer`; None for the family's public repository.
        revision: of the hub.

    Raises:
        CheckpointError: it cannot be found or fetched, is broken, or is not the family's.
    """
    folder = find_tokenizer(where, family, revision)
    try:
        return PromptTokenizer(family, _with_eagle(family, read_vocabulary(folder)))
    except CheckpointError as problem:
        if str(folder) in str(problem):
            raise
        raise CheckpointError(f"{folder}: {problem}") from None


def require_image_token(tokenizer: PromptTokenizer, image_token: int) -> None:
    """Raises CheckpointError unless the tokenizer's image token is the one for which the model puts in its images."""
    if tokenizer.image_token != image_token:
        raise CheckpointError(
            f"the tokenizer's image token has id {tokenizer.image_token}, the model's has {image_token}: they do not "
            "belong together; give the model's own tokenizer with --tokenizer"
        )


def require_tokens_known(tokenizer: PromptTokenizer, backbone: BackboneConfig) -> None:
    """Raises CheckpointError unless the model knows all of the tokenizer's ids, and the same one for pictures."""
    require_image_token(tokenizer, backbone.image_token)
    if tokenizer.size > backbone.text.vocabulary:
        raise CheckpointError(
            f"the tokenizer has ids up to {tokenizer.size - 1}, the model a vocabulary of {backbone.text.vocabulary}: "
            "they do not belong together"
        )


def tiny_tokenizer(family: Family) -> Tokenizer:
    """A complete tokenizer of 318 tokens for tiny checkpoints; saved as tokenizer.json, `load_tokenizer` reads it.

    Ids 0..255 are the bytes, up to 310 beginnings of a few words, 311 is the image token, 312 and 313 stand before and
    after an image, 314 is the video token, and the rest begin and end turns and pad.
    """
    words = dict(byte_alphabet())
    merges = []
    for word in TINY_WORDS.split():
        for size in range(1, len(word) + 1):  # letter by letter, from the space in front on
            start, letter = f"Ġ{word}"[:size], word[size - 1]
            if start + letter not in words:
                words[start + letter] = len(words)
                merges.append((start, letter))
    assert len(words) == TINY_IMAGE_TOKEN
    tokenizer = Vocabulary(words, tuple(merges), {}).encoder()
    names = IMAGE_TOKENS[family]
    special = (names.image, names.opening, names.closing, "<|video_pad|>", START, END, PADDING)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in special])
    return tokenizer


def _with_eagle(family: Family, vocabulary: Vocabulary) -> Vocabulary:
    """A Qwen3 vocabulary with Eagle's tokens, for the families that have them; every other one as it is."""
    first = min(EAGLE_TOKENS.values())
    if family is Family.N17 or vocabulary.size != first:
        return vocabulary
    return dataclasses.replace(vocabulary, added={**vocabulary.added, **EAGLE_TOKENS})

"""The prompt of each family: a chat with one message of a user, in which images stand as runs of an image token.

N1.5: system turn; images, then the instruction; the assistant's turn is opened.
N1.6: system turn; the instruction, then images.
N1.7: no system turn; images, then the instruction.

Before images are expanded ("chat text"), image i of N1.5 and N1.6 is `<image-i>`; expanded it is `<image i><img>`,
image tokens, `</img>`. In N1.7 it is one image token, then several, between `<|vision_start|>` and `<|vision_end|>`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from groot_bench.errors import SpecMismatch
from groot_bench.models.family import Family

START, END, PADDING = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SYSTEM = "You are a helpful assistant."
MAX_LENGTH = 1 << 14  # characters of an instruction
MAX_IMAGE_TOKENS = 1 << 15  # in a prompt; the language models know 32768 positions

_EAGLE_PLACEHOLDER = re.compile(r"<(image|video)-\d+>")
_QWEN_PLACEHOLDER = re.compile(r"<\|placeholder\|>")


@dataclass(frozen=True)
class Special:
    """A special token, by its text, `count` times in a row."""

    token: str
    count: int = 1


Piece = str | Special


@dataclass(frozen=True)
class ImageTokens:
    """How an image stands in the prompt: image tokens between an opening and a closing one."""

    image: str
    opening: str
    closing: str


_EAGLE = ImageTokens("<IMG_CONTEXT>", "<img>", "</img>")
_QWEN = ImageTokens("<|image_pad|>", "<|vision_start|>", "<|vision_end|>")
IMAGE_TOKENS = {Family.N15: _EAGLE, Family.N16: _EAGLE, Family.N17: _QWEN}


def special_tokens(family: Family) -> tuple[str, ...]:
    """The special tokens that a family's prompts need."""
    names = IMAGE_TOKENS[family]
    return (PADDING, START, END, names.image, names.opening, names.closing)


def prompt(family: Family, instruction: str, image_tokens: Sequence[int]) -> tuple[Piece, ...]:
    """The whole prompt in pieces; no two texts stand side by side.

    Args:
        instruction: as it is to be read, see `language.formalize`.
        image_tokens: how many tokens each image has.

    Raises:
        SpecMismatch: the instruction cannot be part of a prompt, or images cannot have that many tokens. The originals
            would put an image where an instruction says `<image-1>` (N1.5, N1.6) or `<|placeholder|>` (N1.7), so such
            instructions are refused; special tokens in them are refused where they are tokenized.
    """
    if min(image_tokens, default=1) < 1 or sum(image_tokens) > MAX_IMAGE_TOKENS:
        counts = ", ".join(map(str, image_tokens[:20]))
        raise SpecMismatch(f"images need 1 to {MAX_IMAGE_TOKENS} tokens, all of them together, got {counts}")
    return _joined(_chat(family, instruction, [_expanded(family, *image) for image in enumerate(image_tokens, 1)]))


def chat_text(family: Family, instruction: str, images: int) -> str:
    """The prompt before images are expanded, as the originals' chat templates render it; raises as `prompt` does."""
    return prompt_text(_chat(family, instruction, [_placeholder(family, index + 1) for index in range(images)]))


def prompt_text(pieces: Sequence[Piece]) -> str:
    """The pieces as one text, in which special tokens are spelled out."""
    return "".join(piece if isinstance(piece, str) else piece.token * piece.count for piece in pieces)


def _chat(family: Family, text: str, images: Sequence[Sequence[Piece]]) -> list[Piece]:
    _require_plain(family, text)
    pictures = [piece for image in images for piece in image]
    said: list[Piece] = [text, *pictures] if family is Family.N16 else [*pictures, text]
    system = [] if family is Family.N17 else _turn("system", [SYSTEM])
    opened: list[Piece] = [Special(START), "assistant\n"] if family is Family.N15 else []
    return [*system, *_turn("user", said), *opened]


def _turn(role: str, said: Sequence[Piece]) -> list[Piece]:
    return [Special(START), f"{role}\n", *said, Special(END), "\n"]


def _expanded(family: Family, number: int, count: int) -> list[Piece]:
    names = IMAGE_TOKENS[family]
    image: list[Piece] = [Special(names.opening), Special(names.image, count), Special(names.closing)]
    return image if family is Family.N17 else [f"<image {number}>", *image]


def _placeholder(family: Family, number: int) -> list[Piece]:
    return _expanded(family, number, 1) if family is Family.N17 else [f"<image-{number}>"]


def _joined(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Texts that follow one another are tokenized together, so they become one piece."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if isinstance(piece, str) and isinstance(last, str):
            found[-1] = last + piece
        elif piece:
            found.append(piece)
    return tuple(found)


def _require_plain(family: Family, text: str) -> None:
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        got = f"{len(text)} characters" if isinstance(text, str) else type(text).__name__
        raise SpecMismatch(f"an instruction must be text of at most {MAX_LENGTH} characters, got {got}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SpecMismatch(
            f"the instruction {text[:80]!r} is not Unicode text: it has half of a surrogate pair"
        ) from None
    found = (_QWEN_PLACEHOLDER if family is Family.N17 else _EAGLE_PLACEHOLDER).search(text)
    if found:
        raise SpecMismatch(
            f"the instruction has {found.group()[:40]!r}, where {family.title} would put an image; reword it"
        )

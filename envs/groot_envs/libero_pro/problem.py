"""Reads a task's definition without trusting it.

LIBERO evaluates the numbers of `:yaw_rotation` as Python (`envs/bddl_utils.py`), and LIBERO-PRO's files come from
wherever the user has them from. So a definition is read here first, and what is not of the usual form is refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

MAX_BYTES = 1 << 18  # upstream's largest has 4 KB
MAX_DEPTH = 16  # of parentheses; upstream's reach 5

_NUMBER = r"(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:e[-+]?\d{1,2})?"
_ANGLE = re.compile(rf"[-+]?(?:pi|{_NUMBER})(?:[*/](?:pi|{_NUMBER}))?")


def read_instruction(path: str) -> str:
    """The definition's `:language`, in lower case and with single spaces, as LIBERO's environments report it.

    Raises:
        ValueError: the file is no task of LIBERO's form, or one that LIBERO-PRO at the pinned commit does not run.
        OSError: it cannot be read.
    """
    if os.path.getsize(path) > MAX_BYTES:
        raise ValueError(f"{path} is no task: it has more than {MAX_BYTES} bytes")
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES)
    try:
        groups = _groups(data.decode("utf-8"))
        _require_plain_angles(groups)
        return _instruction(groups)
    except ValueError as problem:
        raise ValueError(f"{path} is no task of LIBERO-PRO: {problem}") from None


def _groups(text: str) -> list[Any]:
    """The parenthesized groups of the file, as words and lists, by bddl's own rules: lower case, `;` comments."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # as Python reads text: a bare \r ends a comment, too
    text = re.sub(r";.*$", "", text, flags=re.MULTILINE).lower()
    stack: list[list[Any]] = [[]]
    for word in re.findall(r"[()]|[^\s()]+", text):
        if word == "(":
            if len(stack) > MAX_DEPTH:
                raise ValueError(f"its parentheses are deeper than {MAX_DEPTH}")
            stack.append([])
        elif word != ")":
            stack[-1].append(word)
        elif len(stack) == 1:
            raise ValueError("a parenthesis is closed that was not opened")
        else:
            group = stack.pop()
            stack[-1].append(group)
    if len(stack) != 1:
        raise ValueError("a parenthesis is not closed")
    if len(stack[0]) != 1 or not isinstance(stack[0][0], list) or stack[0][0][:1] != ["define"]:
        raise ValueError("it is not one (define ...)")
    return stack[0][0][1:]


def _instruction(groups: Sequence[Any]) -> str:
    found = [group for group in groups if isinstance(group, list) and group]
    heads = [str(group[0]) for group in found]
    if ":perturbation_config" in heads:
        raise ValueError("it has a :perturbation_config, which is of the robustness extension; this suite has not that")
    for name in ("problem", ":regions", ":init", ":goal", ":language"):
        if heads.count(name) != 1:
            raise ValueError(f"it has {heads.count(name)} ({name} ...), not one")
    words = found[heads.index(":language")][1:]
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError("its :language is not words")
    return " ".join(words)


def _require_plain_angles(group: Sequence[Any]) -> None:
    """Raises ValueError unless every word under `:yaw_rotation` is a number, pi, or a product or quotient of two."""
    if group[:1] == [":yaw_rotation"]:
        for word in _words(group[1:]):
            if not _ANGLE.fullmatch(word):
                raise ValueError(f"{word[:80]!r} is not an angle")
    for inner in group:
        if isinstance(inner, list):
            _require_plain_angles(inner)


def _words(group: Sequence[Any]) -> list[str]:
    return [word for inner in group for word in (_words(inner) if isinstance(inner, list) else [inner])]

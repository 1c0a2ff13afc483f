"""What an instruction becomes before it enters the prompt."""

from __future__ import annotations

import re

DEFAULT_INSTRUCTION = "Perform the default behavior."  # of N1.5's transform, where an observation has no instruction

_NEITHER_WORD_NOR_SPACE = re.compile(r"[^\w\s]")


def formalize(text: str) -> str:
    """Lower case, without every character that is neither a word character (\\w of Unicode) nor white space.

    Nothing is stripped or collapsed. N1.6 and N1.7 do this where `formalize_language` is on. N1.5 never does: its
    option of that name has no effect.
    """
    return _NEITHER_WORD_NOR_SPACE.sub("", text.lower())

"""JSON from a checkpoint, read strictly: whatever the bytes are, the answer is their value or a CheckpointError."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from groot_bench.errors import CheckpointError

MAX_DEPTH = 64  # released files nest 7 levels; code that walks a value must not meet a thousand


def parse_strict(data: bytes, where: str) -> Any:
    """The value that the bytes describe, as dicts, lists, text, ints, finite floats, bools and None.

    Args:
        data: UTF-8 text.
        where: the file's name, which begins every error.

    Raises:
        CheckpointError: bad UTF-8, no JSON, a key twice in one object (readers differ in which of the two counts), NaN
            or infinity (also as 1e999), half of a surrogate pair, or nesting beyond `MAX_DEPTH`.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
        _check(value)
    except UnicodeDecodeError as problem:
        raise _broken(where, f"is not UTF-8 text (byte {problem.start})") from None
    except UnicodeEncodeError:
        raise _broken(where, "holds text that is not Unicode (half of a surrogate pair)") from None
    except RecursionError:
        raise _broken(where, "is nested too deeply") from None
    except ValueError as problem:
        raise _broken(where, f"is not valid JSON: {problem}") from None
    return value


def _broken(where: str, what: str) -> CheckpointError:
    return CheckpointError(f"{where}: {what}; the file is damaged or was made by hand, fetch it again")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        double, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {double[:100]!r} stands twice in one object")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON has")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _check(value: Any) -> None:
    """Raises for deep nesting and text that cannot be encoded; level by level, so that it needs no recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str) and not item.isascii():
                item.encode()
            elif isinstance(item, dict):
                inner += item.keys()
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise RecursionError

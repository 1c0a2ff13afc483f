"""Long lists in messages: the first names and how many more there are."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 20  # of one kind; a message with a thousand names is read by nobody


def shorten(items: Iterable[str], most: int = MOST) -> list[str]:
    """The first `most` items, and one that counts the rest where there are more."""
    listed = list(items)
    return listed if len(listed) <= most else [*listed[:most], f"... and {len(listed) - most} more"]


def quote(names: Iterable[str], most: int = MOST) -> str:
    """Names from a file as one text: quoted, since they may hold anything, and shortened."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(map(_brief, listed[:most])) + more


def _brief(name: str) -> str:
    return repr(name if len(name) <= 200 else name[:197] + "...")

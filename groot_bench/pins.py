"""Pins: the versions of a suite's packages that its numbers stand for, and runs that were made under other ones.

Such a run is *unpinned*. Its manifest has `experiment.unpinned`, package -> the pinned version that it did not have;
the one that it had stands in `experiment.suite.packages`. It is another experiment than a pinned run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groot_bench import protocol

FIELD = "unpinned"  # of a manifest's experiment; absent from a pinned run's
MEANING = "its numbers stand beside no published one, and beside no run under the pinned versions"


def broken_pins(pins: Mapping[str, str], versions: Mapping[str, str | None]) -> dict[str, str]:
    """package -> its pin, for those that are there in another version."""
    return {name: pin for name, pin in pins.items() if versions[name] not in (None, pin)}


def in_words(broken: Mapping[str, str], versions: Mapping[str, Any]) -> str:
    """What differs: "sapien is 3.0.3, not 3.0.0b1"."""
    return ", ".join(f"{name} is {versions[name]}, not {pin}" for name, pin in broken.items())


def unpinned(experiment: Mapping[str, Any]) -> str:
    """What differs in an unpinned run, by its manifest; "" for a pinned one."""
    return in_words(experiment.get(FIELD) or {}, experiment["suite"]["packages"])


def rules_label(experiment: Mapping[str, Any]) -> str:
    """The protocol's name and all in which the run departs from it, other versions included:
    "robotwin2/easy (actions_per_query=4, unpinned=sapien 3.0.3)"."""
    rules, packages = experiment["protocol"], experiment["suite"]["packages"]
    departures = dict(rules.get("changed") or {})
    broken = experiment.get(FIELD)
    if broken:
        departures[FIELD] = ", ".join(f"{name} {packages[name]}" for name in broken)
    return protocol.label(str(rules["name"]), departures)

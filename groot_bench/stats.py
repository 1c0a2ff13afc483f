"""Statistics of success counts."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """A confidence interval of a rate."""

    low: float
    high: float
    level: float
    method: str


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a binomial rate (Wilson, JASA 1927; no continuity correction).

    Args:
        successes: 0 to `trials`.
        trials: 1 or more; nothing is known from none.
        level: coverage, between 0 and 1.

    Raises:
        ValueError: an argument is out of its range.
    """
    if trials < 1 or not 0 <= successes <= trials or not 0 < level < 1:
        raise ValueError(f"no interval for {successes} of {trials} at level {level}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    rate = successes / trials
    center = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    # At the ends the formula gives 0 and 1 exactly; rounding must not move them.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return Interval(low, high, level, "wilson")

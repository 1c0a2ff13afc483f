"""Randomness of policies, keyed by (policy seed, episode, query) and by nothing else.

A draw does not depend on which slot, batch row, shard or process asks for it, or on how often anyone asked before:
each key starts a counter-based generator of its own (Philox 4x64-10; Salmon et al., SC 2011). Numbers are made from its
raw 64-bit words, whose stream NumPy guarantees for ever, which it does not do for the methods of `Generator` (NEP 19).
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

from groot_bench.episode import Episode
from groot_bench.quantile import normal_quantile


def uniform(policy_seed: int, episode: Episode, query: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform float64 numbers in [0, 1) with 53 random bits, the last axis running fastest.

    The first numbers do not change when the shape grows along its first axis.
    """
    words = _generator(policy_seed, episode, query).random_raw(int(np.prod(shape, dtype=np.int64)))
    return ((words >> np.uint64(11)) * 2.0**-53).reshape(shape)


def normal(
    policy_seed: int, episode: Episode, query: int, shape: tuple[int, int], padded: tuple[int, int]
) -> np.ndarray:
    """Standard normal float32 numbers, (T, A): the noise that flow matching starts from.

    Args:
        shape: control steps and dimensions that the robot has.
        padded: what the model wants (T, A); the rest of it is filled from a second stream.

    The numbers in the corner of size `shape` depend on neither the padding, the device nor the machine: they are made
    by the inverse of the normal distribution, from exactly rounded operations only. So two checkpoints that pad
    differently start a robot's query from the same noise.
    """
    noise = np.empty(padded, np.float32)
    filled = _normal(_generator(policy_seed, episode, query, "padding"), padded)
    noise[...] = filled
    noise[: shape[0], : shape[1]] = _normal(_generator(policy_seed, episode, query), shape)
    return noise


def _normal(generator: np.random.Philox, shape: tuple[int, int]) -> np.ndarray:
    words = generator.random_raw(shape[0] * shape[1])
    return normal_quantile(((words >> np.uint64(11)) + 0.5) * 2.0**-53).reshape(shape)


def _generator(policy_seed: int, episode: Episode, query: int, stream: str | None = None) -> np.random.Philox:
    identity: list[object] = [policy_seed, episode.suite, episode.protocol, episode.task, episode.index, episode.seed]
    identity += [query] if stream is None else [query, stream]
    text = json.dumps(identity, separators=(",", ":"), ensure_ascii=True)
    key = hashlib.blake2b(text.encode(), digest_size=16, person=b"groot-noise").digest()
    return np.random.Philox(key=int.from_bytes(key, "little"))

"""Keyed noise: the right distribution, a function of its key alone, the same bits for every padding and machine."""

from __future__ import annotations

import hashlib
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groot_bench.episode import make_episode
from groot_bench.noise import normal
from groot_bench.quantile import normal_quantile

EPISODE = make_episode("toy", "toy/v1", "Reach", 3, 0)


@given(st.floats(1e-300, 1 - 1e-16))
def test_quantile_inverts_the_normal_distribution(p: float) -> None:
    z = float(normal_quantile(np.array([p]))[0])
    assert math.isclose(0.5 * math.erfc(-z / math.sqrt(2)), p, rel_tol=1e-12 * max(1, z * z))


@given(st.floats(1e-9, 1 - 1e-9))
def test_quantile_equals_the_standard_library(p: float) -> None:
    assert math.isclose(
        normal_quantile(np.array([p]))[0], statistics.NormalDist().inv_cdf(p), rel_tol=1e-9, abs_tol=1e-9
    )


def test_quantile_equals_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    p = np.random.default_rng(0).random(200_000)
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=5e-15, atol=1e-15)


def test_quantile_has_the_same_bits_everywhere() -> None:
    """Only operations that IEEE 754 rounds exactly: these bits are those of any machine."""
    p = (np.arange(1, 4096) / 4096.0) ** 3
    digest = hashlib.blake2b(normal_quantile(p).tobytes(), digest_size=8).hexdigest()
    assert digest == "6692abfa59a3ed90"


def test_noise_has_the_same_bits_everywhere() -> None:
    noise = normal(7, EPISODE, 2, (16, 7), (40, 132))
    assert hashlib.blake2b(noise.tobytes(), digest_size=8).hexdigest() == "273898a1a99d1d54"


def test_noise_is_standard_normal() -> None:
    noise = np.stack([normal(0, EPISODE, query, (40, 30), (50, 128)) for query in range(40)])
    assert noise.dtype == np.float32
    for part in (noise[:, :40, :30], noise[:, 40:], noise[:, :, 30:]):
        assert abs(part.mean()) < 4 / math.sqrt(part.size)
        assert abs(part.var() - 1) < 6 / math.sqrt(part.size)
    correlation = np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]
    assert abs(correlation) < 5 / math.sqrt(noise[0].size)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 20), st.integers(0, 20))
def test_padding_does_not_change_the_robots_noise(steps: int, width: int, more: int, wider: int) -> None:
    padded = normal(1, EPISODE, 0, (steps, width), (steps + more, width + wider))
    assert padded[:steps, :width].tobytes() == normal(1, EPISODE, 0, (steps, width), (steps, width)).tobytes()


def test_every_part_of_the_key_counts() -> None:
    shape = (4, 5)
    base = normal(0, EPISODE, 0, shape, shape)
    others = [
        normal(1, EPISODE, 0, shape, shape),
        normal(0, EPISODE, 1, shape, shape),
        normal(0, make_episode("toy", "toy/v1", "Reach", 4, 0), 0, shape, shape),
        normal(0, make_episode("toy", "toy/v1", "Reach", 3, 1), 0, shape, shape),
        normal(0, make_episode("toy", "toy/v1", "Push", 3, 0), 0, shape, shape),
    ]
    assert all(not np.any(base == other) for other in others)
    assert base.tobytes() == normal(0, EPISODE, 0, shape, shape).tobytes()

"""Statistics from spectra: by hand, against brute force, and on noise of any cardinality."""

import math

import numpy as np
import pytest
from scipy.special import betaln

from ctrkit.rank.spectrum import Histogram, Spectrum
from ctrkit.rank.statistics import (
    STRENGTHS,
    Scorer,
    benjamini_hochberg,
    noise_interval,
    sampling_interval,
)


def table_of(x, y, classes=2):
    table = np.zeros((int(x.max()) + 1, classes), np.int64)
    np.add.at(table, (x, y), 1)
    return table[table.any(axis=1)]


def scored(table):
    return Scorer(table.sum(axis=0)).score([Spectrum.of(table)])[0]


def test_a_perfect_feature_by_hand():
    score = scored(np.array([[6, 0], [0, 2]]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert score.information.mi == pytest.approx(entropy)
    assert score.information.ami == pytest.approx(1)
    # EMI by hand: m = 6 of N = 8 with 2 ones: k = 0, 1, 2 with chances 1, 12, 15 of 28.
    g = [0 if k == 0 else k * math.log(k) for k in range(9)]
    inside = sum(
        c / 28 * (g[k] + g[2 - k] + g[6 - k] + g[k]) for c, k in ((1, 0), (12, 1), (15, 2))
    )
    assert score.information.emi == pytest.approx(entropy + (inside - g[6] - g[2]) / 8)


def test_gain_equals_the_beta_binomial_evidence():
    table = np.array([[8, 2], [1, 9], [5, 5], [1, 0]])
    p = table[:, 1].sum() / table.sum()
    best = max(
        sum(
            betaln(a * p + k, a * (1 - p) + z)
            - betaln(a * p, a * (1 - p))
            - k * math.log(p)
            - z * math.log(1 - p)
            for z, k in table
        )
        for a in STRENGTHS
    )
    assert scored(table).gain == pytest.approx(best / table.sum(), rel=1e-9)


def test_the_order_of_the_values_does_not_change_a_bit():
    draw = np.random.default_rng(0)
    table = table_of(draw.zipf(1.4, 5000) % 700, draw.integers(0, 2, 5000))
    assert scored(table) == scored(table[draw.permutation(len(table))])
    assert sampling_interval(table, 0.1) == sampling_interval(table[::-1], 0.1)


def test_a_row_id_and_a_constant_have_no_signal():
    y = (np.arange(1000) % 4 == 0).astype(int)
    for x in (np.arange(1000), np.zeros(1000, int)):
        score = scored(table_of(x, y))
        assert score.information.adj == 0
        assert score.gain < 1e-5
        assert score.information.p == 1
        assert score.information.z is None


def test_noise_is_noise_at_any_cardinality():
    draw = np.random.default_rng(2)
    y = (draw.random(20_000) < 0.3).astype(int)
    low = 0
    for repeat in range(60):
        size = (2, 10, 100, 1000, 10_000)[repeat % 5]
        score = scored(table_of(draw.integers(0, size, 20_000), y))
        assert score.gain < 5e-4
        low += score.information.p < 0.05
    assert low <= 9  # of 60; the probability of more is 1e-3


def test_multi_class_gain_rewards_signal_only():
    draw = np.random.default_rng(3)
    y = draw.choice(3, 6000, p=[0.5, 0.3, 0.2])
    signal = scored(table_of((y + (draw.random(6000) < 0.3)) % 3, y, 3))
    noise = scored(table_of(draw.integers(0, 50, 6000), y, 3))
    assert signal.gain > 0.3
    assert noise.gain < 1e-3
    assert signal.information.p < 1e-9


def test_histograms_leave_zeros_out():
    got = Histogram.of(np.array([3, 0, 1, 3, 0]))
    assert (got.count.tolist(), got.values.tolist()) == ([1, 3], [1, 2])
    large = Histogram.of(np.array([1 << 40, 0, 5, 1 << 40]))
    assert (large.count.tolist(), large.values.tolist()) == ([5, 1 << 40], [1, 2])
    assert Histogram.of(np.zeros(0, np.int64)).count.tolist() == []


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx(
        [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]
    )
    assert benjamini_hochberg([]) == []


def test_the_noise_interval_holds_95_percent_of_permutations():
    draw = np.random.default_rng(4)
    x, y = draw.integers(0, 30, 3000), draw.integers(0, 2, 3000)
    score = scored(table_of(x, y))
    low, high = noise_interval(score.information.emi, score.information.sd)
    inside = [
        low <= scored(table_of(x, draw.permutation(y))).information.adj <= high for _ in range(300)
    ]
    assert 0.92 <= np.mean(inside) <= 0.98


def test_the_sampling_interval_covers_the_truth():
    """adj of a known channel: label = value flipped in a fifth of the rows."""
    entropy = math.log(2)
    truth = entropy + 0.8 * math.log(0.8) + 0.2 * math.log(0.2)
    hits = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        x = draw.integers(0, 2, 2000)
        table = table_of(x, x ^ (draw.random(2000) < 0.2))
        low, high = sampling_interval(table, scored(table).information.adj)
        hits += low <= truth <= high
    assert hits >= 90

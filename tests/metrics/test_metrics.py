"""Metrics against scikit-learn, brute force and hand-computed values."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

from ctrkit import metrics as m
from ctrkit.errors import DataError


@pytest.fixture
def rows():
    g = np.random.default_rng(0)
    logit = np.round(g.normal(size=500), 1)  # rounding makes ties
    label = (g.random(500) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    return label, logit, g.random(500) + 0.1, g.integers(0, 40, 500)


def pair_count(y, s, w):
    p, n = np.flatnonzero(y), np.flatnonzero(y == 0)
    won = (s[p][:, None] > s[n]) + 0.5 * (s[p][:, None] == s[n])
    pairs = w[p][:, None] * w[n]
    return (won * pairs).sum() / pairs.sum()


def test_auc_equals_pair_counting_and_scikit_learn(rows):
    y, s, w, _ = rows
    assert m.auc(y, s) == pytest.approx(sk.roc_auc_score(y, s), abs=1e-12)
    assert m.auc(y, s, w) == pytest.approx(pair_count(y, s, w), abs=1e-12)
    assert m.delong_interval(y, s, w).value == pytest.approx(m.auc(y, s, w), abs=1e-12)


def test_logloss_equals_scikit_learn_and_is_stable(rows):
    y, s, w, _ = rows
    want = sk.log_loss(y, m.sigmoid(s), sample_weight=w)
    assert m.logloss(y, s, w) == pytest.approx(want, abs=1e-12)
    assert m.logloss([1, 0], [-1000.0, 1000.0]) == 1000
    assert m.logloss([1], [0.0]) == pytest.approx(math.log(2))


def test_golden_values():
    y, s = [0, 1, 1, 0], [-1.0, 1.0, -1.0, -2.0]
    assert m.auc(y, s) == 0.875
    assert m.normalised_entropy([0, 1], [0.0, 0.0]) == pytest.approx(1)
    assert m.calibration([0, 1, 1, 0], [0.0] * 4) == 1
    assert m.ece([0, 1], [0.0, 0.0]) == 0
    assert m.ece([0, 0], [0.0, 0.0]) == 0.5


def test_group_auc_equals_a_loop(rows):
    y, s, w, g = rows
    g[:3], y[:3] = 99, 1
    total, size, skipped = 0.0, 0.0, 0
    for k in np.unique(g):
        r = g == k
        if len(set(y[r])) < 2:
            skipped += 1
            continue
        total, size = total + pair_count(y[r], s[r], w[r]) * w[r].sum(), size + w[r].sum()
    got = m.group_auc(y, s, g, w)
    assert got.auc == pytest.approx(total / size, abs=1e-12)
    assert got.skipped == skipped >= 1


def test_delong_equals_the_quadratic_form(rows):
    y, s, _, _ = rows
    p, n = s[y == 1], s[y == 0]
    won = (p[:, None] > n) + 0.5 * (p[:, None] == n)
    variance = won.mean(1).var(ddof=1) / len(p) + won.mean(0).var(ddof=1) / len(n)
    got = m.delong_interval(y, s)
    assert got.high - got.value == pytest.approx(1.959963985 * math.sqrt(variance), abs=1e-9)
    boot = m.bootstrap_interval(m.auc, y, s, samples=300, seed=1)
    assert boot.low == pytest.approx(got.low, abs=0.02)
    assert boot == m.bootstrap_interval(m.auc, y, s, samples=300, seed=1)


def test_paired_tests(rows):
    y, s, _, _ = rows
    noise = s + np.random.default_rng(3).normal(size=500)
    worse = m.paired_auc_test(y, s, noise)
    assert worse.difference == pytest.approx(m.auc(y, noise) - m.auc(y, s), abs=1e-12)
    assert worse.difference < 0
    assert worse.p < 0.01
    assert m.paired_auc_test(y, s, s).p == 1
    loss = m.paired_logloss_test(y, s, noise)
    each = m.losses(y, noise) - m.losses(y, s)
    assert loss.z == pytest.approx(each.mean() / (each.std(ddof=1) / math.sqrt(500)))
    assert m.paired_logloss_test(y, s, s).p == 1


def test_reliability_bins_hold_equal_counts_in_any_order(rows):
    y, s, _, _ = rows
    spread = np.random.default_rng(1).permutation(np.linspace(-3, 3, 500))
    assert set(m.reliability(y, spread, bins=10).rows) == {50}
    mixed = np.random.default_rng(2).permutation(500)
    assert m.ece(y[mixed], s[mixed]) == pytest.approx(m.ece(y, s), abs=1e-12)
    assert m.reliability([1], [0.0]).predicted.tolist() == [0.5]


@pytest.mark.parametrize("y", [[], [1], [0], [1, 1]])
def test_degenerate_rows_give_nan_without_a_warning(y):
    got = m.evaluate_logits(y, [0.5] * len(y), None, [7] * len(y))
    assert got["rows"] == len(y)
    for name in ("auc", "ne", "auc_low", "auc_high", "group_auc"):
        assert math.isnan(got[name])
    assert math.isnan(got["logloss"]) == (not y)
    assert math.isnan(m.paired_auc_test(y, [0.5] * len(y), [0.5] * len(y)).p)
    assert math.isnan(m.bootstrap_interval(m.auc, y, [0.5] * len(y), samples=3).low)


def test_nan_logits_and_unequal_lengths_are_errors():
    with pytest.raises(DataError, match="1 of 2 are nan"):
        m.auc([0, 1], [0.0, float("nan")])
    with pytest.raises(DataError, match="must have one length"):
        m.auc([0, 1], [0.0])

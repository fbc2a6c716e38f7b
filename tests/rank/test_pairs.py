"""Pairs: counted as brute force does, synergy and gain over additive on planted truth."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.special import betaln, expit
from sklearn.metrics import adjusted_mutual_info_score

from ctrkit.rank.additive import _Evidence, _fit, gain_over_additive, log_odds
from ctrkit.rank.coded import Coded, cell_parts, cells_of
from ctrkit.rank.likeness import expected_mi, likeness
from ctrkit.rank.screen import screen
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import STRENGTHS, Scorer


def coded(columns, label, classes=2, weight=None):
    sizes = [int(c.max()) + 2 for c in columns]
    return Coded(
        [c.astype(np.uint32) for c in columns], sizes, label.astype(np.uint8), classes, weight
    )


def counts_of(x, y, size, classes=2):
    table = np.zeros((size, classes), np.int64)
    np.add.at(table, (x, y), 1)
    return table


@pytest.mark.parametrize("size", [3, 60, 3000])  # dense, dense, sparse
@pytest.mark.parametrize("classes", [2, 4])
def test_cells_equal_counts_by_hand(size, classes):
    draw = np.random.default_rng(0)
    a, b = draw.integers(0, size, 500), draw.integers(0, size, 500)
    y = draw.integers(0, classes, 500)
    data = coded([a, b], y, classes)
    key, counts = cells_of(data, (0, 1))
    expected = Counter(zip(a.tolist(), b.tolist(), y.tolist(), strict=True))
    assert (np.diff(key) > 0).all()
    for k, row in zip(key, counts, strict=True):
        left, right = divmod(int(k), data.sizes[1])
        assert row.tolist() == [expected[left, right, c] for c in range(classes)]
    assert counts.sum() == 500
    weight = draw.integers(0, 3, 500)
    twice = np.repeat(np.arange(500), weight)
    again = cells_of(coded([a, b], y, classes, weight), (0, 1))
    plain = cells_of(
        Coded([c[twice] for c in data.columns], data.sizes, data.label[twice], classes), (0, 1)
    )
    kept = again[1].any(axis=1)
    assert (again[0][kept] == plain[0]).all()
    assert (again[1][kept] == plain[1]).all()


def xor(rows=20_000, sizes=(8, 8), seed=0):
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, sizes[0], rows), draw.integers(0, sizes[1], rows)
    noise = [draw.integers(0, k, rows) for k in (2, 50, 3000, rows)]
    y = (draw.random(rows) < np.where((a + b) % 2, 0.4, 0.2)).astype(int)
    return [a, b, *noise], y


def adjusted(columns, y):
    scorer = Scorer(np.bincount(y))
    scores = scorer.score([Spectrum.of(counts_of(c, y, int(c.max()) + 1)) for c in columns])
    return scorer, scores


def test_xor_members_have_no_signal_alone_and_their_cross_comes_first():
    columns, y = xor()
    scorer, scores = adjusted(columns, y)
    assert min(s.information.p for s in scores[:2]) > 0.01
    data = coded(columns, y)
    pairs = list(combinations(range(len(columns)), 2))
    found = screen(data, [s.information.adj for s in scores], pairs, scorer)
    assert max(found, key=lambda j: j.synergy).pair == (0, 1)
    assert max(found, key=lambda j: j.synergy_z).pair == (0, 1)
    gains = {p: gain(data, columns, y, scores, p) for p in pairs}
    best = gains.pop((0, 1))
    assert best > 0.01
    assert max(gains.values()) < best / 100


def gain(data, columns, y, scores, pair):
    share = y.mean()
    effects = [
        log_odds(counts_of(columns[i], y, data.sizes[i]), scores[i].strength, share) for i in pair
    ]
    return gain_over_additive(cells_of(data, pair), data.sizes[pair[1]], *effects, len(y))[0]


def test_copies_add_nothing_to_each_other():
    draw = np.random.default_rng(1)
    a = draw.integers(0, 50, 20_000)
    y = (draw.random(20_000) < expit(-1 + draw.normal(0, 0.7, 50)[a])).astype(int)
    b = np.where(draw.random(20_000) < 0.05, draw.integers(0, 50, 20_000), a)
    columns = [a, b]
    scorer, scores = adjusted(columns, y)
    data = coded(columns, y)
    assert gain(data, columns, y, scores, (0, 1)) < 1e-4
    assert screen(data, [s.information.adj for s in scores], [(0, 1)], scorer)[0].synergy < 0


def test_the_screen_stops_when_advance_returns_false():
    columns, y = xor(2000)
    scorer, scores = adjusted(columns, y)
    pairs = list(combinations(range(len(columns)), 2)) * 20
    found = screen(
        coded(columns, y), [s.information.adj for s in scores], pairs, scorer, lambda done: False
    )
    assert 0 < len(found) < len(pairs)


def test_evidence_of_small_and_large_cells_equals_the_beta_binomial():
    draw = np.random.default_rng(2)
    count = draw.integers(2, 40, 300).astype(float)
    ones = np.floor(draw.random(300) * (count + 1))
    mean = draw.uniform(0.05, 0.9, 300)
    evidence = _Evidence(ones, count, mean)
    for a in (STRENGTHS[0], 7.0, STRENGTHS[-1]):
        al, be = a * mean, a * (1 - mean)
        expected = betaln(al + ones, be + count - ones) - betaln(al, be)
        expected -= ones * np.log(mean) + (count - ones) * np.log1p(-mean)
        assert evidence.of(a) == pytest.approx(expected.sum(), rel=1e-7, abs=1e-7)


def test_additive_slopes_stay_within_0_and_1():
    draw = np.random.default_rng(3)
    effect = draw.normal(size=400)
    design = np.stack([np.ones(400), effect, draw.normal(size=400)])
    count = np.full(400, 50.0)
    ones = draw.binomial(50, expit(-1 + 0.5 * effect))
    weight = _fit(design, ones.astype(float), count)
    assert weight[1] == pytest.approx(0.5, abs=0.06)
    assert 0 <= weight[2] < 0.05
    over = _fit(design, draw.binomial(50, expit(-1 + 2 * effect)).astype(float), count)
    assert over[1] == 1.0


@pytest.mark.parametrize(("left", "right"), [(5, 5), (40, 60), (900, 1000)])
def test_likeness_equals_scikit_learn(left, right):
    draw = np.random.default_rng(4)
    a = draw.integers(0, left, 2000)
    b = np.where(draw.random(2000) < 0.05, draw.integers(0, right, 2000), a % right)
    data = coded([a, b], np.zeros(2000))
    counts = [np.bincount(c, minlength=s) for c, s in zip((a, b), data.sizes, strict=True)]
    expected = adjusted_mutual_info_score(a, b)
    found = likeness(data, counts, expected - 0.01, [(0, 1)])
    assert found[0].ami == pytest.approx(expected, abs=1e-9)
    assert found[0].exact
    assert likeness(data, counts, min(expected + 0.01, 1.0), [(0, 1)]) == []


def test_beyond_the_budget_the_expectation_is_expanded_and_marked(monkeypatch):
    draw = np.random.default_rng(5)
    a, b = draw.integers(0, 12, 20_000), draw.integers(0, 9, 20_000)
    counts = np.bincount(a), np.bincount(b)
    exact, whole = expected_mi(*counts)
    monkeypatch.setattr("ctrkit.rank.likeness._EMI_BUDGET", 0)
    near, expanded = expected_mi(*counts)
    assert (whole, expanded) == (True, False)
    assert near == pytest.approx(exact, rel=2e-3)


def test_empty_and_one_row():
    nothing = coded([np.zeros(1, int)] * 2, np.zeros(1))
    assert cells_of(nothing, (0, 1))[1].tolist() == [[1, 0]]
    none = Coded([np.zeros(0, np.uint32)] * 2, [2, 2], np.zeros(0, np.uint8), 2)
    assert len(cells_of(none, (0, 1))[0]) == 0
    assert (
        gain_over_additive((np.array([0]), np.array([[1, 1]])), 2, np.zeros(2), np.zeros(2), 2)[0]
        >= 0
    )


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("part_rows", "table_cells"), [(50, 30), (200, 1), (1, 1), (10_000, 10**6)]
)
def test_long_columns_are_counted_in_parts_with_the_same_cells(
    classes, weighted, part_rows, table_cells, monkeypatch
):
    draw = np.random.default_rng(classes)
    a, b = (40 * draw.random(1000) ** 3).astype(np.uint8), draw.integers(0, 60, 1000)
    weight = draw.integers(1, 5, 1000) if weighted else None
    data = coded([a, b.astype(np.uint16)], draw.integers(0, classes, 1000), classes, weight)
    keys, counts = cells_of(data, (0, 1))
    for name, value in {
        "_LONG_ROWS": 100,
        "_PART_ROWS": part_rows,
        "_BLOCK_ROWS": 128,
        "_TABLE_CELLS": table_cells,
    }.items():
        monkeypatch.setattr(f"ctrkit.rank.coded.{name}", value)
    parts = list(cell_parts(data, (0, 1)))
    assert (len(parts) > 1) == (part_rows < 1000)
    again = cells_of(data, (0, 1))
    assert again[0].tolist() == keys.tolist()
    assert again[1].tolist() == counts.tolist()

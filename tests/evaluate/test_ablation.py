"""Permuted rows, and the ablation scores that they give."""

from __future__ import annotations

import numpy as np
import pytest
from encoded import LAYOUT, encoded_rows, rows_of

from ctrkit.data.store.batch import Encoded
from ctrkit.evaluate.ablation import ablate, permuted
from ctrkit.evaluate.explain import pairs_by_importance


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_permuting_moves_only_the_named_fields(rows):
    encoded = encoded_rows(rows)
    order = np.random.default_rng(1).permutation(rows)
    before = rows_of(encoded)
    for fields in ([0], [2], [3], [1, 3], [0, 1, 2, 3]):
        after = rows_of(permuted(encoded, LAYOUT, fields, order))
        expected = [
            tuple(before[order[n] if f in fields else n][f] for f in range(4)) for n in range(rows)
        ]
        assert after == expected
    assert rows_of(encoded) == before, "the rows themselves are untouched"


def test_ablation_separates_synergy_additive_effect_and_no_effect():
    """XOR of a and b (synergy), n alone (additive), m nothing."""
    draw = np.random.default_rng(0)
    rows = 20_000
    encoded = encoded_rows(rows)
    codes = draw.integers(3, 5, (rows, 2)).astype(np.uint32)
    encoded = Encoded(codes=codes, numbers=encoded.numbers, bags=encoded.bags)

    def score(e):
        return (2.0 * ((e.codes[:, 0] ^ e.codes[:, 1]) & 1) - 1 + e.numbers[:, 0]).astype("f4")

    label = (draw.random(rows) < 1 / (1 + np.exp(-score(encoded)))).astype(np.uint8)
    every = [(m, k) for m in range(4) for k in range(m + 1, 4)]
    found = ablate(score, encoded, label, LAYOUT, choose=lambda single: every, repeats=2)
    scores = dict(zip(every, found.scores.mean(axis=1), strict=True))
    single = found.single.mean(axis=1)
    assert min(scores, key=scores.get) == (0, 1)
    assert scores[0, 1] == pytest.approx(-found.joint[0].mean(), rel=0.1)
    assert abs(scores[0, 2]) < 0.2 * abs(scores[0, 1])
    assert scores[0, 3] == scores[2, 3] == 0.0
    assert single[3] == 0.0
    assert single[:3].min() > 0.05


def test_ablation_of_no_pairs():
    found = ablate(
        lambda e: e.numbers[:, 0],
        encoded_rows(5),
        np.array([0, 1, 0, 1, 1], np.uint8),
        LAYOUT,
        choose=lambda single: [],
    )
    assert found.scores.shape == (0, 2)


def test_pairs_by_importance_puts_two_strong_fields_first():
    assert pairs_by_importance(np.array([0.1, 0.0, 0.5, 0.3]))[:2] == [(2, 3), (0, 2)]

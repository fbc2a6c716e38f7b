"""Tables of attention maps, by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrkit.evaluate.attention import pair_scores, pair_table, rollout, value_table


def test_uniform_maps_have_lift_one_everywhere():
    table = pair_table(np.full((3, 4, 4), 0.25), "abcd")
    assert len(table) == 6
    for pair in table:
        assert pair["lift"] == pytest.approx([1.0] * 3)
        assert pair["rollout"] == pytest.approx(1.0)


def test_pair_scores_and_rollout_by_hand():
    first = np.array([[0.7, 0.3], [0.1, 0.9]])
    second = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(pair_scores(first), [[0, 0.2], [0.2, 0]])
    eye = np.eye(2)
    np.testing.assert_allclose(
        rollout(np.stack([first, second])), (second + eye) @ (first + eye) / 4
    )
    np.testing.assert_allclose(rollout(np.stack([first, second])).sum(axis=1), 1.0)


def test_pair_table_ranks_by_layer_one():
    maps = np.full((1, 3, 3), 1 / 3)
    maps[0, 2] = [0.8, 0.1, 0.1]
    table = pair_table(maps, ["a", "b", "c"])
    assert [pair["rank"] for pair in table] == [1, 2, 3]
    assert table[0]["fields"] == ["a", "c"]
    assert table[0]["lift"] == pytest.approx([3 * (0.8 + 1 / 3) / 2])


def test_value_table_averages_over_rows_that_hold_both_values():
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    label = np.array([0, 1, 1, 1], np.uint8)
    one = pl.DataFrame({"row": [0, 1, 2, 3], "value": ["x", "x", "x", "y"]})
    bag = pl.DataFrame({"row": [0, 0, 1, 3], "value": ["p", "q", "p", "p"]})
    found = value_table(scores, label, one, bag, fields=("u", "v"), count=2, min_support=2)
    assert len(found) == 1, "pairs below the support are left out"
    assert found[0]["values"] == ["x", "p"]
    assert found[0]["support"] == 2
    assert found[0]["lift"] == pytest.approx(2 * 0.3)
    assert found[0]["label_rate"] == pytest.approx(0.5)

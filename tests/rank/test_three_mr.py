"""3MR against a plain greedy loop, and on features whose order is known."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.three_mr import three_mr
from ctrkit.schema import Field, Schema

REDUCE = {"median": np.median, "mean": np.mean, "sum": np.sum}


def plain(relevance, redundancy, relation, alpha, beta, strategy):
    order = [int(np.argmax(relevance))]
    while len(order) < len(relevance):
        best = None
        for f in range(len(relevance)):
            if f in order:
                continue
            value = relevance[f]
            value -= alpha * REDUCE[strategy]([redundancy[h, f] for h in order])
            value += beta * REDUCE[strategy]([relation[h, f] for h in order])
            if best is None or value > best[0]:
                best = (value, f)
        order.append(best[1])
    return order


@pytest.mark.parametrize("strategy", ["median", "mean", "sum"])
def test_it_equals_a_plain_greedy_loop(strategy):
    draw = np.random.default_rng(0)
    for _ in range(5):
        relevance = draw.random(12)
        redundancy, relation = (m + m.T for m in draw.random((2, 12, 12)))
        got, values = three_mr(
            relevance, redundancy, relation, alpha=0.7, beta=0.3, strategy=strategy, scale=False
        )
        assert got == plain(relevance, redundancy, relation, 0.7, 0.3, strategy)
        assert len(values) == 12


def test_scaling_makes_the_three_tables_comparable():
    relevance = np.array([3.0, 2.9, 1.0])
    redundancy = np.array([[0, 9, 0], [9, 0, 0], [0, 0, 0]], float)
    order, values = three_mr(relevance, redundancy, np.zeros((3, 3)))
    assert order == [0, 2, 1]  # the second best repeats the best
    assert values[0] == 1.0
    assert three_mr(relevance, redundancy * 0, np.zeros((3, 3)))[0] == [0, 1, 2]


def test_a_missing_pair_is_an_error():
    holes = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="every pair"):
        three_mr(np.ones(2), holes, np.zeros((2, 2)))


def test_a_copy_comes_last():
    draw = np.random.default_rng(1)
    a, b = draw.integers(0, 9, 5000), draw.integers(0, 9, 5000)
    y = draw.random(5000) < np.where(a > 4, 0.5, 0.2) + np.where(b > 4, 0.2, 0.0)
    frame = pl.DataFrame(
        {"y": y, "a": a, "b": b, "copy": a % 8, "noise": draw.integers(0, 9, 5000)}
    )
    fields = tuple(Field(n, "categorical") for n in ("a", "b", "copy", "noise"))
    ranking = rank_source(frame_source(frame), Schema(fields, label="y"), RankOptions(three_mr=9))
    assert [f.name for f in ranking.facts.three_mr] == ["a", "b", "copy"]

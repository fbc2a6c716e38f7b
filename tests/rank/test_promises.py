"""Rankings of 200,000 rows over seeds: signal above noise, XOR pairs first."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from ctrkit.data.read.sources import frame_source
from ctrkit.rank import RankOptions, rank_source
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import ranking_fields

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROWS = 200_000


def ranked(frame: pl.DataFrame, **options: object):
    names = [c for c in frame.columns if c != "label"]
    schema = Schema(tuple(Field(n, "categorical") for n in names), label="label")
    return rank_source(frame_source(frame), schema, RankOptions(**options))


@pytest.mark.parametrize("seed", range(6))
def test_no_noise_column_ranks_above_an_informative_one(seed):
    frame, truth = ranking_fields(ROWS, seed)
    rows = {r.name: r for r in ranked(frame).features}
    names = truth.informative + truth.noise
    informative = [n in truth.informative for n in names]

    def auc(score):
        return roc_auc_score(informative, [getattr(rows[n], score) for n in names])

    worst = min(rows[n].gain for n in truth.informative)
    assert worst > max(rows[n].gain for n in truth.noise)
    assert auc("gain") >= 0.999
    assert auc("adj") >= 0.98
    assert auc("mi") < 0.65
    assert rows["row_id"].adj == 0
    assert rows["row_id"].gain < 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_both_xor_pairs_are_the_first_of_all_pairs(seed):
    frame, truth = ranking_fields(ROWS, seed)
    ranking = ranked(frame, order=2)
    crosses = [r for r in ranking.features if r.order == 2]
    found = {tuple(r.members) for r in crosses[:2]}
    assert found == set(truth.pairs)
    by_synergy = sorted(crosses, key=lambda r: -r.synergy)[:2]
    assert {tuple(r.members) for r in by_synergy} == set(truth.pairs)
    rows = {r.name: r for r in ranking.features if r.order == 1}
    assert all(rows[n].q > 0.01 for pair in truth.pairs for n in pair)
    copies = next(r for r in crosses if set(r.members) == {"info_500", "copy_500"})
    assert copies.gain is None or copies.gain < 1e-4


def test_p_values_of_independent_columns_are_uniform():
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"label": draw.integers(0, 2, 5000)}
        | {f"f{i}": draw.integers(0, (2, 5, 30, 300, 2000)[i % 5], 5000) for i in range(1000)}
    )
    p = np.array([r.p for r in ranked(frame).features])
    assert 0.03 < (p < 0.05).mean() < 0.07

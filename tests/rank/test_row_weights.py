"""Weights of any size: a constant factor changes no score, whole multiples are repeated rows."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source
from ctrkit.errors import DataError
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.row_weights import MOST_ROWS, row_weights
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import ranking_fields

ROWS = 400
CONSTANTS = [1e6, 1e10, 1e11, 2.0**53, 1e30, 0.5, 0.1, 1 / 3, 1e-30, 10**18 + 1]
SCHEMA = Schema(
    (Field("info_2", "categorical"), Field("info_100", "categorical")), label="label", weight="w"
)


FRAME = ranking_fields(ROWS, 2)[0].select("label", "info_2", "info_100")
COUNTS = np.arange(ROWS) % 4


def ranked(weight):
    schema, frame = replace(SCHEMA, weight=None), FRAME
    if weight is not None:
        schema, frame = SCHEMA, frame.with_columns(pl.Series("w", weight))
    return rank_source(frame_source(frame), schema, RankOptions(order=2, three_mr=2))


@pytest.fixture(scope="module")
def plain():
    return ranked(None)


@pytest.fixture(scope="module")
def counted():
    return ranked(COUNTS)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_a_constant_weight_changes_no_score(plain, constant):
    ranking = ranked([constant] * ROWS)
    assert ranking.features == plain.features
    assert ranking.facts.rows == ROWS
    assert ranking.warnings == plain.warnings


@pytest.mark.parametrize("factor", [7, 1e6, 1e10, 1e11, 2.0**50, 0.1, 0.5, 1 / 3, 1e-7])
def test_a_factor_of_all_weights_changes_no_score(counted, factor):
    assert ranked(COUNTS * factor).features == counted.features


def test_single_precision_and_text_are_weights_too(counted):
    assert ranked((COUNTS * 0.1).astype(np.float32)).features == counted.features
    assert ranked([f"{count / 10}" for count in COUNTS]).features == counted.features


def test_a_fine_unit_is_a_warning():
    ranking = ranked([1.37, 0.82] * (ROWS // 2))
    assert ranking.facts.rows == ROWS // 2 * (137 + 82)
    assert any("'w' counts rows in units of 0.01: 400 rows count as" in w for w in ranking.warnings)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e10])
def test_weights_without_a_unit_are_refused(scale):
    weight = np.random.default_rng(0).lognormal(size=ROWS) * scale
    with pytest.raises(DataError, match=r"weight 'w' must count fewer than .*round the weights"):
        ranked(weight)


def test_the_largest_totals_give_numbers():
    counts = np.random.default_rng(0).integers(1, int(1.8 * MOST_ROWS / ROWS), ROWS)
    assert 2**30 < counts.sum() < MOST_ROWS
    for row in ranked(counts).features:
        numbers = (row.gain, row.mi, row.emi, row.adj, row.ami, row.sd, row.z, row.p, row.q)
        assert np.isfinite(numbers).all()
        assert row.gain >= 0
    with pytest.raises(DataError, match="fewer than 2,147,483,648 rows"):
        ranked(counts * 2 + 1)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0.0], "above 0 in some of the rows"),
        ([1.0, -1.0], "got -1.0 in row 1"),
        ([1.0, float("nan")], "got nan in row 1"),
        ([1.0, float("inf")], "got inf in row 1"),
        ([1.0, None], "got None in row 1"),
    ],
)
def test_invalid_weights_are_refused(bad, message):
    with pytest.raises(DataError, match=f"weight 'w' .*{message}.*do not name a weight"):
        ranked((bad * ROWS)[:ROWS])


def test_parts_share_one_unit():
    schema = Schema((), label="y", weight="w")
    frames = [pl.DataFrame({"y": [0, 1], "w": [4.0, 8.0]}), pl.DataFrame({"y": [0], "w": [6.0]})]
    weights = row_weights(frame_source(pl.concat(frames)), schema)
    assert weights is not None
    assert (weights.unit, weights.rows, weights.total) == (2, 3, 9)

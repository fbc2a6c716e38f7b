"""The published scores: the package's own numbers, and the permutation that it stands for."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.sources import frame_source, open_source
from ctrkit.errors import DataError
from ctrkit.rank.outrank import outrank_scores, randomised, shifted
from ctrkit.rank.scores import Scorer, Spectrum
from ctrkit.schema import Field, Schema

NAMES = ("f0", "f1", "f2", "f3", "f4")
GOLDEN = {  # outrank 0.97.5, --subsampling 1, MI-numba-randomized, on exactly these rows
    "f0": -2.8908252716064453e-05,
    "f1": -0.0016220808029174805,
    "f2": 0.401637464761734,
    "f3": -4.5746564865112305e-06,
    "f4": -0.0036420822143554688,
}


def rows(n=40_000):
    draw = np.random.default_rng(0)
    y = (draw.random(n) < 0.3).astype(int)
    return pl.DataFrame({
        "f0": draw.integers(0, 5, n), "f1": draw.integers(0, 300, n),
        "f2": y * 2 + draw.integers(0, 3, n), "f3": draw.integers(0, 2, n),
        "f4": draw.integers(0, 20_000, n), "label": y,
    })  # fmt: skip


def test_the_score_is_the_packages():
    fields = [Field(n, "categorical") for n in NAMES]
    got = outrank_scores(frame_source(rows()), Schema(tuple(fields), label="label"), fields)
    assert got == pytest.approx([GOLDEN[n] for n in NAMES], abs=1e-6)


def test_its_mean_over_orders_is_adj():
    draw = np.random.default_rng(1)
    y = (draw.random(4000) < 0.3).astype(np.int64)
    x = np.where(draw.random(4000) < 0.1, y, draw.integers(0, 40, 4000))
    found = []
    for _ in range(60):
        order = draw.permutation(4000)
        found.append(shifted(x[order], y[order]))
    table = np.zeros((40, 2), np.int64)
    np.add.at(table, (x, y), 1)
    adj = Scorer(table.sum(axis=0)).score([Spectrum.of(table)])[0].adj
    assert abs(np.mean(found) - adj) < 4 * np.std(found) / np.sqrt(60)


def test_randomised_is_a_permutation_and_forgets_the_order():
    draw = np.random.default_rng(2)
    table = draw.integers(0, 9, (500, 3))
    scorer = Scorer(table.sum(axis=0))
    score = scorer.score([Spectrum.of(table)])[0]
    got = randomised(table, scorer, 40)
    assert got == randomised(table[::-1], scorer, 40)
    assert got != randomised(table, scorer, 40, seed=1)
    assert abs(got - score.adj) < 4 * score.sd / np.sqrt(40)


def test_it_refuses_shards_and_too_few_rows(tmp_path):
    schema = Schema((Field("f0", "categorical"),), label="label")
    for i in range(2):
        rows(50).write_parquet(tmp_path / f"{i}.parquet")
    with pytest.raises(DataError, match="one file"):
        outrank_scores(open_source(tmp_path), schema, schema.fields)
    with pytest.raises(DataError, match="more than 1024 rows"):
        outrank_scores(frame_source(rows(500)), schema, schema.fields)

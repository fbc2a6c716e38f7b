"""Ranking many columns."""

import time

import numpy as np
import polars as pl
import pytest

from ctrkit import jobs


@pytest.mark.slow
def test_the_time_of_a_ranking_grows_with_the_columns_not_with_their_square(tmp_path):
    draw = np.random.default_rng(0)
    kinds = (
        lambda: pl.Series(draw.normal(size=500)),
        lambda: pl.Series(draw.integers(0, 10, 500)),
        lambda: "v" + pl.Series(draw.integers(0, 50, 500)).cast(pl.String),
    )
    seconds = {}
    for columns in (100, 300, 3000):  # the first only imports
        data = {f"c{i}": kinds[i % 3]() for i in range(columns)}
        frame = pl.DataFrame({"label": draw.integers(0, 2, 500), **data})
        frame.write_parquet(tmp_path / f"{columns}.parquet")
        started = time.process_time()
        jobs.rank(
            tmp_path / f"{columns}.parquet", label="label", out=tmp_path / str(columns), force=True
        )
        seconds[columns] = time.process_time() - started
    assert seconds[3000] < 15 * seconds[300]  # measured 7; 50 where it grows with the square

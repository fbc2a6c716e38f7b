"""Memory is flat in rows: more rows of the same values need no more of it."""

import os
import sys

import numpy as np
import polars as pl
import pytest
from peak_memory import WITHOUT_SLACK, peak_anonymous

ENCODE = """
import sys
from pathlib import Path
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import prepare_dataset
from ctrkit.data.read.sources import open_source
from ctrkit.schema import Field, Schema
fields = [Field(f"c{i}", "categorical") for i in range(6)]
schema = Schema((*fields, Field("x", "numeric"), Field("m", "multi")), label="y")
data = prepare_dataset(open_source(sys.argv[1]), schema, out=Path(sys.argv[2]))
for batch in Batches(data.shards, "train", 8192, shuffle=True, window=131_072).epoch(0):
    pass
"""


def _write(folder, files, rows=150_000):
    """Write one file many times: the larger folder has no further values."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    columns = {f"c{i}": draw.zipf(1.2, rows) % 20_000 for i in range(6)}
    frame = pl.DataFrame(
        {n: pl.Series(v).cast(pl.String) + " of a longer text" for n, v in columns.items()}
    )
    more = {"x": draw.normal(size=rows), "y": draw.integers(0, 2, rows), "m": ["u|v"] * rows}
    frame = frame.with_columns(**{n: pl.Series(v) for n, v in more.items()})
    frame.write_parquet(folder / "00.parquet")
    for file in range(1, files):
        os.link(folder / "00.parquet", folder / f"{file:02d}.parquet")


def _peak(source, out):
    command = [sys.executable, "-c", ENCODE, str(source), str(out)]
    return peak_anonymous(command, {**os.environ, **WITHOUT_SLACK})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_four_times_the_rows_need_no_more_memory(tmp_path):
    """Less than two bytes for each further row; both fill the writers' blocks (131,072 rows)."""
    _write(tmp_path / "small", 12)
    _write(tmp_path / "large", 48)
    small = _peak(tmp_path / "small", tmp_path / "a")
    large = _peak(tmp_path / "large", tmp_path / "b")
    assert large - small < 2 * 36 * 150_000, (small, large)

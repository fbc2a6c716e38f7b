"""Memory is flat in rows: ten times the rows of the same values need no more of it."""

import os
import sys

import numpy as np
import polars as pl
import pytest
from peak_memory import peak_anonymous

ENCODE = """
import sys
from pathlib import Path
from ctrkit.data.batches import Batches
from ctrkit.data.dataset import prepare_dataset
from ctrkit.data.sources import open_source
from ctrkit.schema import Field, Schema
fields = [Field(f"c{i}", "categorical") for i in range(6)]
schema = Schema((*fields, Field("x", "numeric"), Field("m", "multi")), label="y")
data = prepare_dataset(open_source(sys.argv[1]), schema, out=Path(sys.argv[2]))
for batch in Batches(data.shards, "train", 8192, shuffle=True, window=131_072).epoch(0):
    pass
"""


def _write(folder, files, rows=150_000):
    folder.mkdir()
    for file in range(files):
        r = np.random.default_rng(file)
        columns = {f"c{i}": r.zipf(1.2, rows) % 20_000 for i in range(6)}
        frame = pl.DataFrame(
            {n: pl.Series(v).cast(pl.String) + " of a longer text" for n, v in columns.items()}
        )
        more = {"x": r.normal(size=rows), "y": r.integers(0, 2, rows), "m": ["u|v"] * rows}
        frame.with_columns(**{n: pl.Series(v) for n, v in more.items()}).write_parquet(
            folder / f"{file:02d}.parquet"
        )


def _peak(source, out):
    return peak_anonymous([sys.executable, "-c", ENCODE, str(source), str(out)], dict(os.environ))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ten_times_the_rows_need_no_more_memory(tmp_path):
    _write(tmp_path / "small", 3)
    _write(tmp_path / "large", 30)
    small = _peak(tmp_path / "small", tmp_path / "a")
    large = _peak(tmp_path / "large", tmp_path / "b")
    assert large < 1.1 * small + 50e6, (small, large)

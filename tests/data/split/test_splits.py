"""A row's split is a function of the row, never of how it was read."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source
from ctrkit.data.split.plan import LEFT_OUT, _plan_files, plan_split
from ctrkit.errors import DataError
from ctrkit.schema import Schema, Split

ROWS = 3000
FRAME = pl.DataFrame({"t": range(ROWS), "u": [str(i % 97) for i in range(ROWS)]})
SOURCE = frame_source(FRAME)
BY_TIME = Schema((), time="t", split=Split(by="time", embargo=10))


@pytest.mark.parametrize("schema", [Schema(()), Schema((), key="u"), BY_TIME])
def test_assignment_does_not_depend_on_chunks(schema: Schema) -> None:
    plan = plan_split(SOURCE, schema)
    whole = np.concatenate([plan.assign(c) for c in SOURCE.chunks()])
    for rows in (1, 7, 1000):
        some = list(SOURCE.chunks(rows=rows))
        assert (np.concatenate([plan.assign(c) for c in some]) == whole).all()
    ids = np.concatenate([plan.row_ids(c) for c in SOURCE.chunks(rows=7)])
    assert len(np.unique(ids)) == ROWS


def test_rows_of_a_key_stay_together() -> None:
    plan = plan_split(SOURCE, Schema((), key="u"))
    parts = FRAME.with_columns(p=plan.assign(next(SOURCE.chunks())))
    assert parts.group_by("u").agg(pl.col("p").n_unique())["p"].max() == 1


def test_time_with_embargo() -> None:
    plan = plan_split(SOURCE, BY_TIME)
    assert plan.bounds == (2400, 2700)
    parts = plan.assign(next(SOURCE.chunks()))
    assert np.bincount(parts).tolist() == [2390, 290, 300, 20]
    assert (parts[2390:2400] == LEFT_OUT).all()


def test_text_dates_and_too_few_times() -> None:
    days = [f"2026-01-{d:02d}" for d in range(1, 11)]
    plan = plan_split(frame_source({"t": days}), Schema((), time="t"))
    assert plan.calendar
    with pytest.raises(DataError, match=r"data.split=random"):
        plan_split(frame_source({"t": [1, 1, 2]}), Schema((), time="t"))
    with pytest.raises(DataError, match="got None"):
        plan_split(frame_source({"t": [1, None, 2]}), Schema((), time="t"))


def test_column_and_files() -> None:
    schema = Schema((), split=Split(by="column", column="s"))
    source = frame_source({"s": ["train", "val", "Test"]})
    assert plan_split(source, schema).assign(next(source.chunks())).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="'x'"):
        plan_split(frame_source({"s": ["train", "x"]}), schema)
    with pytest.raises(DataError, match="no rows for test"):
        plan_split(frame_source({"s": ["train", "val"]}), schema)
    assert _plan_files(["d/train.csv", "d/valid/0.csv", "d/test-1.csv"], (8, 1, 1)) == (0, 1, 2)
    assert _plan_files(["a", "b", "c", "d"], (8, 1, 1)) == (0, 0, 1, 2)

"""A row's split is a function of the row alone; plans and assignments are golden."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.rows import row_ids
from ctrkit.data.read.sources import Source, frame_source, open_source
from ctrkit.data.split.base import LEFT_OUT
from ctrkit.data.split.by_files import splits_of_files
from ctrkit.data.split.by_time import TimeSplit
from ctrkit.data.split.plan import plan_split
from ctrkit.errors import DataError, SchemaError
from ctrkit.schema import Schema, Split

ROWS = 3000
FRAME = pl.DataFrame({"t": range(ROWS), "u": [str(i % 97) for i in range(ROWS)]})
SOURCE = frame_source(FRAME)
BY_TIME = Schema((), time="t", split=Split(by="time", embargo=10))
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.mark.parametrize("schema", [Schema(()), Schema((), key="u"), BY_TIME])
def test_assignment_does_not_depend_on_chunks(schema: Schema) -> None:
    plan = plan_split(SOURCE, schema)
    whole = np.concatenate([plan.assign(c) for c in SOURCE.chunks()])
    for rows in (1, 7, 1000):
        some = list(SOURCE.chunks(rows=rows))
        assert (np.concatenate([plan.assign(c) for c in some]) == whole).all()
    ids = np.concatenate([row_ids(c) for c in SOURCE.chunks(rows=7)])
    assert len(np.unique(ids)) == ROWS


def test_rows_of_a_key_stay_together() -> None:
    plan = plan_split(SOURCE, Schema((), key="u"))
    parts = FRAME.with_columns(p=plan.assign(next(SOURCE.chunks())))
    assert parts.group_by("u").agg(pl.col("p").n_unique())["p"].max() == 1


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.Categorical, pl.Decimal(9, 1)])
def test_the_type_of_the_key_does_not_change_the_split(dtype: pl.DataType) -> None:
    other = frame_source(FRAME.with_columns(pl.col("u").cast(dtype)))
    schema = Schema((), key="u")
    expected = plan_split(SOURCE, schema).assign(next(SOURCE.chunks()))
    assert (plan_split(other, schema).assign(next(other.chunks())) == expected).all()


def test_rows_within_the_embargo_are_left_out() -> None:
    plan = plan_split(SOURCE, BY_TIME)
    assert isinstance(plan, TimeSplit)
    assert plan.bounds == (2400, 2700)
    parts = plan.assign(next(SOURCE.chunks()))
    assert np.bincount(parts).tolist() == [2390, 290, 300, 20]
    assert (parts[2390:2400] == LEFT_OUT).all()


def test_text_dates_are_split_and_too_few_times_are_an_error() -> None:
    days = [f"2026-01-{d:02d}" for d in range(1, 11)]
    plan = plan_split(frame_source({"t": days}), Schema((), time="t"))
    assert isinstance(plan, TimeSplit)
    assert plan.time.calendar
    with pytest.raises(DataError, match=r"data.split=random"):
        plan_split(frame_source({"t": [1, 1, 2]}), Schema((), time="t"))
    with pytest.raises(DataError, match="got None"):
        plan_split(frame_source({"t": [1, None, 2]}), Schema((), time="t"))


def test_columns_and_files_name_the_split() -> None:
    schema = Schema((), split=Split(by="column", column="s"))
    source = frame_source({"s": ["train", "val", "Test"]})
    assert plan_split(source, schema).assign(next(source.chunks())).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="'x' in row 1"):
        plan_split(frame_source({"s": ["train", "x"]}), schema)
    with pytest.raises(DataError, match="no rows for test"):
        plan_split(frame_source({"s": ["train", "val"]}), schema)
    named = ["d/train.csv", "d/valid/0.csv", "d/test-1.csv"]
    assert splits_of_files(named, (8, 1, 1)) == (0, 1, 2)
    assert splits_of_files(["a", "b", "c", "d"], (8, 1, 1)) == (0, 0, 1, 2)
    with pytest.raises(DataError, match="at least 3 files"):
        splits_of_files(["a", "b"], (8, 1, 1))


def test_what_a_split_needs_must_be_declared_and_in_the_data() -> None:
    with pytest.raises(SchemaError, match="--time"):
        plan_split(SOURCE, Schema(()), by="time")
    with pytest.raises(SchemaError, match="needs the column 'w'"):
        plan_split(SOURCE, Schema((), key="w"))
    with pytest.raises(SchemaError, match="did you mean 'random'"):
        plan_split(SOURCE, Schema(()), by="randon")
    with pytest.raises(SchemaError, match="column = NAME"):
        plan_split(SOURCE, Schema(()), by="column")


# --- plans and assignments that earlier runs depend on


def golden_frame() -> pl.DataFrame:
    i = np.arange(5000)
    start = dt.datetime(2026, 1, 1)
    minutes = [start + dt.timedelta(minutes=int(v)) for v in i]
    names = ["train", "Train", "VAL", "validation", "valid", "test"]
    return pl.DataFrame(
        {
            "x": i * 7 % 97,
            "user": [f"u{v % 211}" if v % 13 else None for v in i],
            "id": (i * 31) % 400,
            "tick": i // 3,
            "real": i * 0.5,
            "at": minutes,
            "day": [t.isoformat() for t in minutes],
            "part": [names[v % 6] for v in i],
        }
    )


def golden_schemas() -> dict[str, tuple[Schema, dict[str, Any]]]:
    return {
        "random": (Schema(()), {}),
        "random, seed 7, 6:3:1": (Schema((), split=Split(ratios=(6.0, 3.0, 1.0))), {"seed": 7}),
        "random by text key": (Schema((), key="user"), {"seed": 3}),
        "random by integer key": (Schema((), key="id"), {}),
        "time by integers": (Schema((), time="tick"), {}),
        "time by integers, embargo": (Schema((), time="tick", split=Split("time", embargo=10)), {}),
        "time by floats": (Schema((), time="real", split=Split("time", embargo=2.25)), {}),
        "time by datetimes, embargo": (
            Schema((), time="at", split=Split("time", embargo=3600)),
            {},
        ),
        "time by text dates": (Schema((), time="day"), {"by": "time"}),
        "time overridden by random": (
            Schema((), time="day", key="id"),
            {"by": "random", "seed": 1},
        ),
        "column": (Schema((), split=Split("column", column="part")), {}),
    }


def outcome(source: Source, schema: Schema, options: dict[str, Any]) -> dict[str, Any]:
    plan = plan_split(source, schema, **options)
    splits = np.concatenate([plan.assign(c) for c in source.chunks(rows=977)])
    return {
        "plan": plan.describe(),
        "rows": np.bincount(splits, minlength=4).tolist(),
        "sha256": hashlib.sha256(splits.tobytes()).hexdigest(),
    }


@pytest.mark.parametrize("case", list(golden_schemas()))
def test_plans_and_assignments_are_golden(case: str) -> None:
    schema, options = golden_schemas()[case]
    found = outcome(frame_source(golden_frame()), schema, options)
    assert found == GOLDEN[case]
    assert list(found["plan"]) == list(GOLDEN[case]["plan"])


@pytest.mark.parametrize(
    "names", [["train.csv", "valid.csv", "test.csv"], ["a.csv", "b.csv", "c.csv", "d.csv", "e.csv"]]
)
def test_splits_of_files_are_golden(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of folders count
    Path("d").mkdir()
    for number, name in enumerate(names):
        rows = golden_frame()[number * 900 : (number + 1) * 900]
        rows.select("x", "id").write_csv(Path("d") / name)
    source = open_source("d")
    for case, by, options in (("files", "files", {}), ("random of files", "random", {"seed": 5})):
        found = outcome(source, Schema((), split=Split(by)), options)
        assert found == GOLDEN[f"{case}: {' '.join(names)}"]

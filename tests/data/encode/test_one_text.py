"""Rows give the same codes whether they come in parquet or in csv, in both directions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.prune import prune
from ctrkit.data.read.sources import open_source
from ctrkit.data.store.batch import Encoded
from ctrkit.schema import RESERVED, Cross, Field, Schema

ROWS = 60


def _frame() -> pl.DataFrame:
    """Columns of every type that csv writes differently."""
    rows = np.arange(ROWS)
    start = dt.datetime(2024, 1, 30, 22)
    times = pl.Series([start + dt.timedelta(hours=int(i) % 5) for i in rows])
    return pl.DataFrame(
        {
            "boolean": rows % 2 == 0,
            "float": pl.Series([None if i % 7 == 0 else float(i % 4) for i in rows]),
            "decimal": pl.Series(rows % 3).cast(pl.Decimal(12, 2)),
            "naive": times,
            "zoned": times.dt.replace_time_zone("Europe/Berlin"),
            "time": times.dt.time(),
            "flag": rows % 3 == 0,
            "bucket": pl.Series(rows).cast(pl.Decimal(12, 2)),
            "tags": pl.Series([[float(i % 3), float(i % 5)] for i in rows]),
        }
    )


def _schema(encoding: str) -> Schema:
    names = ("boolean", "float", "decimal", "naive", "zoned", "time")
    return Schema(
        (
            *(Field(name, "categorical", encoding=encoding) for name in names),
            Field("flag", "numeric", transform="raw"),
            Field("bucket", "numeric", encoding="buckets", transform="quantile", bins=4),
            Field("tags", "multi", encoding=encoding),
        ),
        crosses=(Cross("x", ("float", "boolean")), Cross("y", ("zoned", "bucket"))),
    )


def _read(folder: Path, suffix: str) -> pl.DataFrame:
    frame, path = _frame(), folder / f"rows{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path)
    else:
        tags = pl.col("tags").cast(pl.List(pl.String)).list.join("|")
        frame.with_columns(tags).write_csv(path)
    return next(open_source(path).chunks()).frame


def _fit(frame: pl.DataFrame, schema: Schema) -> Encoder:
    counts = Counts(schema)
    for start in range(0, ROWS, 7):
        counts.update(frame[start : start + 7])
    return Encoder.fit(schema, counts)


def _equal(first: Encoded, second: Encoded) -> bool:
    bags = zip(first.bags, second.bags, strict=True)
    return (
        np.array_equal(first.codes, second.codes)
        and np.array_equal(first.numbers, second.numbers, equal_nan=True)
        and all(np.array_equal(x, y) for a, b in bags for x, y in zip(a, b, strict=True))
    )


@pytest.mark.parametrize("encoding", ["vocabulary", "hash", "auto"])
def test_csv_and_parquet_give_the_same_encoder_and_codes(tmp_path: Path, encoding: str) -> None:
    parquet, csv = _read(tmp_path, ".parquet"), _read(tmp_path, ".csv")
    from_parquet, from_csv = (_fit(rows, _schema(encoding)) for rows in (parquet, csv))
    assert from_csv == from_parquet
    codes = from_parquet.encode(parquet)
    assert _equal(codes, from_parquet.encode(csv))
    assert (codes.codes != 1).all()  # nothing is unseen


def test_a_pruned_vocabulary_drops_the_same_values(tmp_path: Path) -> None:
    parquet, csv = _read(tmp_path, ".parquet"), _read(tmp_path, ".csv")
    encoder = _fit(parquet, _schema("vocabulary"))
    kept = {}
    for name in ("boolean", "naive"):
        mask = np.ones(len(encoder.fields[name].state.counts), bool)
        mask[RESERVED] = False
        kept[name] = mask
    pruned = prune(encoder, kept)
    codes = pruned.encode(parquet)
    assert (codes.codes[:, 0] == 2).sum() == ROWS // 2
    assert _equal(codes, pruned.encode(csv))


def test_counts_of_texts_of_one_value_add_up() -> None:
    schema = Schema((Field("v", "categorical", min_count=3),))
    texts = pl.DataFrame({"v": ["3", "3.0", "3.00", "true", "1", None]})
    counts = Counts(schema)
    counts.update(texts)
    assert counts.table("v").rows() == [("1", 2), ("3", 3)]
    merged = counts.merge(counts)
    assert merged.table("v").rows() == [("1", 4), ("3", 6)]
    assert Encoder.fit(schema, counts).values("v")[RESERVED:] == ["3"]


def test_vocabularies_of_earlier_versions_still_match() -> None:
    encoder = _fit(pl.DataFrame({"v": ["a"] * ROWS}), Schema((Field("v", "categorical"),)))
    field = encoder.fields["v"]
    state = type(field.state)(values=("3.0", "True", "3"), counts=(0, 0, 0, 9, 5, 2))
    old = field.with_state(state)
    texts = pl.Series("v", ["3.0", "3", "3.00", "true", "1", "True", "x", None])
    assert old.encode(texts).tolist() == [3, 5, 3, 4, 4, 4, 1, 0]
    assert old.encode(pl.Series("v", [True, False])).tolist() == [4, 1]

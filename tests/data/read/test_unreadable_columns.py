"""A column that cannot be read stops no job that does not use it."""

from __future__ import annotations

import logging
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import DataError

IDS = pa.array([1, 2, 2])
UNION = pa.UnionArray.from_sparse(
    pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
)
ODD = {
    "union": UNION,
    "interval": pa.array([(1, 2, 3), None, None], pa.month_day_nano_interval()),
    "run end": pa.RunEndEncodedArray.from_arrays([3], [1]),
    "list view": pa.array([[1], [2], None], pa.list_view(pa.int64())),
    "zone": pa.array([1, 2, None], pa.timestamp("us", "Mars/Base")),
    "empty lists": pa.array([[], [], None], pa.list_(pa.int64(), 0)),
    "decimals in lists": pa.array([[Decimal(1)], None, None], pa.list_(pa.decimal256(50, 2))),
}


def _arrow(folder: Path, column: pa.Array) -> Path:
    table = pa.table({"id": IDS, "odd": column, "label": pa.array([0, 1, 0])})
    with pa.ipc.new_file(folder / "rows.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "rows.arrow"


@pytest.mark.parametrize("column", ODD.values(), ids=ODD)
def test_a_column_of_a_type_that_cannot_be_read_is_left_out(
    tmp_path: Path, column: pa.Array, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ctrkit"):
        source = open_source(_arrow(tmp_path, column))
    assert "rows.arrow: column 'odd' is left out: its type, " in caplog.text
    schema, _ = infer_schema(source, Overrides(label="label"))
    assert schema.names == ["id"]
    (chunk,) = source.chunks()
    assert chunk.frame.to_dict(as_series=False) == {"id": [1, 2, 2], "label": [0, 1, 0]}


@pytest.mark.parametrize("suffix", [".arrow", ".parquet"])
def test_a_decimal_of_256_bits_is_read(tmp_path: Path, suffix: str) -> None:
    values = [Decimal("1.50"), None, Decimal(f"-{'9' * 18}.99")]
    column = pa.array(values, pa.decimal256(20, 2))
    if suffix == ".arrow":
        path = _arrow(tmp_path, column)
    else:
        path = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"odd": column}), path)
    (chunk,) = open_source(path).chunks(["odd"])
    assert chunk.frame["odd"].to_list() == values
    table = pa.table({"odd": column})
    (chunk,) = frame_source(table).chunks()
    assert chunk.frame["odd"].to_list() == values


def test_a_decimal_of_more_digits_than_can_be_read_is_one_line(tmp_path: Path) -> None:
    path = _arrow(tmp_path, pa.array([Decimal("9" * 45)] * 3, pa.decimal256(50, 2)))
    source = open_source(path)
    assert [c.frame.height for c in source.chunks(["id"])] == [3]
    with pytest.raises(DataError, match=r"rows\.arrow: cannot be read: "):
        list(source.chunks())
    schema, _ = infer_schema(source, Overrides(label="label", ignore=("odd",)))
    assert schema.names == ["id"]


def test_integers_of_128_bits_are_read_from_the_files_that_polars_writes(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": pl.Series([2**100, -1], dtype=pl.Int128), "b": ["x", "y"]})
    frame.write_ipc(tmp_path / "rows.arrow")
    (chunk,) = open_source(tmp_path / "rows.arrow").chunks()
    assert chunk.frame.equals(frame)

"""Arrow files by pyarrow, memory-mapped."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from ctrkit.data.read.errors import check_unique, reading_errors


def to_frame(data: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    """Return the rows as a polars frame, without a copy where the types allow it."""
    frame = pl.from_arrow(data)
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_columns(path: str) -> dict[str, pl.DataType]:
    """Return name -> type of a file's columns.

    Raises:
        DataError: The file cannot be read, or two columns have the same name.
    """
    with reading_errors(path, pa.ArrowException):
        schema = _open(path).schema
        check_unique(path, schema.names)
        return dict(to_frame(pa.Table.from_batches([], schema)).schema)


def read_frames(path: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Yield the record batches of a file, with the given columns.

    Raises:
        DataError: The file cannot be read.
    """
    with reading_errors(path, pa.ArrowException):
        yield from (to_frame(batch)[columns] for batch in _batches(path, columns))


def _open(path: str) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    mapped = pa.memory_map(path)
    if bytes(mapped.read_at(6, 0)) == b"ARROW1":
        return pa.ipc.open_file(mapped)
    return pa.ipc.open_stream(mapped)


def _batches(path: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
    reader = _open(path)
    if isinstance(reader, pa.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index).select(columns)
    else:
        for batch in reader:
            yield batch.select(columns)

"""Text files by pyarrow: quotes, encodings and compression; all columns are read as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from ctrkit.data.read.arrow import to_frame
from ctrkit.data.read.errors import check_unique, reading_errors
from ctrkit.data.read.foreign import check_start
from ctrkit.data.read.options import ReadOptions, check_options, plain_suffix
from ctrkit.data.read.stream import open_text

SEPARATORS = (",", "\t", ";", "|")
_BLOCK = 2 << 20  # bytes; small blocks are used again, and fresh pages cost more than the parse
_LONG_BLOCK = 32 << 20  # bytes; no line is longer than this
_START = 1 << 12  # bytes that show whether a file is text
_HEAD = 1 << 17  # bytes that show the header row and a first row


def read_names(path: str, options: ReadOptions) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        DataError: The file cannot be read, or two columns have the same name.
    """
    check_options(options)
    with reading_errors(path, pa.ArrowException):
        with open_text(path, options.text_encoding) as stream:
            check_start(path, stream.read(_START))
        try:
            return _head_names(path, options, _HEAD)
        except pa.ArrowException:  # a line longer than the head, or a malformed one
            return _head_names(path, options, _LONG_BLOCK)


def read_frames(path: str, options: ReadOptions, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Yield a file's rows in order, a block at a time, with the given columns.

    Raises:
        DataError: The file cannot be read, or a line is malformed; names the line.
    """
    with reading_errors(path, pa.ArrowException):
        names, rows = read_names(path, options), 0
        try:
            with _open(path, options, names, columns, threads=True) as reader:
                for batch in reader:
                    yield to_frame(batch)
                    rows += batch.num_rows
        except pa.ArrowInvalid:
            # One thread knows the number of a malformed line, a long block holds a long one.
            with _open(path, options, names, columns, block=_LONG_BLOCK) as reader:
                yield from _skip(rows, reader)


def _skip(rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Yield what comes after the first rows."""
    for batch in batches:
        if rows < batch.num_rows:
            yield to_frame(batch.slice(rows))
        rows = max(0, rows - batch.num_rows)


def _head_names(path: str, options: ReadOptions, block: int) -> list[str]:
    with _open(path, options, block=block) as reader:
        names = list(reader.schema.names)
        check_unique(path, names)
        next(iter(reader), None)  # a malformed first row is an error here
    return names


def _open(
    path: str,
    options: ReadOptions,
    names: Sequence[str] = (),
    columns: Sequence[str] = (),
    *,
    threads: bool = False,
    block: int = _BLOCK,
) -> pc.CSVStreamingReader:
    return pc.open_csv(
        open_text(path, options.text_encoding),
        read_options=pc.ReadOptions(
            use_threads=threads,
            block_size=block,
            column_names=list(options.columns) if options.columns else None,
        ),
        parse_options=pc.ParseOptions(delimiter=_separator(path, options), newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=list(columns),
        ),
    )


def _separator(path: str, options: ReadOptions) -> str:
    if options.separator is not None:
        return options.separator
    if plain_suffix(path) in (".tsv", ".txt"):
        return "\t"
    with open_text(path, options.text_encoding) as stream:
        head = stream.read(1 << 16).decode("utf-8", errors="replace")
    line = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(SEPARATORS, key=line.count)

"""Text files by pyarrow: quoting, encodings and compression of the field, all columns as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc

from ctrkit.data.read.arrow import to_frame
from ctrkit.data.read.errors import check_unique, told
from ctrkit.data.read.options import ReadOptions, check_options, plain_suffix
from ctrkit.errors import DataError

SEPARATORS = (",", "\t", ";", "|")
_BLOCK = 2 << 20  # fresh pages cost more than the parse: small blocks are used again
_LONG_BLOCK = 32 << 20  # a line is no longer than this
_HEAD = 1 << 17  # a look at the first lines


def _separator(path: str, options: ReadOptions) -> str:
    if options.separator is not None:
        return options.separator
    if plain_suffix(path) in (".tsv", ".txt"):
        return "\t"
    with pa.input_stream(path, compression="detect") as stream:
        head = stream.read(1 << 16).decode(options.text_encoding, errors="replace")
    line = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(SEPARATORS, key=line.count)


def frames_of(path: str, options: ReadOptions, wanted: list[str]) -> Iterator[pl.DataFrame]:
    """Yield a file's rows in order, a block at a time.

    Raises:
        DataError: A row is malformed; names it.
    """
    with told(path, pa.ArrowException):
        names, done = names_of(path, options), 0
        try:
            with _open(path, options, names, wanted, threads=True) as reader:
                for batch in reader:
                    yield to_frame(batch)
                    done += batch.num_rows
        except pa.ArrowInvalid:  # one thread knows a bad row's number, a long block a long line
            with _open(path, options, names, wanted, block=_LONG_BLOCK) as reader:
                yield from _after(done, reader)


def _after(done: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pl.DataFrame]:
    """Yield the rows that come after the first ``done``."""
    for batch in batches:
        if done < batch.num_rows:
            yield to_frame(batch.slice(done))
        done = max(0, done - batch.num_rows)


def _open(
    path: str,
    options: ReadOptions,
    names: Sequence[str] | None,
    wanted: Sequence[str] | None,
    *,
    threads: bool = False,
    block: int = _BLOCK,
) -> pc.CSVStreamingReader:
    given = list(options.columns) if options.columns else None
    return pc.open_csv(
        pa.input_stream(path, compression="detect"),
        read_options=pc.ReadOptions(
            use_threads=threads,
            block_size=block,
            column_names=given,
            encoding=options.text_encoding,
        ),
        parse_options=pc.ParseOptions(delimiter=_separator(path, options), newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            column_types=dict.fromkeys(names or (), pa.string()),
            include_columns=list(wanted or ()),
        ),
    )


def names_of(path: str, options: ReadOptions) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        DataError: The file holds no rows, or repeats a name.
    """
    check_options(options)
    with told(path, pa.ArrowException):
        try:
            return _head_names(path, options, _HEAD)
        except pa.ArrowException:  # a longer line, or a malformed one: the whole block tells
            return _head_names(path, options, _LONG_BLOCK)


def _head_names(path: str, options: ReadOptions, block: int) -> list[str]:
    with _open(path, options, None, None, block=block) as reader:
        names = list(reader.schema.names)
        check_unique(path, names)
        first = next(iter(reader), None)
    if first is None or first.num_rows == 0:
        raise DataError(f"{path}: the file has a header line and no rows")
    return names

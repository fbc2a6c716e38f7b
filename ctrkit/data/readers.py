"""One file at a time, streamed as polars frames: text, parquet, Arrow, and remote addresses.

Columns of text files are all text: ids never pass through a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ctrkit.errors import DataError

Format = Literal["text", "parquet", "arrow"]

SUFFIXES: dict[str, Format] = {
    ".csv": "text",
    ".tsv": "text",
    ".txt": "text",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
COMPRESSED = (".gz", ".zst")
SEPARATORS = (",", "\t", ";", "|")
_BLOCK = 8 << 20
_HEAD = 1 << 17  # a look at the first lines
_BATCH = 65_536
_GROUP_ROWS = 4 * _BATCH  # a row group up to this is read whole


@dataclass(frozen=True)
class ReadOptions:
    """How text files are read.

    Attributes:
        text_encoding: Character encoding.
        separator: One character; None: told from the name (.tsv, .txt: tab) or the first line.
        header: Whether the first line names the columns.
        columns: Names of the columns of files without a header line.
    """

    text_encoding: str = "utf-8"
    separator: str | None = None
    header: bool = True
    columns: tuple[str, ...] | None = None


def is_remote(path: str) -> bool:
    """Whether a path is an address such as ``s3://`` or ``https://``."""
    return re.match(r"[a-z][a-z0-9+.-]+://", path) is not None


def plain_suffix(path: str) -> str:
    """Return the lower-case suffix, ``.csv`` of ``a.csv.gz`` too."""
    pure = PurePath(path.split("?")[0].lower())
    return PurePath(pure.stem).suffix if pure.suffix in COMPRESSED else pure.suffix


def format_of(path: str) -> Format:
    """Tell a file's format from its suffix, else from its first bytes; else it is text."""
    known = SUFFIXES.get(plain_suffix(path))
    if known is not None or is_remote(path):
        return known or "text"
    with _told(path), open(path, "rb") as file:
        start = file.read(6)
    return "parquet" if start[:4] == b"PAR1" else "arrow" if start == b"ARROW1" else "text"


def read_columns(path: str, kind: Format, options: ReadOptions) -> dict[str, pl.DataType]:
    """Return name -> type of a file's columns.

    Raises:
        DataError: The file is unreadable, holds no rows or no columns, or repeats a name.
    """
    if is_remote(path):
        with _told(path):
            return dict(_scan(path, kind, options).collect_schema())
    if kind == "text":
        names = _text_names(path, options)
        return dict.fromkeys(names, pl.String())
    with _told(path):
        if kind == "parquet":
            with pq.ParquetFile(path, pre_buffer=False) as file:
                schema = file.schema_arrow
        else:
            schema = _open_arrow(path).schema
        _unique(path, schema.names)
        return dict(_frame(pa.Table.from_batches([], schema)).schema)


def read_frames(
    path: str, kind: Format, options: ReadOptions, columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Stream a file's rows, in order, in frames of any size; memory does not grow with rows.

    Raises:
        DataError: A row or the file is malformed; names file and row.
    """
    wanted = list(columns)
    with _told(path):
        if is_remote(path):
            lazy = _scan(path, kind, options).select(wanted)
            yield from lazy.collect_batches(chunk_size=_BATCH, maintain_order=True)
        elif kind == "text":
            yield from _text_frames(path, options, wanted)
        elif kind == "parquet":
            yield from _parquet_frames(path, wanted)
        else:
            yield from (_frame(batch).select(wanted) for batch in _arrow_batches(path, wanted))


def _frame(data: pa.Table | pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(data)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _unique(path: str, names: Sequence[str]) -> None:
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise DataError(f"{path}: the column name {twice[0]!r} occurs twice; rename one")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn a library's error into one line that names the file."""
    try:
        yield
    except DataError:
        raise
    except (pa.ArrowException, OSError, pl.exceptions.PolarsError, UnicodeError) as error:
        raise DataError(f"{path}: {_explain(error)}") from error


def _explain(error: Exception) -> str:
    text = " ".join(str(error).split())
    ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", text)
    if ragged:
        row, expected, got = ragged.groups()
        return f"line {row} has {got} columns where {expected} are expected"
    if "UTF8" in text or isinstance(error, UnicodeError):
        return (
            "the text is not in the declared encoding (utf-8 by default); "
            "try --set data.text_encoding=latin-1"
        )
    if "Empty CSV" in text:
        return "the file is empty"
    return f"cannot be read: {text[:200]}"


# --- text ---------------------------------------------------------------------------------------


def _separator(path: str, options: ReadOptions) -> str:
    if options.separator is not None:
        if len(options.separator) != 1:
            raise DataError(f"a separator is one character; got {options.separator!r}")
        return options.separator
    if plain_suffix(path) in (".tsv", ".txt"):
        return "\t"
    if is_remote(path):
        return ","
    with pa.input_stream(path, compression="detect") as stream:
        head = stream.read(1 << 16).decode(options.text_encoding, errors="replace")
    line = re.sub(r'"[^"]*"', "", head).split("\n", 1)[0]
    return max(SEPARATORS, key=line.count)


def _check_options(options: ReadOptions) -> None:
    try:
        "".encode(options.text_encoding)
    except LookupError as error:
        raise DataError(f"unknown data.text_encoding {options.text_encoding!r}") from error
    if not options.header and options.columns is None:
        raise DataError("text without a header line needs names: give `columns` in schema.toml")


def _text_frames(path: str, options: ReadOptions, wanted: list[str]) -> Iterator[pl.DataFrame]:
    names = _text_names(path, options)
    try:
        with _open_text(path, options, names, wanted, threads=True) as reader:
            yield from (_frame(batch) for batch in reader)
    except pa.ArrowInvalid:
        with _open_text(path, options, names, wanted) as reader:
            for _ in reader:  # raises again, and a single thread knows the row
                pass
        raise


def _open_text(
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


def _text_names(path: str, options: ReadOptions) -> list[str]:
    _check_options(options)
    try:
        return _head_names(path, options, _HEAD)
    except pa.ArrowException:  # a longer line, or a malformed one: the whole block tells
        with _told(path):
            return _head_names(path, options, _BLOCK)


def _head_names(path: str, options: ReadOptions, block: int) -> list[str]:
    with _open_text(path, options, None, None, block=block) as reader:
        names = list(reader.schema.names)
        _unique(path, names)
        first = next(iter(reader), None)
    if first is None or first.num_rows == 0:
        raise DataError(f"{path}: the file has a header line and no rows")
    return names


# --- parquet ------------------------------------------------------------------------------------


def _parquet_frames(path: str, wanted: list[str]) -> Iterator[pl.DataFrame]:
    """Read row groups by polars, three times the speed of pyarrow; large ones in pieces."""
    lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(wanted)
    with pq.ParquetFile(path, pre_buffer=False) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        types = _frame(pa.Table.from_batches([], file.schema_arrow)).select(wanted).schema
        if max(sizes, default=0) > _GROUP_ROWS or lazy.collect_schema() != types:
            batches = file.iter_batches(_BATCH, columns=wanted, use_threads=False)
            yield from (_frame(batch).select(wanted) for batch in batches)
            return
    start = rows = 0
    for index, size in enumerate(sizes):
        rows += size
        if rows >= _BATCH or index == len(sizes) - 1:
            yield lazy.slice(start, rows).collect()
            start, rows = start + rows, 0


# --- Arrow and remote addresses -----------------------------------------------------------------


def _open_arrow(path: str) -> pa.RecordBatchFileReader | pa.RecordBatchStreamReader:
    mapped = pa.memory_map(path)
    if bytes(mapped.read_at(6, 0)) == b"ARROW1":
        return pa.ipc.open_file(mapped)
    return pa.ipc.open_stream(mapped)


def _arrow_batches(path: str, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    reader = _open_arrow(path)
    if isinstance(reader, pa.RecordBatchFileReader):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index).select(wanted)
    else:
        for batch in reader:
            yield batch.select(wanted)


def _scan(path: str, kind: Format, options: ReadOptions) -> pl.LazyFrame:
    if kind == "parquet":
        return pl.scan_parquet(path)
    if kind == "arrow":
        return pl.scan_ipc(path)
    _check_options(options)
    return pl.scan_csv(
        path,
        separator=_separator(path, options),
        has_header=options.columns is None,
        new_columns=list(options.columns) if options.columns else None,
        infer_schema=False,
        empty_string_is_null=True,
    )

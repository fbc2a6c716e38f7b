"""One file at a time, streamed as polars frames: text, parquet, Arrow, and remote addresses.

Columns of text files are all text: ids are never converted to numbers. Polars reads parquet; the
modules that need pyarrow (:mod:`~ctrkit.data.read.text`, :mod:`~ctrkit.data.read.arrow`) are
imported when a file needs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import polars as pl
import polars.selectors as cs

from ctrkit.data.read.errors import check_unique, reading_errors
from ctrkit.data.read.options import ReadOptions, check_options, is_remote, plain_suffix

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
_BATCH = 65_536  # rows that are read at a time, at least
_MOST_ROWS = 1 << 20  # rows that are read at a time, at most
_CELLS = 2_600_000  # rows x columns that are read at a time
_FEW_CELLS = 10_000_000  # a file with no more cells and rows than these is read at once
_FEW_ROWS = 1 << 18


def format_of(path: str) -> Format:
    """Return a file's format by its suffix, else by its first bytes, else text.

    Raises:
        DataError: The file cannot be read.
    """
    by_suffix = SUFFIXES.get(plain_suffix(path))
    if by_suffix is not None or is_remote(path):
        return by_suffix or "text"
    with reading_errors(path), open(path, "rb") as file:
        start = file.read(6)
    return "parquet" if start[:4] == b"PAR1" else "arrow" if start == b"ARROW1" else "text"


_REPEATED = re.compile("_duplicated_[0-9]+$")  # what polars adds to a name that occurs again


def read_columns(
    path: str, kind: Format, options: ReadOptions
) -> tuple[dict[str, pl.DataType], dict[str, str]]:
    """Return name -> type of a file's columns, and of those that cannot be read.

    Raises:
        DataError: The file cannot be read, has no rows or no columns, or repeats a name.
    """
    if is_remote(path):
        with reading_errors(path):
            columns = dict(_scan(path, kind, options).collect_schema())
        check_unique(
            path, [_REPEATED.sub("", name) if kind == "text" else name for name in columns]
        )
        return columns, {}
    if kind == "text":
        from ctrkit.data.read import text

        return dict.fromkeys(text.read_names(path, options), pl.String()), {}
    if kind == "arrow":
        from ctrkit.data.read import arrow

        return arrow.read_columns(path)
    with reading_errors(path):
        columns = dict(_scan_parquet(path).collect_schema())
    odd = {name: str(dtype) for name, dtype in columns.items() if not _readable(dtype)}
    return {name: dtype for name, dtype in columns.items() if name not in odd}, odd


def _readable(dtype: pl.DataType) -> bool:
    """Return whether polars reads the values of a type that it names."""
    if isinstance(dtype, pl.Decimal):
        return dtype.precision <= pl.Decimal().precision
    if isinstance(dtype, pl.Array):
        return 0 not in dtype.shape
    return True


def read_frames(
    path: str, kind: Format, options: ReadOptions, columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Stream a file's rows, in order, in frames of any size; memory does not grow with rows.

    Raises:
        DataError: The file cannot be read, or a row is malformed; names file and row.
    """
    names = list(columns)
    with reading_errors(path):
        if is_remote(path):
            lazy = _scan(path, kind, options).select(cs.by_name(*names))
            yield from lazy.collect_batches(chunk_size=_BATCH, maintain_order=True)
        elif kind == "text":
            from ctrkit.data.read import text

            yield from text.read_frames(path, options, names)
        elif kind == "parquet":
            yield from _parquet_frames(path, names)
        else:
            from ctrkit.data.read import arrow

            yield from arrow.read_frames(path, names)


def _scan_parquet(path: str) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _parquet_frames(path: str, columns: list[str]) -> Iterator[pl.DataFrame]:
    """Yield slices that may end within a row group: memory is that of a slice."""
    lazy = _scan_parquet(path).select(cs.by_name(*columns))
    total = int(lazy.select(pl.len()).collect().item())
    few = total * len(columns) <= _FEW_CELLS and total <= _FEW_ROWS
    rows = total if few else min(_MOST_ROWS, max(_BATCH, _CELLS // len(columns)))
    yield from (lazy.slice(start, rows).collect() for start in range(0, total, max(rows, 1)))


def _scan(path: str, kind: Format, options: ReadOptions) -> pl.LazyFrame:
    if kind == "parquet":
        return pl.scan_parquet(path)
    if kind == "arrow":
        return pl.scan_ipc(path)
    check_options(options)
    return pl.scan_csv(
        path,
        separator=options.separator or ("\t" if plain_suffix(path) in (".tsv", ".txt") else ","),
        has_header=options.columns is None,
        new_columns=list(options.columns) if options.columns else None,
        infer_schema=False,
        empty_string_is_null=True,
    )

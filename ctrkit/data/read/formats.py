"""One file at a time, streamed as polars frames: text, parquet, Arrow, and remote addresses.

Columns of text files are all text: ids never pass through a number. Parquet is read by polars;
the files that use pyarrow (:mod:`~ctrkit.data.read.text`, :mod:`~ctrkit.data.read.arrow`) are
imported when a file needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import polars as pl

from ctrkit.data.read.errors import told
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
_BATCH = 65_536
_MOST_ROWS = 1 << 20
_CELLS = 2_600_000  # rows x columns that are read at a time
_FEW_CELLS = 10_000_000  # a file of no more is read whole, if it is no longer than
_FEW_ROWS = 1 << 18


def format_of(path: str) -> Format:
    """Tell a file's format from its suffix, else from its first bytes; else it is text."""
    known = SUFFIXES.get(plain_suffix(path))
    if known is not None or is_remote(path):
        return known or "text"
    with told(path), open(path, "rb") as file:
        start = file.read(6)
    return "parquet" if start[:4] == b"PAR1" else "arrow" if start == b"ARROW1" else "text"


def read_columns(path: str, kind: Format, options: ReadOptions) -> dict[str, pl.DataType]:
    """Return name -> type of a file's columns.

    Raises:
        DataError: The file is unreadable, holds no rows or no columns, or repeats a name.
    """
    if is_remote(path):
        with told(path):
            return dict(_scan(path, kind, options).collect_schema())
    if kind == "text":
        from ctrkit.data.read import text

        return dict.fromkeys(text.names_of(path, options), pl.String())
    if kind == "arrow":
        from ctrkit.data.read import arrow

        return arrow.columns_of(path)
    with told(path):
        return dict(_scan_parquet(path).collect_schema())


def read_frames(
    path: str, kind: Format, options: ReadOptions, columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Stream a file's rows, in order, in frames of any size; memory does not grow with rows.

    Raises:
        DataError: A row or the file is malformed; names file and row.
    """
    wanted = list(columns)
    with told(path):
        if is_remote(path):
            lazy = _scan(path, kind, options).select(wanted)
            yield from lazy.collect_batches(chunk_size=_BATCH, maintain_order=True)
        elif kind == "text":
            from ctrkit.data.read import text

            yield from text.frames_of(path, options, wanted)
        elif kind == "parquet":
            yield from _parquet_frames(path, wanted)
        else:
            from ctrkit.data.read import arrow

            yield from arrow.frames_of(path, wanted)


def _scan_parquet(path: str) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _parquet_frames(path: str, wanted: list[str]) -> Iterator[pl.DataFrame]:
    """Read slices that may end within a row group: memory is that of a slice."""
    lazy = _scan_parquet(path).select(wanted)
    total = int(lazy.select(pl.len()).collect().item())
    few = total * len(wanted) <= _FEW_CELLS and total <= _FEW_ROWS
    rows = total if few else min(_MOST_ROWS, max(_BATCH, _CELLS // len(wanted)))
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

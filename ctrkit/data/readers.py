"""One file at a time, streamed as polars frames: text, parquet, Arrow, and remote addresses.

Columns of text files are all text: ids never pass through a number. Parquet is read by polars;
the pyarrow rooms (:mod:`~ctrkit.data.text`, :mod:`~ctrkit.data.arrow`) are opened for the files
that need them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import polars as pl

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
_BATCH = 65_536
_MOST_ROWS = 1 << 20
_CELLS = 2_600_000  # rows x columns that are read at a time
_FEW_CELLS = 10_000_000  # a file of no more is read whole, if it is no longer than
_FEW_ROWS = 1 << 18


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
        from ctrkit.data import text

        return dict.fromkeys(text.names_of(path, options), pl.String())
    if kind == "arrow":
        from ctrkit.data import arrow

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
            from ctrkit.data import text

            yield from text.frames_of(path, options, wanted)
        elif kind == "parquet":
            yield from _parquet_frames(path, wanted)
        else:
            from ctrkit.data import arrow

            yield from arrow.frames_of(path, wanted)


def check_unique(path: str, names: Sequence[str]) -> None:
    """Refuse a file that names two columns alike."""
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice:
        raise DataError(f"{path}: the column name {twice[0]!r} occurs twice; rename one")


@contextmanager
def told(path: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn a library's error (of ``kinds`` too) into one line that names the file."""
    foreign: tuple[type[Exception], ...] = (OSError, pl.exceptions.PolarsError, UnicodeError)
    try:
        yield
    except DataError:
        raise
    except (*foreign, *kinds) as error:
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


def check_options(options: ReadOptions) -> None:
    """Refuse options that no text can be read by."""
    try:
        "".encode(options.text_encoding)
    except LookupError as error:
        raise DataError(f"unknown data.text_encoding {options.text_encoding!r}") from error
    if options.separator is not None and len(options.separator) != 1:
        raise DataError(f"a separator is one character; got {options.separator!r}")
    if not options.header and options.columns is None:
        raise DataError("text without a header line needs names: give `columns` in schema.toml")


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

"""What the recipes share: arguments, one-line errors, streaming text, a folder renamed in whole.

A recipe is a script beside its ``schema.toml``; it puts this folder on the path and imports
``recipe``. There is no ``__init__.py`` here: ``datasets`` must not shadow a package of that name.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ctrkit.errors import CtrkitError, DataError

ROW_GROUP = 131_072
BLOCK = 1 << 21
"""Bytes that are parsed at a time; Arrow reads some thirty blocks ahead."""
PART = 4_194_304
"""Rows of a part: an input that is larger becomes data-00000.parquet, data-00001.parquet, ..."""


UNREADABLE = (pa.ArrowException, zipfile.BadZipFile, zlib.error, EOFError, OSError)
"""What reading a damaged or missing file raises."""


@dataclass(frozen=True)
class Arguments:
    """What every recipe is called with."""

    source: Path | None
    out: Path
    force: bool
    full: bool


@dataclass
class Written:
    """What a recipe wrote."""

    rows: int = 0
    positives: int = 0


def run(
    doc: str | None,
    prepare: Callable[[Arguments], Written],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse arguments, prepare, say what was written; a user's mistake is one line and code 2."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--source", type=Path, help="the file or folder to read")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--force", action="store_true", help="replace the data set that is there")
    parser.add_argument("--full", action="store_true", help="refuse a sample: all rows or none")
    arguments = Arguments(**vars(parser.parse_args(argv)))
    try:
        written = prepare(arguments)
    except (CtrkitError, *UNREADABLE) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    rate = written.positives / written.rows
    print(f"wrote {arguments.out}: {written.rows:,} rows, {100 * rate:.2f} % positive")
    return 0


def find_file(source: Path, patterns: Sequence[str]) -> Path:
    """Return the file itself, or the first file in the folder that one of the patterns names.

    Raises:
        DataError: There is none.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        raise DataError(f"no file or folder {str(source)!r}: point --source at the data")
    for pattern in patterns:
        for path in sorted(source.glob(pattern)):
            return path
    raise DataError(f"{str(source)!r} holds none of {', '.join(patterns)}")


def read_text(
    path: Path, types: Mapping[str, pa.DataType], *, separator: str, header: bool
) -> Iterator[pa.RecordBatch]:
    """Read a text file (also ``.gz``) in batches of some megabytes; an empty cell is null.

    Args:
        path: The file.
        types: The columns in order; ids are strings, so that none passes through a number.
        separator: One character.
        header: Whether the first line holds the names; they must be these.

    Raises:
        DataError: Another header, a ragged line, or a cell of another type.
    """
    if header:
        check_header(path, list(types), separator)
    read = pyarrow.csv.ReadOptions(
        column_names=list(types), skip_rows=int(header), use_threads=False, block_size=BLOCK
    )
    parse = pyarrow.csv.ParseOptions(delimiter=separator, quote_char=False)
    convert = pyarrow.csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True
    )
    try:
        yield from pyarrow.csv.open_csv(path, read, parse, convert)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: {error}") from error


def check_header(path: Path, names: Sequence[str], separator: str) -> None:
    """Compare the first line with the names.

    Raises:
        DataError: They differ.
    """
    with pa.input_stream(str(path)) as stream:
        first = stream.read(65_536).split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if first.split(separator) != list(names):
        raise DataError(
            f"{path} is not the expected file: its first line starts {first[:60]!r}, "
            f"not {separator.join(names)[:60]!r}"
        )


def check_rows(path: Path, rows: int, expected: int, *, full: bool) -> None:
    """Say that the file is a sample; with ``--full``, refuse it.

    Raises:
        DataError: ``full`` is asked for, and rows are missing (or there are too many).
    """
    if rows == expected:
        return
    if full:
        raise DataError(f"{path} holds {rows:,} rows; the full data set has {expected:,}")
    print(f"note: {path} holds {rows:,} rows; the full data set has {expected:,}", file=sys.stderr)


@contextmanager
def data_folder(out: Path, schema: Path, *, force: bool) -> Iterator[Path]:
    """Give a new folder to write into; on success it becomes ``out``, with the schema.

    Raises:
        DataError: ``out`` is taken: by anything without ``force``, by no data set with it.
    """
    check_free(out, force=force)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside, old = (out.parent / f".{out.name}.{name}" for name in ("new", "old"))
    for leftover in (beside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        shutil.copyfile(schema, beside / "schema.toml")
        if out.exists():
            out.rename(old)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_free(out: Path, *, force: bool) -> None:
    """Refuse a folder that holds something; ``force`` replaces a data set, never other files.

    Raises:
        DataError: The folder is taken.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{str(out)!r} is a file: name a folder")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if names and not force:
        raise DataError(f"{str(out)!r} is not empty: name another folder, or replace with --force")
    foreign = sorted(n for n in names if n != "schema.toml" and not _is_part(n))
    if foreign:
        raise DataError(f"{str(out)!r} holds {foreign[0]!r}, so it is no data set to replace")


def _is_part(name: str) -> bool:
    return name.startswith("data") and name.endswith(".parquet")


def write_parts(batches: Iterable[pa.RecordBatch], folder: Path, part: int = PART) -> Written:
    """Write batches as ``data.parquet``, or as parts of ``part`` rows; memory stays flat.

    Raises:
        DataError: There is no row, or ``label`` is not 0 or 1 everywhere.
    """
    written, in_part, writer = Written(), 0, None
    paths: list[Path] = []
    try:
        for batch in regroup(batches, ROW_GROUP):
            written.positives += _positives(batch["label"], written.rows)
            while batch.num_rows:
                if writer is None:
                    paths.append(folder / f"data-{len(paths):05d}.parquet")
                    writer = pq.ParquetWriter(paths[-1], batch.schema, compression="zstd")
                piece, batch = batch[: part - in_part], batch[part - in_part :]
                writer.write_table(pa.Table.from_batches([piece]), row_group_size=ROW_GROUP * 2)
                in_part, written.rows = in_part + len(piece), written.rows + len(piece)
                if in_part == part:
                    writer.close()
                    writer, in_part = None, 0
    finally:
        if writer is not None:
            writer.close()
    if not written.rows:
        raise DataError("the source holds no rows")
    if len(paths) == 1:
        paths[0].rename(folder / "data.parquet")
    return written


def regroup(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Join batches until they hold at least so many rows: small row groups read slowly."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows:
            yield pa.concat_batches(held)
            held = []
    if held:
        yield pa.concat_batches(held)


def _positives(label: pa.Array, before: int) -> int:
    ok = pc.fill_null(pc.is_in(label, pa.array([0, 1], label.type)), False)
    if not pc.all(ok, min_count=0).as_py():
        row = ok.to_pylist().index(False)
        raise DataError(f"row {before + row + 1}: the label is 0 or 1; got {label[row].as_py()!r}")
    return int(pc.sum(label, min_count=0).as_py())

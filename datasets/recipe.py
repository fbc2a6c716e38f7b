"""What the recipes share: arguments, one-line errors, streamed text, a data set written whole.

A recipe is a script in the folder of its ``schema.toml``; it puts this folder on the path and
imports ``recipe``. There is no ``__init__.py`` here: ``datasets`` must not shadow a package of that
name.
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
from ctrkit.files import atomic_folder

ROW_GROUP = 131_072
BLOCK = 1 << 21
"""Bytes to parse at a time; Arrow reads about thirty blocks ahead."""
PART = 4_194_304
"""Rows of a part: a larger input becomes data-00000.parquet, data-00001.parquet, ..."""
UNREADABLE = (pa.ArrowException, zipfile.BadZipFile, zlib.error, EOFError, OSError)
"""Errors of reading a damaged or missing file."""


@dataclass(frozen=True)
class Arguments:
    """Arguments of every recipe.

    Attributes:
        source: File or folder to read; None: the recipe's download.
        out: Folder to write.
        force: Whether to overwrite a data set in ``out``.
        full: Whether to refuse a source that lacks rows.
    """

    source: Path | None
    out: Path
    force: bool
    full: bool


@dataclass
class Written:
    """Numbers of the rows that a recipe wrote."""

    rows: int = 0
    positives: int = 0


def run(
    doc: str | None,
    prepare: Callable[[Arguments], Written],
    argv: Sequence[str] | None = None,
) -> int:
    """Parse the arguments, prepare, print what was written; return the exit code.

    User errors print one line and return 2.

    Args:
        doc: Docstring of the recipe; its first line is the help text.
        prepare: Writes the data set.
        argv: Arguments; None: those of the process.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--source", type=Path, help="the file or folder to read")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--force", action="store_true", help="overwrite the data set in the folder")
    parser.add_argument(
        "--full", action="store_true", help="fail if the source lacks rows of the full data set"
    )
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
    """Return the file itself, or the first file in the folder that matches a pattern.

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
    raise DataError(f"{str(source)!r} has none of {', '.join(patterns)}")


def read_text(
    path: Path, types: Mapping[str, pa.DataType], *, separator: str, header: bool
) -> Iterator[pa.RecordBatch]:
    """Read a text file (also ``.gz``) in batches of some megabytes; an empty cell is null.

    Args:
        path: The file.
        types: Name -> type of the columns, in order; ids are strings, never numbers.
        separator: One character.
        header: Whether the first line is a header row; it must have these names.

    Raises:
        DataError: The header row differs, a line is ragged, or a cell has another type.
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
    """Refuse a file whose header row has other names.

    Raises:
        DataError: They differ.
    """
    with pa.input_stream(str(path)) as stream:
        first = stream.read(65_536).split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    if first.split(separator) != list(names):
        raise DataError(
            f"{path} is not the expected file: expected a header row that starts with "
            f"{separator.join(names)[:60]!r}, got {first[:60]!r}"
        )


def check_rows(path: Path, rows: int, expected: int, *, full: bool) -> None:
    """Print a note where the number of rows is not that of the full data set.

    Raises:
        DataError: The number differs, and ``full`` is set.
    """
    if rows == expected:
        return
    if full:
        raise DataError(f"{path} has {rows:,} rows; the full data set has {expected:,}")
    print(f"note: {path} has {rows:,} rows; the full data set has {expected:,}", file=sys.stderr)


@contextmanager
def data_folder(out: Path, schema: Path, *, force: bool) -> Iterator[Path]:
    """Give an empty folder to write to; on success it becomes ``out``, with the schema.

    Raises:
        DataError: ``out`` is not empty and ``force`` is not set, or it is not a data set.
    """
    check_free(out, force=force)
    with atomic_folder(out) as folder:
        yield folder
        shutil.copyfile(schema, folder / "schema.toml")


def check_free(out: Path, *, force: bool) -> None:
    """Refuse a folder that is not empty; ``force`` allows to overwrite a data set only.

    Raises:
        DataError: The folder must not be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{str(out)!r} is a file: name a folder")
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    if names and not force:
        raise DataError(
            f"{str(out)!r} is not empty: name another folder, or overwrite with --force"
        )
    foreign = sorted(n for n in names if n != "schema.toml" and not _is_part(n))
    if foreign:
        raise DataError(
            f"{str(out)!r} is not a data set, so it is not overwritten: it has {foreign[0]!r}; "
            "name another folder"
        )


def _is_part(name: str) -> bool:
    return name.startswith("data") and name.endswith(".parquet")


def write_parts(batches: Iterable[pa.RecordBatch], folder: Path, part: int = PART) -> Written:
    """Write batches as ``data.parquet``, or as parts of ``part`` rows, in flat memory.

    Raises:
        DataError: There is no row, or a ``label`` is neither 0 nor 1.
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
        raise DataError("the source has no rows")
    if len(paths) == 1:
        paths[0].rename(folder / "data.parquet")
    return written


def regroup(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Join batches to at least ``rows`` rows each: small row groups are slow to read."""
    pending: list[pa.RecordBatch] = []
    for batch in batches:
        pending.append(batch)
        if sum(map(len, pending)) >= rows:
            yield pa.concat_batches(pending)
            pending = []
    if pending:
        yield pa.concat_batches(pending)


def _positives(label: pa.Array, before: int) -> int:
    ok = pc.fill_null(pc.is_in(label, pa.array([0, 1], label.type)), False)
    if not pc.all(ok, min_count=0).as_py():
        row = ok.to_pylist().index(False)
        raise DataError(
            f"row {before + row + 1}: the label must be 0 or 1; got {label[row].as_py()!r}"
        )
    return int(pc.sum(label, min_count=0).as_py())

"""Raw rows from files, folders, addresses and memory, streamed in chunks of a fixed size."""

from __future__ import annotations

import glob
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl

from ctrkit.data.read.formats import SUFFIXES, Format, format_of, read_columns, read_frames
from ctrkit.data.read.memory import to_polars
from ctrkit.data.read.options import ReadOptions, is_remote, plain_suffix
from ctrkit.errors import DataError, nearest

__all__ = ["Chunk", "ReadOptions", "Source", "frame_source", "open_source", "to_polars"]
CHUNK_ROWS = 131_072
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


class Chunk(NamedTuple):
    """Consecutive rows of one file.

    Attributes:
        frame: The rows.
        file: Ordinal of the file in the source.
        first_row: Row number, within the file, of the frame's first row.
    """

    frame: pl.DataFrame
    file: int
    first_row: int


@dataclass(frozen=True)
class _Part:
    """One file with its partition values; ``columns`` are the file's own."""

    path: str
    kind: Format
    columns: Mapping[str, pl.DataType]
    hive: Mapping[str, str | None]


@dataclass(frozen=True)
class Source:
    """A list of files, or one frame in memory, read as raw rows. Memory stays flat.

    Attributes:
        files: Paths in reading order; ``("memory",)`` for a frame.
        columns: Name -> type; columns of text files are all text.
    """

    files: tuple[str, ...]
    columns: dict[str, pl.DataType]
    options: ReadOptions = field(default_factory=ReadOptions)
    parts: tuple[_Part, ...] = field(default=(), repr=False)
    memory: pl.DataFrame | None = field(default=None, repr=False)
    held: tuple[pl.DataFrame, ...] = field(default=(), repr=False)

    def hold(self, limit: int = 192_000_000) -> Source:
        """Return the source with its rows kept in memory, where they are few: read once.

        Args:
            limit: Most bytes in memory; larger sources are streamed at each pass, as are remote
                ones.
        """
        if not self.parts or any(is_remote(f) for f in self.files):
            return self
        grown = {"text": 1, "arrow": 1, "parquet": 4}  # bytes in memory, at least, per byte of file
        size = sum(os.path.getsize(p.path) * grown[p.kind] for p in self.parts)
        if size > limit:
            return self
        found, size = [], 0  # what is there by now
        for ordinal in range(len(self.files)):
            frames = []
            for frame in self._frames(ordinal, list(self.columns)):
                frames.append(frame)
                size += int(frame.estimated_size()) + 16 * frame.height * frame.width  # views
                if size > limit:
                    return self
            found.append(pl.concat(frames) if frames else pl.DataFrame(schema=self.columns))
        return replace(self, held=tuple(found))

    def chunks(
        self, columns: Sequence[str] | None = None, rows: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows in order; every chunk of a file but its last has exactly ``rows`` rows.

        Args:
            columns: At least one name; None means all.
            rows: Rows of a chunk.

        Raises:
            DataError: A column is unknown or a file is malformed.
        """
        wanted = list(self.columns) if columns is None else list(dict.fromkeys(columns))
        assert wanted, "at least one column"
        for name in wanted:
            if name not in self.columns:
                raise DataError(f"the data has no column {name!r}{nearest(name, self.columns)}")
        for ordinal in range(len(self.files)):
            yield from self.file_chunks(ordinal, wanted, rows)

    def file_chunks(
        self, ordinal: int, columns: Sequence[str] | None = None, rows: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows of one file, see :meth:`chunks`."""
        first = 0
        for frame in _rechunk(self._frames(ordinal, list(columns or self.columns)), rows):
            yield Chunk(frame, ordinal, first)
            first += frame.height

    def file_frames(
        self, ordinal: int, columns: Sequence[str] | None = None, rows: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows of one file as they were read, uncopied, at least ``rows`` at a time."""
        first, held, size = 0, [], 0
        for frame in self._frames(ordinal, list(columns or self.columns)):
            held.append(frame)
            size += frame.height
            del frame  # nothing read stays here while more is read
            if size >= rows:
                whole = [Chunk(pl.concat(held), ordinal, first)]
                first, held, size = first + size, [], 0
                yield whole.pop()
        if size:
            yield Chunk(pl.concat(held), ordinal, first)

    def _frames(self, ordinal: int, wanted: list[str]) -> Iterator[pl.DataFrame]:
        if self.memory is not None:
            yield self.memory.select(wanted)
            return
        if self.held:
            yield self.held[ordinal].select(wanted)
            return
        part = self.parts[ordinal]
        own = [n for n in wanted if n not in part.hive]
        casts = [pl.col(n).cast(self.columns[n]) for n in own if self.columns[n] != part.columns[n]]
        extra = [pl.lit(v, dtype=pl.String).alias(n) for n, v in part.hive.items() if n in wanted]
        read = own or list(part.columns)[:1]  # some column must carry the number of rows
        frames = read_frames(part.path, part.kind, self.options, read)
        yield from (frame.with_columns(*casts, *extra).select(wanted) for frame in frames)

    def fingerprint(self) -> str:
        """Return a sha256 over paths, sizes, times and columns (in memory: of the content)."""
        digest = hashlib.sha256()
        described = {n: str(t) for n, t in self.columns.items()}
        digest.update(json.dumps([described, repr(self.options)]).encode())
        if self.memory is not None:
            for chunk in self.chunks():
                buffer = io.BytesIO()
                chunk.frame.rechunk().write_ipc(buffer)
                digest.update(buffer.getbuffer())
            return digest.hexdigest()
        for path in self.files:
            state = None if is_remote(path) else os.stat(path)
            known = [os.path.abspath(path), state.st_size, state.st_mtime_ns] if state else [path]
            digest.update(json.dumps(known).encode())
        return digest.hexdigest()

    def likeness(self) -> str:
        """Return a sha256 that copies of the same files share on other machines.

        It is over file names and sizes, and columns; folders and times are left out.
        """
        if self.memory is not None:
            return self.fingerprint()
        described = {n: str(t) for n, t in self.columns.items()}
        files = [
            [path, 0] if is_remote(path) else [os.path.basename(path), os.stat(path).st_size]
            for path in self.files
        ]
        text = json.dumps([described, repr(self.options), files])
        return hashlib.sha256(text.encode()).hexdigest()


def _rechunk(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut and join frames to exactly ``rows`` rows; the last may be shorter."""
    held: list[pl.DataFrame] = []
    size = 0
    for frame in frames:
        while frame.height:
            take = min(rows - size, frame.height)
            held.append(frame.head(take))
            frame = frame.slice(take)
            size += take
            if size == rows:
                yield pl.concat(held, rechunk=True)
                held, size = [], 0
    if held:
        yield pl.concat(held, rechunk=True)


def open_source(path: str | Path, options: ReadOptions = ReadOptions()) -> Source:  # noqa: B008
    """Open a file, a glob, a folder (hive partitions become text columns) or an address.

    Args:
        path: Text (csv, tsv, txt, also .gz and .zst), parquet, Arrow; hidden files and those that
            start with ``_`` are passed over in folders.
        options: How text is read.

    Raises:
        DataError: Nothing is there, a file is unreadable, or files disagree about a column.
    """
    text = str(path)
    files, root = _find(text)
    kinds = {f: format_of(f) for f in files}
    if len(set(kinds.values())) > 1:
        one, other = _two_kinds(kinds)
        raise DataError(f"{text} mixes formats: {one} and {other}; name them by a glob")
    parts = []
    for file in files:
        hive = {} if root is None else _hive(file, root)
        found = read_columns(file, kinds[file], options)
        own = {n: t for n, t in found.items() if n not in hive}
        parts.append(_Part(file, kinds[file], own, hive))
    return Source(tuple(files), _merge(parts), options, tuple(parts))


def _two_kinds(kinds: Mapping[str, Format]) -> tuple[str, str]:
    one = next(iter(kinds))
    return one, next(f for f in kinds if kinds[f] != kinds[one])


def _find(text: str) -> tuple[list[str], Path | None]:
    """Return the files of a path, and the folder below which partitions are read."""
    if is_remote(text):
        return [text], None
    path = Path(text).expanduser()
    if path.is_file():
        return [str(path)], None
    if path.is_dir():
        files = _dataset_files(path) or sorted(
            str(f)
            for f in path.rglob("*")
            if _visible(f, path) and plain_suffix(f.name) in SUFFIXES
        )
        if not files:
            raise DataError(f"folder {text!r} holds no {', '.join(SUFFIXES)} file")
        return files, path
    if glob.has_magic(text):
        files = sorted(f for f in glob.glob(str(path), recursive=True) if os.path.isfile(f))
        fixed = path.parts[: next(_magic(path))]
        if files:
            return files, Path(*fixed)
    raise DataError(f"no such file or folder: {text!r}")


def _magic(path: Path) -> Iterator[int]:
    return (i for i, p in enumerate(path.parts) if glob.has_magic(p))


def _visible(file: Path, root: Path) -> bool:
    return file.is_file() and not any(
        p.startswith((".", "_")) for p in file.relative_to(root).parts
    )


def _dataset_files(folder: Path) -> list[str]:
    """Return the data files of a folder that holds a schema beside its data."""
    if not (folder / "schema.toml").is_file():
        return []
    whole = folder / "data.parquet"
    found = [whole] if whole.is_file() else sorted(folder.glob("data-*.parquet"))
    return [str(f) for f in found]


def _hive(file: str, root: Path) -> dict[str, str | None]:
    pairs = [p.split("=", 1) for p in Path(file).relative_to(root).parts[:-1] if "=" in p]
    return {unquote(k): None if v == _HIVE_NULL else unquote(v) for k, v in pairs}


def _merge(parts: Sequence[_Part]) -> dict[str, pl.DataType]:
    """Return the common columns of files; integers and floats may differ in width."""
    first = parts[0]
    merged = {**first.columns, **dict.fromkeys(first.hive, pl.String())}
    for part in parts[1:]:
        columns = {**part.columns, **dict.fromkeys(part.hive, pl.String())}
        for name in [*merged, *columns]:
            if name not in columns or name not in merged:
                has, lacks = (first, part) if name in merged else (part, first)
                raise DataError(f"column {name!r} is in {has.path} but not in {lacks.path}")
            wide = _wider(merged[name], columns[name])
            if wide is None:
                raise DataError(
                    f"column {name!r} is {merged[name]} in {first.path} "
                    f"but {columns[name]} in {part.path}"
                )
            merged[name] = wide
    return merged


def _wider(a: pl.DataType, b: pl.DataType) -> pl.DataType | None:
    """Return the type that holds both, within one family; None where there is none."""
    if a == b or b == pl.Null:
        return a
    if a == pl.Null:
        return b
    for family in (
        (pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()),
        (pl.UInt8(), pl.UInt16(), pl.UInt32(), pl.UInt64()),
        (pl.Float32(), pl.Float64()),
    ):
        if a in family and b in family:
            return family[max(family.index(a), family.index(b))]
    return None


def frame_source(data: object) -> Source:
    """Make a source of rows in memory; see :func:`to_polars`."""
    frame = to_polars(data)
    return Source(("memory",), dict(frame.schema), memory=frame)

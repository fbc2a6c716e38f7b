"""Raw rows from files, folders, addresses and memory, streamed in chunks of a fixed size."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.read.chunks import CHUNK_ROWS, Chunk, rechunk
from ctrkit.data.read.formats import Format, format_of, read_columns
from ctrkit.data.read.memory import to_polars
from ctrkit.data.read.options import ReadOptions, is_remote
from ctrkit.data.read.parts import FilePart, FramePart, Part, common_columns
from ctrkit.data.read.paths import find_files, partition_values
from ctrkit.data.read.version import file_version
from ctrkit.errors import CellError, DataError, nearest
from ctrkit.secrets import redact_address

logger = logging.getLogger(__name__)

_VIEW_BYTES = 16  # of a text cell, in addition to its characters


@dataclass(frozen=True)
class Source:
    """A list of files, or one frame in memory, read as raw rows in flat memory.

    Attributes:
        files: Paths in reading order; ``("memory",)`` for a frame.
        columns: Name -> type; columns of text files are all text.
        parts: What is read, one part for each file.
        options: How text files are read.
        in_memory: Whether the rows never were in a file.
    """

    files: tuple[str, ...]
    columns: dict[str, pl.DataType]
    parts: tuple[Part, ...] = field(repr=False)
    options: ReadOptions = field(default_factory=ReadOptions)
    in_memory: bool = False

    def hold(self, limit: int = 192_000_000) -> Source:
        """Return the source with its rows kept in memory, so that few rows are read once.

        Args:
            limit: Most bytes in memory; a source that is larger or remote is returned as it is.
        """
        files = [part for part in self.parts if isinstance(part, FilePart)]
        if len(files) < len(self.parts) or any(is_remote(f.path) for f in files):
            return self
        if sum(f.least_bytes for f in files) > limit:
            return self
        held, size = [], 0
        for ordinal in range(len(files)):
            frames = []
            for frame in self._frames(ordinal, list(self.columns)):
                frames.append(frame)
                size += int(frame.estimated_size()) + _VIEW_BYTES * frame.height * frame.width
                if size > limit:
                    return self
            held.append(pl.concat(frames) if frames else pl.DataFrame(schema=self.columns))
        return replace(self, parts=tuple(FramePart(frame) for frame in held))

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
        names = list(self.columns) if columns is None else list(dict.fromkeys(columns))
        assert names, "at least one column"
        for name in names:
            if name not in self.columns:
                raise DataError(f"the data has no column {name!r}{nearest(name, self.columns)}")
        for ordinal in range(len(self.files)):
            yield from self.file_chunks(ordinal, names, rows)

    def file_chunks(
        self, ordinal: int, columns: Sequence[str] | None = None, rows: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows of one file, see :meth:`chunks`."""
        first = 0
        for frame in rechunk(self._frames(ordinal, columns), rows):
            yield Chunk(frame, ordinal, first)
            first += frame.height

    def file_frames(
        self, ordinal: int, columns: Sequence[str] | None = None, rows: int = CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Yield the rows of one file as they were read, uncopied, at least ``rows`` at a time."""
        first, frames, size = 0, [], 0
        for frame in self._frames(ordinal, columns):
            frames.append(frame)
            size += frame.height
            del frame  # nothing that was read stays here while more is read
            if size >= rows:
                chunks = [Chunk(pl.concat(frames), ordinal, first)]
                first, frames, size = first + size, [], 0
                yield chunks.pop()
        if size:
            yield Chunk(pl.concat(frames), ordinal, first)

    def _frames(self, ordinal: int, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
        return self.parts[ordinal].frames(list(columns or self.columns), self.columns)

    @contextmanager
    def locating(self, chunk: Chunk, read: npt.NDArray[np.bool_] | None = None) -> Iterator[None]:
        """Name the file, and the row in it, in errors about values of a chunk.

        Args:
            chunk: Rows of this source.
            read: Which rows of the chunk are read; None: all of them.

        Raises:
            DataError: What the block raised, with its place.
        """
        try:
            yield
        except DataError as error:
            if isinstance(error, CellError):
                row = error.row if read is None else int(np.flatnonzero(read)[error.row])
                error = error.at(chunk.first_row + row)
            file = "" if self.in_memory else f"{self.files[chunk.file]}: "
            raise DataError(f"{file}{error}") from error.__cause__

    def fingerprint(self) -> str:
        """Return a sha256 over paths, sizes, times and columns (in memory: over the content)."""
        digest = hashlib.sha256()
        digest.update(json.dumps([self._type_names(), repr(self.options)]).encode())
        if self.in_memory:
            for chunk in self.chunks():
                buffer = io.BytesIO()
                chunk.frame.rechunk().write_ipc(buffer)
                digest.update(buffer.getbuffer())
            return digest.hexdigest()
        for path in self.files:
            state = None if is_remote(path) else os.stat(path)
            facts = [os.path.abspath(path), state.st_size, state.st_mtime_ns] if state else [path]
            digest.update(json.dumps(facts).encode())
        return digest.hexdigest()

    def version(self) -> str | None:
        """Return a text that differs once the rows do; None: it is not known of an address.

        With the fingerprint, it tells whether encoded rows may be used again.
        """
        if self.in_memory:
            return ""  # the fingerprint is over the content
        versions = [file_version(path) for path in self.files]
        return None if None in versions else json.dumps(versions)

    def likeness(self) -> str:
        """Return a sha256 that copies of the same files on other machines share.

        It is over file names and sizes, and columns; folders and times are left out.
        """
        if self.in_memory:
            return self.fingerprint()
        files = [
            [path, 0] if is_remote(path) else [os.path.basename(path), os.stat(path).st_size]
            for path in self.files
        ]
        text = json.dumps([self._type_names(), repr(self.options), files])
        return hashlib.sha256(text.encode()).hexdigest()

    def _type_names(self) -> dict[str, str]:
        return {name: str(dtype) for name, dtype in self.columns.items()}


def open_source(path: str | Path, options: ReadOptions = ReadOptions()) -> Source:  # noqa: B008
    """Open a file, a glob, a folder (hive partitions become text columns) or an address.

    Columns without a name are left out: the index that pandas writes, what follows a last comma.

    Args:
        path: Text (csv, tsv, txt, also .gz and .zst), parquet or Arrow. In folders, hidden files
            and those that start with ``_`` are left out.
        options: How text is read.

    Raises:
        DataError: There is no file, a file cannot be read, or files differ in their columns.
    """
    text = str(path)
    files, root = find_files(text)
    formats = {file: format_of(file) for file in files}
    _check_one_format(text, formats)
    read = {file: read_columns(file, formats[file], options) for file in files}
    odd = {name: (dtype, file) for file in files for name, dtype in read[file][1].items()}
    for name, (dtype, file) in odd.items():
        logger.warning(
            "%s: column %r is left out: its type, %s, cannot be read; cast it",
            redact_address(file),
            name,
            dtype,
        )
    parts = []
    for file in files:
        partition = partition_values(file, root)
        hidden = {"", *partition, *odd}
        own = {n: t for n, t in read[file][0].items() if n not in hidden}
        if not own and not partition:
            raise DataError(f"{file}: no column has a name; give the file a header row")
        parts.append(FilePart(file, formats[file], options, own, partition))
    return Source(tuple(files), common_columns(parts), tuple(parts), options)


def _check_one_format(text: str, formats: Mapping[str, Format]) -> None:
    first = next(iter(formats))
    other = next((f for f in formats if formats[f] != formats[first]), None)
    if other is not None:
        raise DataError(
            f"{text} must have files of one format; got {first} and {other}: "
            "name those of one format by a glob"
        )


def frame_source(data: object) -> Source:
    """Make a source of rows in memory.

    Args:
        data: A polars, pandas or pyarrow table, a list of dicts or a dict of lists.

    Raises:
        DataError: The data is none of these.
    """
    frame = to_polars(data)
    frame = frame[[name for name in frame.columns if name]]
    return Source(("memory",), dict(frame.schema), (FramePart(frame),), in_memory=True)

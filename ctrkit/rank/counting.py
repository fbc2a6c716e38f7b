"""Counting the rows of a source: one pass, in any order and on any executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.rank.controls import control_fields, plant
from ctrkit.rank.joint import JointCounts
from ctrkit.rank.rows import RowClasses
from ctrkit.schema import Schema

CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class Counting:
    """What is counted, and in which rows.

    Attributes:
        source: Rows to count.
        schema: Fields to count.
        rows: Classes of the rows.
        controls: Whether noise controls are planted.
    """

    source: Source
    schema: Schema
    rows: RowClasses
    controls: bool = False

    @property
    def fields(self) -> Schema:
        """The schema with the control columns, where they are planted."""
        extra = control_fields() if self.controls else ()
        return Schema((*self.schema.fields, *extra))

    def chunks(self, ordinal: int, names: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Yield the rows of a file with the columns that are counted, or those of ``names``."""
        fields = self.schema.names if names is None else names
        wanted = dict.fromkeys([*fields, *self.rows.columns])
        columns = [c for c in wanted if c in self.source.columns]
        for chunk in self.source.file_frames(ordinal, columns, CHUNK_ROWS):
            yield plant(chunk) if self.controls else chunk

    def all_chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        """Yield some columns of the rows of all files."""
        for ordinal in range(len(self.source.files)):
            yield from self.chunks(ordinal, names)

    def add(self, counts: JointCounts, chunk: Chunk) -> None:
        """Count a chunk."""
        counts.update(chunk.frame, self.rows.of(chunk), self.rows.weight_of(chunk))


def count_file(counting: Counting, ordinal: int) -> JointCounts:
    """Count the rows of one file."""
    counts = JointCounts(counting.fields, counting.rows.width)
    for chunk in counting.chunks(ordinal):
        counting.add(counts, chunk)
        del chunk  # before the next is read
    return counts


def count(counting: Counting, executor: Executor | None = None) -> JointCounts:
    """Count all rows, in one pass.

    Args:
        counting: What is counted.
        executor: Executor that counts the files in parallel; None: one after the other, here.
    """
    files = range(len(counting.source.files))
    counts = JointCounts(counting.fields, counting.rows.width)
    if executor is not None:
        for of_file in executor.map(partial(count_file, counting), files):
            counts = counts.merge(of_file)
        return counts
    for ordinal in files:
        for chunk in counting.chunks(ordinal):
            counting.add(counts, chunk)
            del chunk  # before the next is read
    return counts

"""Counting the rows of a source: one pass, in any order and on any executor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.sample import RowSample, RowSampler
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
        hashed: Columns that decide which rows are sampled; see :mod:`ctrkit.data.sample`.
    """

    source: Source
    schema: Schema
    rows: RowClasses
    controls: bool = False
    hashed: tuple[str, ...] = ()

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


class Counted:
    """Counts of rows, and a sample of them.

    Attributes:
        counts: Counts of (value, class of the row).
        sampler: Sample of the rows.
    """

    def __init__(self, counting: Counting) -> None:
        """Start without rows."""
        self.counting = counting
        self.counts = JointCounts(counting.fields, counting.rows.width)
        self.sampler = RowSampler(counting.hashed)

    def add_file(self, ordinal: int) -> None:
        """Count the rows of one file."""
        rows = self.counting.rows
        for chunk in self.counting.chunks(ordinal):
            with self.counting.source.locating(chunk):
                row_class = rows.of(chunk)
                self.counts.update(chunk.frame, row_class, rows.weight_of(chunk))
            period, label = np.divmod(row_class, np.uint8(rows.classes))
            self.sampler.add(chunk, period, label)
            del chunk  # before the next is read

    def merge(self, other: Counted) -> None:
        """Add the rows of another."""
        self.counts = self.counts.merge(other.counts)
        self.sampler.merge(other.sampler)

    @property
    def sample(self) -> RowSample | None:
        """The sampled rows; None: there are none."""
        return self.sampler.sample()


def count_file(counting: Counting, ordinal: int) -> Counted:
    """Count the rows of one file."""
    counted = Counted(counting)
    counted.add_file(ordinal)
    return counted


def count(counting: Counting, executor: Executor | None = None) -> Counted:
    """Count all rows, in one pass, and sample some.

    Args:
        counting: What is counted.
        executor: Executor that counts the files in parallel; None: one after the other, here.
    """
    files = range(len(counting.source.files))
    counted = Counted(counting)
    if executor is not None:
        for of_file in executor.map(partial(count_file, counting), files):
            counted.merge(of_file)
        return counted
    for ordinal in files:
        counted.add_file(ordinal)
    return counted

"""Count tables of all fields: one pass over the rows, then every feature that is scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.encode.lookup import Lookup
from ctrkit.data.encode.numeric import bucket_codes, lower_bounds, quantile_edges
from ctrkit.data.hashing import splitmix64, xxhash64
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.rank.joint import JointCounts, keys_of, tokens_of
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.rows import RowClasses
from ctrkit.schema import RESERVED, Field, Schema

CONTROL = "noise control: "
SIZES = {
    "constant": 1,
    "2 values": 2,
    "100 values": 100,
    "2,000 values": 2_000,
    "10,000 values": 10_000,
    "50,000 values": 50_000,
    "row number": None,
}
MISSING_TEXT = ("",)
CHUNK_ROWS = 65_536


def control_fields() -> tuple[Field, ...]:
    """Return the planted columns that have nothing to say: the noise that features must beat."""
    plain = [Field(CONTROL + name, "categorical") for name in SIZES]
    return (*plain, Field(CONTROL + "gaussian", "numeric"))


def plant(chunk: Chunk, seed: int = 0) -> Chunk:
    """Add the control columns to a chunk: functions of file and row number alone."""
    row = chunk.first_row + np.arange(chunk.frame.height, dtype=np.uint64)
    at = row + (np.uint64(chunk.file) << np.uint64(40))
    columns = []
    for f in control_fields():
        draw = splitmix64(at ^ np.uint64(xxhash64(f.name.encode(), seed)))
        size = SIZES.get(f.name.removeprefix(CONTROL))
        if f.kind == "numeric":
            columns.append(pl.Series(f.name, _normal(draw)))
        else:
            columns.append(pl.Series(f.name, at if size is None else draw % np.uint64(size)))
    return chunk._replace(frame=chunk.frame.with_columns(columns))


def _normal(draw: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Turn random bits to standard normal numbers (Box and Muller)."""
    uniform = ((draw >> np.uint64(11)) + np.uint64(1)) * 2.0**-53
    angle = (splitmix64(draw) >> np.uint64(11)) * (2.0**-53 * 2 * np.pi)
    normal: npt.NDArray[np.float64] = np.sqrt(-2 * np.log(uniform)) * np.cos(angle)
    return normal


@dataclass(frozen=True)
class Counting:
    """What is counted, and of which rows."""

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
        """Yield a file's rows: only the columns that are counted, or those of ``names``."""
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
        executor: Counts the files side by side and merges; None: here, one after the other.
    """
    files = range(len(counting.source.files))
    counts = JointCounts(counting.fields, counting.rows.width)
    if executor is not None:
        for part in executor.map(partial(count_file, counting), files):
            counts = counts.merge(part)
        return counts
    for ordinal in files:
        for chunk in counting.chunks(ordinal):
            counting.add(counts, chunk)
            del chunk  # before the next is read
    return counts


@dataclass(frozen=True)
class Table:
    """The counts of a feature: a row per value (per bin of a number), a column per class.

    Attributes:
        field: What is counted.
        counts: ``(n, periods, C)`` of the values that are not missing; no empty row.
        missing: ``(periods, C)`` of the rows where the value is missing.
        keys: ``(n,)`` the values' keys, in no particular order; bins have none.
        edges: Of the bins.
        token: Of a 0/1 feature, the token that it stands for.
    """

    field: Field
    counts: Ints
    missing: Ints
    keys: pl.Series | None = dataclasses.field(default=None, repr=False)
    edges: tuple[float, ...] = ()
    token: str | None = None

    @property
    def name(self) -> str:
        """The feature's name."""
        return self.field.name if self.token is None else f"{self.field.name}={self.token}"

    @cached_property
    def known(self) -> Ints:
        """``(n, C)`` of the values that are not missing, over all periods."""
        return self.counts[:, 0] if self.counts.shape[1] == 1 else self.counts.sum(axis=1)

    @property
    def sizes(self) -> Ints:
        """``(size,)`` rows of each code."""
        return over_classes(self.code_counts)

    @property
    def by_class(self) -> Ints:
        """``(n, C)`` of the values, then the missing rows where there are any."""
        known = self.known
        missing = self.missing.sum(axis=0, keepdims=True)
        return np.concatenate([known, missing]) if missing.any() else known

    @cached_property
    def order(self) -> Ints:
        """Where each key stands in sorted order: codes that no sharding changes."""
        assert self.keys is not None
        order: Ints = np.empty(len(self.keys), np.int64)
        order[self.keys.arg_sort().to_numpy()] = np.arange(len(self.keys))
        return order

    @property
    def size(self) -> int:
        """Codes: values, and one for missing."""
        return len(self.counts) + 1

    @cached_property
    def code_counts(self) -> Ints:
        """``(size, C)`` of each code."""
        counts = self.known
        if self.keys is not None:
            counts = counts[np.argsort(self.order)]
        return np.concatenate([counts, self.missing.sum(axis=0, keepdims=True)])

    @cached_property
    def _lookup(self) -> tuple[Lookup, npt.NDArray[np.uint32]]:
        assert self.keys is not None
        often = np.argsort(-over_classes(self.known), kind="stable")
        codes = np.append(self.order[often], len(self.keys)).astype(np.uint32)
        return Lookup(self.keys.gather(often)), codes

    def codes(self, frame: pl.DataFrame) -> npt.NDArray[np.uint32]:
        """Return each row's code; the last code is missing."""
        if self.field.name not in frame.columns:
            return np.full(frame.height, self.size - 1, np.uint32)
        keys = keys_of(frame[self.field.name], self.field)
        if self.keys is None:
            at = lower_bounds(keys.fill_null(0).to_numpy())
            codes = bucket_codes(at, self.edges) - np.uint32(RESERVED)
            codes[keys.is_null().to_numpy()] = self.size - 1
            return codes
        lookup, codes = self._lookup
        return codes[lookup.find(keys)]


def tables(
    counts: JointCounts, rows: RowClasses, missing: Sequence[str] = MISSING_TEXT, tokens: int = 20
) -> list[Table]:
    """Return the table of every field and of the most frequent tokens of lists.

    Args:
        counts: Of (value, row class); is emptied, so that no table is held twice.
        rows: Said what the classes are.
        missing: Texts that mean a missing value.
        tokens: Most tokens of a multi-valued field that become 0/1 features.
    """
    shape = (-1, rows.width // rows.classes, rows.classes)
    found = []
    for f in counts.schema.fields:
        frame = counts.take(f.name)
        if f.kind == "numeric":
            found.append(_binned(f, frame, shape))
            continue
        gone = frame["value"].is_null()
        for text in missing:
            gone |= (frame["value"] == text).fill_null(False)
        every = frame.select(pl.exclude("value")).to_numpy().reshape(shape)
        if gone.any():
            mask, keys = gone.to_numpy(), frame["value"].filter(~gone)
            found.append(Table(f, every[~mask], every[mask].sum(axis=0), keys))
        else:
            found.append(Table(f, every, np.zeros(shape[1:], np.int64), frame["value"]))
        if f.kind == "multi":
            total = counts.totals.reshape(shape)[0]
            found += _tokens(f, counts.take(tokens_of(f.name)), total, shape, tokens)
    return found


def _binned(f: Field, frame: pl.DataFrame, shape: tuple[int, ...]) -> Table:
    """Cut a number into quantile bins from its cells."""
    frame = frame.sort("value", nulls_last=True)
    gone = frame["value"].is_null().to_numpy()
    every = frame.select(pl.exclude("value")).to_numpy().reshape(shape)
    cell = frame["value"].drop_nulls().to_numpy()
    known = every[~gone]
    edges = quantile_edges(cell, known.sum(axis=(1, 2)), f.bins)
    bins = bucket_codes(lower_bounds(cell), edges) - RESERVED
    summed = np.zeros((len(edges) + 1 if len(cell) else 0, *shape[1:]), np.int64)
    np.add.at(summed, bins, known)
    return Table(f, summed, every[gone].sum(axis=0), edges=edges)


def _tokens(
    f: Field, frame: pl.DataFrame, total: Ints, shape: tuple[int, ...], most: int
) -> list[Table]:
    """Return 0/1 tables of the tokens that most rows hold."""
    frame = frame.drop_nulls("value").with_columns(rows=pl.sum_horizontal(pl.exclude("value")))
    frame = frame.sort(["rows", "value"], descending=[True, False]).head(most)
    found = []
    for value, counts in zip(
        frame["value"], frame.select(pl.exclude("value", "rows")).to_numpy(), strict=True
    ):
        held = counts.reshape(shape)[0]
        both = np.stack([held, total - held])
        kept = both[both.sum(axis=(1, 2)) > 0]
        found.append(Table(f, kept, np.zeros_like(total), token=value))
    return found

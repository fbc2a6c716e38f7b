"""Count tables: a row per value of a feature, a column per class of the label."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.encode.edges import bucket_codes, quantile_edges
from ctrkit.data.encode.histogram import lower_bounds
from ctrkit.data.encode.lookup import Lookup
from ctrkit.rank.joint import JointCounts, keys_of, tokens_of
from ctrkit.rank.null import Floats, Ints, over_classes
from ctrkit.rank.rows import RowClasses
from ctrkit.schema import RESERVED, Field

MISSING_TEXT = ("",)
MOST_CELLS = 4_096
CELL_ROWS = 30


@dataclass(frozen=True)
class Cells:
    """The most frequent values of a number, to a precision of about 2^-11.

    Attributes:
        value: ``(g,)`` midpoints of histogram cells.
        width: ``(g,)`` widths of the cells.
        counts: ``(g, C)`` rows of each cell and class.
    """

    value: Floats
    width: Floats
    counts: Ints

    @classmethod
    def of(cls, cell: npt.NDArray[np.uint32], counts: Ints) -> Cells:
        """Keep the cells with the most rows, at least ``CELL_ROWS`` each."""
        rows = over_classes(counts)
        often = np.flatnonzero(rows >= CELL_ROWS)
        if len(often) > MOST_CELLS:
            often = np.sort(often[np.argsort(-rows[often], kind="stable")[:MOST_CELLS]])
        chosen = cell[often].astype(np.int64)
        low, high = (lower_bounds((chosen + i).astype(np.uint32)) for i in (0, 1))
        low, high = low.astype(np.float64), high.astype(np.float64)
        return cls(low / 2 + high / 2, high - low, counts[often])


@dataclass(frozen=True)
class Table:
    """The counts of a feature: a row per value (per bin of a number), a column per class.

    Attributes:
        field: Field that is counted.
        counts: ``(n, periods, C)`` of the values that are not missing; no empty row.
        missing: ``(periods, C)`` of the rows where the value is missing.
        keys: ``(n,)`` keys of the values, in no particular order; bins have none.
        edges: Inner edges of the bins.
        token: Token that a 0/1 feature stands for.
        cells: Counts of a number by value, before it was cut into bins.
        number: Tells a token from features of the same name; 1: there is no other.
    """

    field: Field
    counts: Ints
    missing: Ints
    keys: pl.Series | None = dataclasses.field(default=None, repr=False)
    edges: tuple[float, ...] = ()
    token: str | None = None
    cells: Cells | None = dataclasses.field(default=None, repr=False)
    number: int = 1

    @property
    def name(self) -> str:
        """Name of the feature."""
        name = self.field.name if self.token is None else f"{self.field.name}={self.token}"
        return name if self.number == 1 else f"{name} ({self.number})"

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
        """Position of each key in sorted order: codes that no sharding changes."""
        assert self.keys is not None
        order: Ints = np.empty(len(self.keys), np.int64)
        order[self.keys.arg_sort().to_numpy()] = np.arange(len(self.keys))
        return order

    @property
    def size(self) -> int:
        """Number of codes: one per value, and one for missing."""
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
        """Return the code of each row; the last code is missing."""
        if self.field.name not in frame.columns:
            return np.full(frame.height, self.size - 1, np.uint32)
        keys = keys_of(frame[self.field.name], self.field)
        if self.keys is None:
            bounds = lower_bounds(keys.fill_null(0).to_numpy())
            codes = bucket_codes(bounds, self.edges) - np.uint32(RESERVED)
            codes[keys.is_null().to_numpy()] = self.size - 1
            return codes
        lookup, codes = self._lookup
        return codes[lookup.find(keys)]


def tables(
    counts: JointCounts, rows: RowClasses, missing: Sequence[str] = MISSING_TEXT, tokens: int = 20
) -> list[Table]:
    """Return the table of every field and of the most frequent tokens of lists.

    Args:
        counts: Counts of (value, class of the row); emptied, so that no table is held twice.
        rows: Classes of the rows.
        missing: Texts that mean a missing value.
        tokens: Most tokens of a multi-valued field that become 0/1 features.
    """
    shape = (-1, rows.width // rows.classes, rows.classes)
    result = []
    for f in counts.schema.fields:
        frame = counts.take(f.name)
        if f.kind == "numeric":
            result.append(_binned(f, frame, shape))
            continue
        result.append(_by_value(f, frame, shape, missing))
        if f.kind == "multi":
            total = counts.totals.reshape(shape)[0]
            result += _tokens(f, counts.take(tokens_of(f.name)), total, shape, tokens)
    return _told_apart(result)


def _told_apart(tables: list[Table]) -> list[Table]:
    """Number the tokens that have the name of a field or of another token."""
    taken = {table.name for table in tables if table.token is None}
    result = []
    for table in tables:
        while table.token is not None and table.name in taken:
            table = dataclasses.replace(table, number=table.number + 1)
        taken.add(table.name)
        result.append(table)
    return result


def _by_value(
    f: Field, frame: pl.DataFrame, shape: tuple[int, ...], missing: Sequence[str]
) -> Table:
    is_missing = frame["value"].is_null()
    for text in missing:
        is_missing |= (frame["value"] == text).fill_null(False)
    counts = frame.select(pl.exclude("value")).to_numpy().reshape(shape)
    if is_missing.any():
        mask, keys = is_missing.to_numpy(), frame["value"].filter(~is_missing)
        return Table(f, counts[~mask], counts[mask].sum(axis=0), keys)
    return Table(f, counts, np.zeros(shape[1:], np.int64), frame["value"])


def _binned(f: Field, frame: pl.DataFrame, shape: tuple[int, ...]) -> Table:
    """Cut a number into quantile bins from its cells."""
    frame = frame.sort("value", nulls_last=True)
    is_missing = frame["value"].is_null().to_numpy()
    counts = frame.select(pl.exclude("value")).to_numpy().reshape(shape)
    cell = frame["value"].drop_nulls().to_numpy()
    known = counts[~is_missing]
    rows = known.sum(axis=(1, 2))
    edges = _around_heaviest(quantile_edges(cell, rows, f.bins), cell, rows)
    bins = bucket_codes(lower_bounds(cell), edges) - RESERVED
    binned = np.zeros((len(edges) + 1 if len(cell) else 0, *shape[1:]), np.int64)
    np.add.at(binned, bins, known)
    missing = counts[is_missing].sum(axis=0)
    return Table(f, binned, missing, edges=edges, cells=Cells.of(cell, known.sum(axis=1)))


def _around_heaviest(
    edges: tuple[float, ...], cell: npt.NDArray[np.uint32], rows: Ints
) -> tuple[float, ...]:
    """Add edges on both sides of a cell with most of the rows, as zero is in counts of rare events.

    Quantiles alone put it into one bin with its neighbours, which may hold all the signal.
    """
    if not len(cell) or 2 * rows.max() <= rows.sum():
        return edges
    at = int(rows.argmax())
    beside = [i for i in (at, at + 1) if 0 < i < len(cell)]
    return tuple(sorted({*edges, *lower_bounds(cell[beside]).tolist()}))


def _tokens(
    f: Field, frame: pl.DataFrame, total: Ints, shape: tuple[int, ...], most: int
) -> list[Table]:
    """Return 0/1 tables of the tokens that most rows hold."""
    frame = frame.drop_nulls("value").with_columns(rows=pl.sum_horizontal(pl.exclude("value")))
    frame = frame.sort(["rows", "value"], descending=[True, False]).head(most)
    result = []
    for value, counts in zip(
        frame["value"], frame.select(pl.exclude("value", "rows")).to_numpy(), strict=True
    ):
        held = counts.reshape(shape)[0]
        both = np.stack([held, total - held])
        kept = both[both.sum(axis=(1, 2)) > 0]
        result.append(Table(f, kept, np.zeros_like(total), token=value))
    return result

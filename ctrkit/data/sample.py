"""A bounded sample of raw rows, taken while all rows are read, in which equal rows stay together.

Rows are chosen by a hash of a few columns with many values: the sample holds either all copies of
a row or none, and depends on the order of rows and files only through the choice of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.rows import row_ids
from ctrkit.data.hashing import splitmix64
from ctrkit.data.read.chunks import Chunk
from ctrkit.schema import Schema

SAMPLE_ROWS = 16_384
_HEAD = 2_000  # rows that the hashed columns are chosen by
_HASHED = 8
_VARIED = 0.7  # share of distinct rows, by the hashed columns, in each class of the label
_ENOUGH = 50  # rows of a class from which it is judged
_ODD = np.uint64(0x9E3779B97F4A7C15)
_VALUE_ROWS, _VALUE_FIELDS = 131_072, 8
Parts = npt.NDArray[np.uint8]
_Rows = tuple[npt.NDArray[np.uint64], pl.DataFrame, Parts, Parts]


@dataclass(frozen=True)
class RowSample:
    """Sampled raw rows.

    Attributes:
        frame: ``(n,)`` rows of raw columns.
        part: ``(n,)`` number of the split or period of each row.
        label: ``(n,)`` class of the label in each row.
        share: Share of all rows that the sample aims at; 1: it holds every row.
    """

    frame: pl.DataFrame
    part: Parts
    label: Parts
    share: float


class RowSampler:
    """Collects a sample chunk by chunk; merging two is the sample of both."""

    def __init__(self, hashed: Sequence[str], limit: int = SAMPLE_ROWS) -> None:
        """Start with no rows.

        Args:
            hashed: Columns whose values decide; none: row numbers decide. See
                :func:`hashed_columns`.
            limit: Most rows to keep.
        """
        self._hashed = list(hashed)
        self._limit = limit
        self._bound = 1.0
        self._kept: list[_Rows] = []

    def add(self, chunk: Chunk, part: Parts, label: Parts) -> None:
        """Take the chosen rows of a chunk.

        Args:
            chunk: ``(n,)`` raw rows.
            part: ``(n,)`` number of the split or period of each row.
            label: ``(n,)`` class of the label in each row.
        """
        self._take(self._keys(chunk), chunk.frame, part, label)

    def merge(self, other: RowSampler) -> None:
        """Add the rows of another sampler of the same columns."""
        self._bound = min(self._bound, other._bound)
        for rows in other._kept:
            self._take(*rows)

    def sample(self) -> RowSample | None:
        """Return the sampled rows, in an order of their own; None: there are none."""
        if not any(len(rows[0]) for rows in self._kept):
            return None
        keys, frames, part, label = zip(*self._kept, strict=True)
        order = np.argsort(np.concatenate(keys), kind="stable")
        frame = pl.concat(frames, how="vertical_relaxed")[order]
        parts, labels = (np.concatenate(p)[order] for p in (part, label))
        return RowSample(frame, parts, labels, self._bound)

    def _keys(self, chunk: Chunk) -> npt.NDArray[np.uint64]:
        if not self._hashed:
            return splitmix64(row_ids(chunk))
        columns = [chunk.frame.get_column(name) for name in self._hashed]
        keys = np.zeros(chunk.frame.height, np.uint64)
        for column in columns:
            keys = keys * _ODD ^ column.alias("v").hash(seed=0).to_numpy()
        return splitmix64(keys)

    def _take(
        self, keys: npt.NDArray[np.uint64], frame: pl.DataFrame, part: Parts, label: Parts
    ) -> None:
        """Keep the chosen rows; halve the sample as often as needed to stay within the limit."""
        bound = self._bound
        kept = [*(rows[0] for rows in self._kept), keys]
        while sum(int(_below(k, self._bound).sum()) for k in kept) > self._limit:
            self._bound /= 2
        if self._bound < bound:
            self._kept = [_chosen(rows, self._bound) for rows in self._kept]
        rows = _chosen((keys, frame, part, label), self._bound)
        if len(rows[0]):
            self._kept.append(rows)


def _below(keys: npt.NDArray[np.uint64], bound: float) -> npt.NDArray[np.bool_]:
    if bound >= 1:
        return np.ones(len(keys), bool)
    return keys < np.uint64(bound * 2.0**64)


def _chosen(rows: _Rows, bound: float) -> _Rows:
    keys, frame, part, label = rows
    mask = _below(keys, bound)
    if mask.all():
        return rows
    chosen = np.flatnonzero(mask)
    return keys[chosen], frame[chosen], part[chosen], label[chosen]


def hashed_columns(head: pl.DataFrame, label: str) -> list[str]:
    """Choose the columns that decide which rows are sampled: those with the most values.

    Columns with one value per row tell nothing of copies. Where the chosen columns have few values
    together, in any class of the label, row numbers decide: else the sample would hold groups of
    rows as a whole, and be biased.

    Args:
        head: The first rows.
        label: Column of the label, which never decides.
    """
    head = head.head(_HEAD)
    columns = [c for c in head.get_columns() if c.name != label and c.dtype != pl.Object]
    plain = [c for c in columns if not c.dtype.is_nested()]
    distinct = {c.name: c.n_unique() for c in plain}
    several = {n: d for n, d in distinct.items() if 1 < d < 0.98 * head.height}
    chosen = sorted(several, key=lambda n: (-several[n], n))[:_HASHED]
    classes = head.partition_by(label) if label in head.columns else [head]
    classes = [rows for rows in classes if rows.height >= _ENOUGH]
    for count in range(1, len(chosen) + 1):
        names = chosen[:count]  # as few as tell the rows apart
        if all(rows[names].n_unique() >= _VARIED * rows.height for rows in classes):
            return names
    return []


@dataclass(frozen=True)
class Sampled:
    """What is sampled of a data set while it is encoded.

    Attributes:
        rows: Whole rows.
        values: Fields whose numbers may be means of the label -> all rows of some of their values.
    """

    rows: RowSample | None
    values: dict[str, RowSample]


class DataSampler:
    """Samples whole rows, and of some numbers all rows of some values."""

    def __init__(self, schema: Schema) -> None:
        """Start with no rows; the first ones decide which columns are hashed.

        Args:
            schema: Fields and label of the rows.
        """
        self._schema = schema
        self._rows: RowSampler | None = None
        self._values: dict[str, RowSampler] = {}

    def add(self, chunk: Chunk, part: Parts, label: Parts) -> None:
        """Sample a chunk; see :meth:`RowSampler.add`."""
        if self._rows is None:
            head = chunk.frame.head(_HEAD)
            self._rows = RowSampler(hashed_columns(head, self._schema.label or ""))
            names = [f.name for f in self._schema.fields if f.kind == "numeric"]
            repeated = [n for n in names if n in head.columns and _is_repeated(head[n])]
            self._values = {n: RowSampler([n], _VALUE_ROWS) for n in repeated[:_VALUE_FIELDS]}
        self._rows.add(chunk, part, label)
        for name, sampler in self._values.items():
            sampler.add(chunk._replace(frame=chunk.frame[[name]]), part, label)

    def sampled(self) -> Sampled:
        """Return what was sampled."""
        rows = self._rows.sample() if self._rows else None
        samples = {name: sampler.sample() for name, sampler in self._values.items()}
        return Sampled(rows, {name: s for name, s in samples.items() if s is not None})


def _is_repeated(values: pl.Series) -> bool:
    """Return whether a column holds fractions of which each occurs in several rows."""
    if not values.dtype.is_float():
        return False
    known = values.alias("v").drop_nulls().drop_nans()  # some names look like patterns
    fractions = bool((known != known.round()).any())
    return fractions and 1 < known.n_unique() < known.len() / 2

"""Exact crosses: how often the codes of two fields occur together in training.

Keys (:mod:`ctrkit.data.encode.cross_keys`) are counted pair by pair in windows of rows; merging is
addition, so that any batching gives the same counts.

Source: OptInter (arXiv:2108.01265), memorized crosses; see "OptInter" in ``docs/methods.md``. A key
keeps its own id if it occurs often enough in training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ctrkit.data.encode.cross_keys import Ints, Pair, cross_bases
from ctrkit.data.encode.edges import number_codes
from ctrkit.data.hashing import splitmix64
from ctrkit.data.store.batch import Batch
from ctrkit.layout import CrossKeys, Layout
from ctrkit.schema import DROPPED

Codes = npt.NDArray[np.uint32]
_WINDOW = 1 << 19  # keys of a pair that are counted together
_DENSE = 4  # possible keys per occurring key, up to which they are counted in place


@dataclass(frozen=True)
class Column:
    """A field's codes over some rows.

    Attributes:
        codes: (n,) one per row, or all tokens of lists.
        lengths: (n,) tokens of each row's list; None where each row has one code.
    """

    codes: Codes
    lengths: Ints | None = None


def field_column(layout: Layout, batches: Sequence[Batch], position: int) -> Column:
    """Return a field's codes over the rows of batches.

    Args:
        layout: Layout of the batches.
        batches: One or more.
        position: Position of the field in the layout.
    """
    f = layout.fields[position]
    at = layout.column(position)
    if f.kind == "categorical":
        return Column(np.concatenate([b.codes[:, at] for b in batches]))
    if f.kind == "numeric":
        numbers = np.concatenate([b.numbers[:, at] for b in batches])
        return Column(number_codes(numbers, f.edges))
    tokens = np.concatenate([b.bags[at][0] for b in batches])
    return Column(tokens, np.concatenate([b.bags[at][1] for b in batches]))


def joined(a: Column, b: Column) -> tuple[Codes, Codes, npt.NDArray[np.int64] | None]:
    """Return the codes of two fields that occur together, and the row of each occurrence.

    A list crosses the other field by each of its tokens; two lists cross by all combinations of
    their tokens in a row.

    Returns:
        Codes of a, codes of b, and rows; None for the rows where each row has one occurrence.
    """
    if a.lengths is None and b.lengths is None:
        return a.codes, b.codes, None
    if b.lengths is None:
        assert a.lengths is not None
        return a.codes, np.repeat(b.codes, a.lengths), _rows(a.lengths)
    if a.lengths is None:
        return np.repeat(a.codes, b.lengths), b.codes, _rows(b.lengths)
    times = np.repeat(b.lengths, a.lengths)  # per token of a: the tokens of b in its row
    first = np.repeat(np.cumsum(b.lengths) - b.lengths, a.lengths)
    within = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
    return (
        np.repeat(a.codes, times),
        b.codes[within + np.repeat(first, times)],
        _rows(a.lengths * b.lengths),
    )


def _rows(lengths: Ints) -> Ints:
    return np.repeat(np.arange(len(lengths)), lengths)


class CrossCounts:
    """Counts of the crosses of pairs of fields; equal for any batching and order of the rows.

    Memory grows with the distinct keys: about 8 bytes each, 12 where a pair has over 2**32 codes.

    Attributes:
        layout: Layout of the batches.
        pairs: Positions of the members in layout order, each rising.
        bases: First key of each pair, and the end of all keys ``(P + 1,)``.
    """

    def __init__(self, layout: Layout, pairs: Sequence[Pair]) -> None:
        """Count nothing yet.

        Raises:
            ConfigError: A member is hash-encoded, or the keys do not fit 63 bits.
        """
        self.layout, self.pairs = layout, tuple(pairs)
        self.bases = cross_bases(layout, self.pairs)
        self._rows = [f.cross_rows for f in layout.fields]
        self._tallies = [_Tally() for _ in self.pairs]
        self._waiting: list[Batch] = []
        self._load = self._total = 0

    def update(self, batch: Batch) -> None:
        """Count the rows of a batch. It is kept, unchanged, until a window is full."""
        if not len(batch):
            return
        self._waiting.append(batch)
        load = _most_keys(batch)
        self._load, self._total = self._load + load, self._total + load
        assert self._total < 2**32, "counts have 32 bits"
        if self._load >= _WINDOW:
            self._count()

    def merge(self, other: CrossCounts) -> CrossCounts:
        """Return the counts of both sets of rows."""
        assert (self.layout, self.pairs) == (other.layout, other.pairs), "different crosses"
        merged = CrossCounts(self.layout, self.pairs)
        for counts in (self, other):
            counts._count()
            merged._total += counts._total
            for tally, source in zip(merged._tallies, counts._tallies, strict=True):
                tally.add(*source.table())
        return merged

    def keys(self, min_count: int = 1) -> Ints:
        """Return the keys that occur at least ``min_count`` times, over all pairs, rising."""
        return self._kept(min_count)[0]

    def distinct(self, min_count: int = 1) -> Ints:
        """Return how many keys of each pair occur at least ``min_count`` times ``(P,)``."""
        self._count()
        tables = (tally.table()[1] for tally in self._tallies)
        return np.asarray([(count >= min_count).sum() for count in tables], np.int64)

    def pair_of(self, keys: Ints) -> Ints:
        """Return the number of each key's pair."""
        return np.searchsorted(self.bases, keys, side="right") - 1

    def value_of(self, key: int) -> tuple[int, int, int]:
        """Return a key's pair number and the codes of its two members."""
        assert 0 <= key < self.bases[-1], key
        pair = int(self.pair_of(np.asarray([key]))[0])
        return pair, *divmod(int(key - self.bases[pair]), self._rows[self.pairs[pair][1]])

    def frozen(self, min_count: int) -> CrossKeys:
        """Return the keys that a model memorizes, with the names of the fields."""
        names = self.layout.names
        keys, counts = self._kept(min_count)
        return CrossKeys(
            tuple((names[i], names[j]) for i, j in self.pairs), keys, counts, min_count
        )

    def _kept(self, min_count: int) -> tuple[Ints, Ints]:
        self._count()
        keys, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for base, tally in zip(self.bases.tolist(), self._tallies, strict=False):
            key, count = tally.table()
            kept = count >= min_count
            keys.append(key[kept].astype(np.int64) + base)
            counts.append(count[kept].astype(np.int64))
        return np.concatenate(keys), np.concatenate(counts)

    def _count(self) -> None:
        """Count the waiting batches, pair by pair."""
        if not self._waiting:
            return
        members = sorted({i for pair in self.pairs for i in pair})
        columns = {i: field_column(self.layout, self._waiting, i) for i in members}
        gaps = {i for i in members if (columns[i].codes == DROPPED).any()}
        self._waiting, self._load = [], 0
        for (i, j), tally in zip(self.pairs, self._tallies, strict=True):
            a, b, _ = joined(columns[i], columns[j])
            if gaps & {i, j}:
                kept = (a != DROPPED) & (b != DROPPED)
                a, b = a[kept], b[kept]
            cells = self._rows[i] * self._rows[j]
            key: Any = a.astype(np.uint32 if cells <= 2**32 else np.int64)
            key *= key.dtype.type(self._rows[j])
            key += b
            tally.add(*_counted(key, cells))


def count_crosses(batches: Iterable[Batch], layout: Layout, pairs: Sequence[Pair]) -> CrossCounts:
    """Count the crosses of all rows."""
    counts = CrossCounts(layout, pairs)
    for batch in batches:
        counts.update(batch)
    return counts


def distinct_crosses(
    batches: Iterable[Batch], layout: Layout, pairs: Sequence[Pair], bits: int = 22
) -> list[int]:
    """Estimate how many crosses of each pair occur; hash-encoded fields are included.

    Linear counting (Whang et al., TODS 1990): keys are hashed to ``2**bits`` cells, and the share
    of empty cells gives the number of keys, within 1 % up to about ten million keys.
    """
    rows = list(batches)
    if not sum(len(batch) for batch in rows):
        return [0] * len(pairs)
    members = sorted({i for pair in pairs for i in pair})
    columns = {i: field_column(layout, rows, i) for i in members}
    estimates = []
    for i, j in pairs:
        a, b, _ = joined(columns[i], columns[j])
        key = a.astype(np.uint64) << np.uint64(32) | b
        key = key[(a != DROPPED) & (b != DROPPED)]
        cells = np.zeros(2**bits, bool)
        cells[splitmix64(key) >> np.uint64(64 - bits)] = True
        empty = max(1, len(cells) - int(np.count_nonzero(cells)))
        estimates.append(round(-len(cells) * math.log(empty / len(cells))))
    return estimates


class _Tally:
    """Sorted keys with counts, in runs of falling length, so that each key is merged rarely."""

    def __init__(self) -> None:
        self._runs: list[tuple[npt.NDArray[Any], Codes]] = []

    def add(self, keys: npt.NDArray[Any], counts: Codes) -> None:
        """Add the counts of distinct rising keys."""
        self._runs.append((keys, counts))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= 2 * len(self._runs[-1][0]):
            self._merge()

    def table(self) -> tuple[npt.NDArray[Any], Codes]:
        """Return distinct rising keys and their counts."""
        while len(self._runs) > 1:
            self._merge()
        return self._runs[0] if self._runs else (np.zeros(0, np.uint32), np.zeros(0, np.uint32))

    def _merge(self) -> None:
        b, a = self._runs.pop(), self._runs.pop()
        keys = np.concatenate([a[0], b[0]])
        order = np.argsort(keys, kind="stable")  # two runs: one pass
        keys, counts = keys[order], np.concatenate([a[1], b[1]])[order]
        first = _firsts(keys)
        summed = np.add.reduceat(counts, first) if len(first) else counts
        self._runs.append((keys[first], summed))


def _counted(key: npt.NDArray[Any], cells: int) -> tuple[npt.NDArray[Any], Codes]:
    """Return the distinct keys, rising, and how often each occurs; ``key`` is overwritten."""
    if cells <= _DENSE * len(key):
        count = np.bincount(key, minlength=cells)
        at = np.flatnonzero(count)
        return at.astype(key.dtype), count[at].astype(np.uint32)
    key.sort()
    first = _firsts(key)
    return key[first], np.diff(first, append=len(key)).astype(np.uint32)


def _firsts(rising: npt.NDArray[Any]) -> Ints:
    """Return where each new value of a rising array begins."""
    if not len(rising):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))


def _most_keys(batch: Batch) -> int:
    """Return the most keys that one pair can have in a batch."""
    if not batch.bags:
        return len(batch)
    lengths = np.sort(np.stack([n for _, n in batch.bags], axis=1), axis=1)  # (B, M)
    longest = np.maximum(lengths[:, -2:], 1).prod(axis=1)
    return int(longest.sum())

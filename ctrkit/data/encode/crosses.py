"""Exact crosses: how often two fields' codes meet in training, and the keys that are kept.

The key of a cross of pair ``p = (i, j)`` is ``base[p] + code_i * rows_j + code_j`` in int64: keys
of different pairs never overlap, and each leads back to its pair and codes. Keys are counted pair
by pair in windows of rows; merging is addition, so that any batching gives the same counts.

Source: methods.md 3.5 (a key keeps an id of its own if training holds it often enough).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctrkit.data.encode.numeric import number_codes
from ctrkit.data.hashing import splitmix64
from ctrkit.errors import ConfigError, RunFolderError, nearest
from ctrkit.files import write_json
from ctrkit.layout import CrossKeys, Layout
from ctrkit.schema import DROPPED, RESERVED

if TYPE_CHECKING:
    from ctrkit.data.store.batches import Batch
FORMAT = 1
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Pair = tuple[int, int]
_WINDOW = 1 << 19  # keys of a pair that are counted together
_DENSE = 4  # possible keys per key met, up to which they are counted in place


def cross_rows(layout: Layout) -> list[int]:
    """Return the codes of each field in crosses, in layout order; numbers cross by bucket."""
    return [RESERVED + len(f.edges) + 1 if f.kind == "numeric" else f.rows for f in layout.fields]


def cross_bases(layout: Layout, pairs: Sequence[Pair]) -> Ints:
    """Return the first key of each pair, and after them the end of all keys: ``(P + 1,)``.

    Raises:
        ConfigError: A member is hash-encoded, or the keys do not fit 63 bits.
    """
    rows, ends = cross_rows(layout), [0]
    for i, j in pairs:
        assert 0 <= i < j < len(rows), (i, j)
        for f in (layout.fields[i], layout.fields[j]):
            if f.hashed:
                raise ConfigError(
                    f"field {f.name!r} is hash-encoded, and exact crosses need vocabularies: "
                    "declare encoding = 'vocabulary', or let crosses be hashed"
                )
        ends.append(ends[-1] + rows[i] * rows[j])
    if ends[-1] >= 2**63:
        raise ConfigError("the pairs have 2**63 possible crosses or more: cross fewer pairs")
    return np.asarray(ends, np.int64)


@dataclass(frozen=True)
class Column:
    """A field's codes over some rows.

    Attributes:
        codes: (n,) one a row, or all tokens of lists.
        lengths: (n,) tokens of each row's list; None where each row has one code.
    """

    codes: Codes
    lengths: Ints | None = None


def field_column(layout: Layout, batches: Sequence[Batch], position: int) -> Column:
    """Return a field's codes over the rows of batches.

    Args:
        layout: Of the batches.
        batches: One or more.
        position: Of the field, in layout order.
    """
    f = layout.fields[position]
    at = layout.of_kind(f.kind).index(f)
    if f.kind == "categorical":
        return Column(np.concatenate([b.codes[:, at] for b in batches]))
    if f.kind == "numeric":
        numbers = np.concatenate([b.numbers[:, at] for b in batches])
        return Column(number_codes(numbers, f.edges))
    tokens = np.concatenate([b.bags[at][0] for b in batches])
    return Column(tokens, np.concatenate([b.bags[at][1] for b in batches]))


def joined(a: Column, b: Column) -> tuple[Codes, Codes, npt.NDArray[np.int64] | None]:
    """Return the codes of two fields that meet, and the row of each meeting.

    A list meets the other field by each of its tokens; two lists by all combinations of a row's.

    Returns:
        Codes of a, codes of b, and rows; None for the rows where there is one meeting a row.
    """
    if a.lengths is None and b.lengths is None:
        return a.codes, b.codes, None
    if b.lengths is None:
        assert a.lengths is not None
        return a.codes, np.repeat(b.codes, a.lengths), _rows(a.lengths)
    if a.lengths is None:
        return np.repeat(a.codes, b.lengths), b.codes, _rows(b.lengths)
    times = np.repeat(b.lengths, a.lengths)  # of each token of a: the tokens that it meets
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
    """How often the codes of pairs of fields meet; equal for any batching and order of the rows.

    Memory grows by the distinct keys: about 8 bytes each, 12 where a pair has over 2**32 codes.

    Attributes:
        layout: Of the batches.
        pairs: Positions of the members in layout order, each rising.
        bases: First key of each pair, and the end ``(P + 1,)``.
    """

    def __init__(self, layout: Layout, pairs: Sequence[Pair]) -> None:
        """Count nothing yet.

        Raises:
            ConfigError: A member is hash-encoded, or the keys do not fit 63 bits.
        """
        self.layout, self.pairs = layout, tuple(pairs)
        self.bases = cross_bases(layout, self.pairs)
        self._rows = cross_rows(layout)
        self._tallies = [_Tally() for _ in self.pairs]
        self._waiting: list[Batch] = []
        self._load = self._met = 0

    def update(self, batch: Batch) -> None:
        """Count the rows of a batch. It is held, unchanged, until a window is full."""
        if not len(batch):
            return
        self._waiting.append(batch)
        load = _most_keys(batch)
        self._load, self._met = self._load + load, self._met + load
        assert self._met < 2**32, "counts of 32 bits"
        if self._load >= _WINDOW:
            self._count()

    def merge(self, other: CrossCounts) -> CrossCounts:
        """Return the counts of both sets of rows."""
        assert (self.layout, self.pairs) == (other.layout, other.pairs), "unlike crosses"
        merged = CrossCounts(self.layout, self.pairs)
        for part in (self, other):
            part._count()
            merged._met += part._met
            for mine, its in zip(merged._tallies, part._tallies, strict=True):
                mine.add(*its.table())
        return merged

    def keys(self, min_count: int = 1) -> Ints:
        """Return the keys met at least ``min_count`` times, over all pairs, rising."""
        return self._kept(min_count)[0]

    def distinct(self, min_count: int = 1) -> Ints:
        """Return how many keys of each pair were met at least ``min_count`` times ``(P,)``."""
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
        """Return the keys that a model memorizes, by the names of the fields."""
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
        """Count the batches that wait, pair by pair."""
        if not self._waiting:
            return
        members = sorted({i for pair in self.pairs for i in pair})
        columns = {i: field_column(self.layout, self._waiting, i) for i in members}
        gaps = {i for i in members if (columns[i].codes == DROPPED).any()}
        self._waiting, self._load = [], 0
        for (i, j), tally in zip(self.pairs, self._tallies, strict=True):
            a, b, _ = joined(columns[i], columns[j])
            if gaps & {i, j}:
                known = (a != DROPPED) & (b != DROPPED)
                a, b = a[known], b[known]
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
    """Estimate how many crosses of each pair occur; hash-encoded fields take part.

    Linear counting (Whang et al., TODS 1990): keys are hashed to ``2**bits`` cells, and from the
    share of empty ones the number of keys follows; within a percent up to some ten million keys.
    """
    rows = list(batches)
    if not sum(len(batch) for batch in rows):
        return [0] * len(pairs)
    members = sorted({i for pair in pairs for i in pair})
    columns = {i: field_column(layout, rows, i) for i in members}
    found = []
    for i, j in pairs:
        a, b, _ = joined(columns[i], columns[j])
        key = a.astype(np.uint64) << np.uint64(32) | b
        key = key[(a != DROPPED) & (b != DROPPED)]
        cells = np.zeros(2**bits, bool)
        cells[splitmix64(key) >> np.uint64(64 - bits)] = True
        empty = max(1, len(cells) - int(np.count_nonzero(cells)))
        found.append(round(-len(cells) * math.log(empty / len(cells))))
    return found


class _Tally:
    """Sorted keys with counts, as parts of falling size, so that each key is merged rarely."""

    def __init__(self) -> None:
        self._parts: list[tuple[npt.NDArray[Any], Codes]] = []

    def add(self, keys: npt.NDArray[Any], counts: Codes) -> None:
        """Add the counts of distinct rising keys."""
        self._parts.append((keys, counts))
        while len(self._parts) > 1 and len(self._parts[-2][0]) <= 2 * len(self._parts[-1][0]):
            self._merge()

    def table(self) -> tuple[npt.NDArray[Any], Codes]:
        """Return distinct rising keys and their counts."""
        while len(self._parts) > 1:
            self._merge()
        return self._parts[0] if self._parts else (np.zeros(0, np.uint32), np.zeros(0, np.uint32))

    def _merge(self) -> None:
        b, a = self._parts.pop(), self._parts.pop()
        every = np.concatenate([a[0], b[0]])
        order = np.argsort(every, kind="stable")  # two runs: one pass
        every, counts = every[order], np.concatenate([a[1], b[1]])[order]
        first = _firsts(every)
        summed = np.add.reduceat(counts, first) if len(first) else counts
        self._parts.append((every[first], summed))


def _counted(key: npt.NDArray[Any], cells: int) -> tuple[npt.NDArray[Any], Codes]:
    """Return the distinct keys, rising, and how often each occurs; ``key`` is spent."""
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


def save_crosses(folder: Path, crosses: CrossKeys, layout: Layout) -> None:
    """Write ``crosses.json`` (pairs by field name) and ``keys.npy, counts.npy``.

    Args:
        folder: Made where it is missing.
        crosses: What to write.
        layout: That the keys were counted by.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = dict(zip(layout.names, cross_rows(layout), strict=True))
    members = {name for pair in crosses.pairs for name in pair}
    facts = {
        "format": FORMAT,
        "min_count": crosses.min_count,
        "pairs": crosses.pairs,
        "rows": {name: rows[name] for name in layout.names if name in members},
    }
    np.save(folder / "keys.npy", crosses.keys, allow_pickle=False)
    np.save(folder / "counts.npy", crosses.counts, allow_pickle=False)
    write_json(folder / "crosses.json", facts)


def load_crosses(folder: Path, layout: Layout) -> CrossKeys:
    """Read what :func:`save_crosses` wrote.

    Raises:
        RunFolderError: Something is missing or damaged, or was counted for another encoder.
    """
    path = folder / "crosses.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        arrays = [np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("keys", "counts")]
        pairs = tuple((str(a), str(b)) for a, b in facts["pairs"])
        crosses = CrossKeys(pairs, arrays[0], arrays[1], int(facts["min_count"]))
        found, given = facts["format"], dict(facts["rows"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise RunFolderError(f"the crosses in {str(folder)!r} cannot be read: {error}") from error
    if found != FORMAT:
        raise RunFolderError(f"{path}: format {found!r}; this ctrkit reads {FORMAT}")
    _check(path, crosses, given, layout)
    return crosses


def _check(path: Path, crosses: CrossKeys, rows: dict[str, int], layout: Layout) -> None:
    known = dict(zip(layout.names, cross_rows(layout), strict=True))
    for name in {n: None for pair in crosses.pairs for n in pair}:
        if name not in known:
            raise RunFolderError(f"{path}: no field {name!r} in the encoder{nearest(name, known)}")
        if rows.get(name) != known[name]:
            raise RunFolderError(
                f"{path}: field {name!r} had {rows.get(name)} codes and has {known[name]}: "
                "the crosses were counted for another encoder"
            )
    places = {name: index for index, name in enumerate(layout.names)}
    pairs = [(places[a], places[b]) for a, b in crosses.pairs]
    if any(i >= j for i, j in pairs):
        raise RunFolderError(f"{path}: a pair is not in the order of the encoder's fields")
    keys, end = crosses.keys, int(cross_bases(layout, pairs)[-1])
    sound = keys.dtype == crosses.counts.dtype == np.int64 and keys.shape == crosses.counts.shape
    if not sound or keys.ndim != 1 or (np.diff(keys) <= 0).any():
        raise RunFolderError(f"{path}: the keys beside it are damaged (they rise)")
    if len(keys) and not 0 <= int(keys[0]) <= int(keys[-1]) < end:
        raise RunFolderError(f"{path}: the keys beside it are of other pairs")

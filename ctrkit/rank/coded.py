"""Rows as dense codes, and the counts of pairs of columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ctrkit.metrics.mapped import release
from ctrkit.rank.null import Ints, over_classes

Codes = npt.NDArray[np.unsignedinteger]
Pair = tuple[int, int]
R = TypeVar("R")
T = TypeVar("T")
_DENSE = 4  # cells per row up to which a table is counted in place
_LONG_ROWS = 1 << 21
"""More rows are counted in parts."""
_PART_ROWS = 1 << 22
"""Rows of a part whose cells are too many for a table."""
_BLOCK_ROWS = 1 << 17
"""Rows that are read at a time where they are counted in parts."""
_TABLE_CELLS = 1 << 23
"""Cells of a part that are counted in place."""


@dataclass(frozen=True)
class Coded:
    """Rows as dense codes, with the class of the label.

    Attributes:
        columns: One array (n,) per feature; the last code of each is missing.
        sizes: Number of codes of each feature.
        label: (n,) class of each row.
        classes: Number of classes of the label.
        weight: (n,) how often a row counts; None: once.
    """

    columns: Sequence[Codes]
    sizes: Sequence[int]
    label: npt.NDArray[np.uint8]
    classes: int
    weight: Ints | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.label)


def cells_of(coded: Coded, pair: Pair) -> tuple[Ints, Ints]:
    """Count the joint values of a pair by class.

    Returns:
        Keys ``code_a * size_b + code_b`` ascending (n,), and counts (n, C); no empty cell.
    """
    if coded.rows > _LONG_ROWS:
        parts = list(cell_parts(coded, pair))
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    key, cells = _keys(coded, pair, slice(None)), coded.sizes[pair[0]] * coded.sizes[pair[1]]
    if cells * coded.classes <= 2 * _DENSE * max(coded.rows, 1):
        counts = np.bincount(key, weights=coded.weight, minlength=cells * coded.classes)
        return _of_table(counts.astype(np.int64, copy=False), coded.classes)
    return _of_keys(key, coded.weight, coded.classes)


def cell_parts(coded: Coded, pair: Pair) -> Iterator[tuple[Ints, Ints]]:
    """Yield what :func:`cells_of` returns in parts, one after the other.

    Memory is that of a few million rows, or cells of a dense table, however many rows there are.
    """
    if coded.rows <= _LONG_ROWS:
        yield cells_of(coded, pair)
        return
    first, size = coded.columns[pair[0]], coded.sizes[pair[1]]
    rows = np.zeros(coded.sizes[pair[0]], np.int64)
    for start in range(0, coded.rows, _BLOCK_ROWS):
        rows += np.bincount(first[start : start + _BLOCK_ROWS], minlength=len(rows))
    before = np.append(0, np.cumsum(rows))
    most = max(1, _TABLE_CELLS // (size * coded.classes))
    low = 0
    while low < len(rows):
        by_rows = int(np.searchsorted(before, before[low] + _PART_ROWS, side="right")) - 1
        high = min(len(rows), max(low + most, by_rows))
        if before[high] > before[low]:
            yield _part(coded, pair, low, high)
        low = high
    for column in pair:
        release(coded.columns[column])


def _part(coded: Coded, pair: Pair, low: int, high: int) -> tuple[Ints, Ints]:
    """Count the joint values of a pair whose first code is from ``low`` up to ``high``."""
    classes, size = coded.classes, coded.sizes[pair[1]]
    first, cells = low * size * classes, (high - low) * size * classes
    table = np.zeros(cells if cells <= _TABLE_CELLS else 0, np.int64)
    keys: list[npt.NDArray[Any]] = []
    weights: list[Ints] = []
    waiting = 0
    for start in range(0, coded.rows, _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        key = _keys(coded, pair, block)
        weight = None if coded.weight is None else coded.weight[block]
        if high - low < coded.sizes[pair[0]]:
            key -= key.dtype.type(first)  # those below the part wrap around
            chosen = key < cells
            key, weight = key[chosen], None if weight is None else weight[chosen]
        keys.append(key)
        weights += [] if weight is None else [weight]
        waiting += len(key)
        if len(table) and (waiting >= _PART_ROWS or block.stop >= coded.rows):
            row_keys, of_rows = _joined(keys, weights)
            key = row_keys.astype(np.int64, copy=False)
            counts = np.bincount(key, weights=of_rows, minlength=cells)
            table += counts.astype(np.int64, copy=False)
            keys, weights, waiting = [], [], 0
    cell, counts = (
        _of_table(table, classes) if len(table) else _of_keys(*_joined(keys, weights), classes)
    )
    return cell + low * size, counts


def _joined(
    keys: Sequence[npt.NDArray[Any]], weights: Sequence[Ints]
) -> tuple[npt.NDArray[Any], Ints | None]:
    return np.concatenate(keys), np.concatenate(weights) if weights else None


def _keys(coded: Coded, pair: Pair, block: slice) -> Any:
    """Return ``(code_a * size_b + code_b) * C + label`` of each row of a block."""
    (a, b), classes = pair, coded.classes
    size, cells = coded.sizes[b], coded.sizes[a] * coded.sizes[b]
    small = cells * classes < 2**32
    key: Any = coded.columns[a][block].astype(np.uint32 if small else np.uint64)
    key *= key.dtype.type(size)
    key += coded.columns[b][block]
    if classes > 1:
        key *= key.dtype.type(classes)
        key += coded.label[block]
    return key


def _of_table(counts: Ints, classes: int) -> tuple[Ints, Ints]:
    """Return the keys and counts of the cells that occur; ``counts`` is of all of them."""
    table = counts.reshape(-1, classes)
    occurring = np.flatnonzero(over_classes(table))
    return occurring, table[occurring]


def _of_keys(key: npt.NDArray[Any], weight: Ints | None, classes: int) -> tuple[Ints, Ints]:
    """Return the keys and counts of the cells that occur; ``key`` is that of each row, sorted."""
    if weight is not None:
        distinct, inverse = np.unique(key, return_inverse=True)
        count = np.bincount(inverse, weights=weight).astype(np.int64)
    else:
        key.sort()
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        distinct, count = key[starts], np.diff(np.append(starts, len(key)))
    distinct = distinct.astype(np.int64)
    if classes == 1:
        return distinct, count[:, None]
    cell, label = np.divmod(distinct, classes)
    first = np.concatenate([[True], cell[1:] != cell[:-1]])
    table = np.zeros((int(first.sum()), classes), np.int64)
    table[np.cumsum(first) - 1, label] = count
    return cell[first], table


def parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return the result for each item, in order, computed on all cores."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        return list(pool.map(work, items))

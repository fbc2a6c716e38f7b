"""Rows as dense codes, and the counts of pairs of columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ctrkit.rank.null import Ints, over_classes

Codes = npt.NDArray[np.unsignedinteger]
Pair = tuple[int, int]
R = TypeVar("R")
T = TypeVar("T")
_DENSE = 4  # cells per row up to which a table is counted in place


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
    a, b = pair
    size, cells = coded.sizes[b], coded.sizes[a] * coded.sizes[b]
    small = cells * coded.classes < 2**32
    key: Any = coded.columns[a].astype(np.uint32 if small else np.uint64)
    key *= key.dtype.type(size)
    key += coded.columns[b]
    return _count_keys(key, cells, coded)


def _count_keys(key: npt.NDArray[Any], size: int, coded: Coded) -> tuple[Ints, Ints]:
    classes = coded.classes
    if classes > 1:
        key *= key.dtype.type(classes)
        key += coded.label
    if size * classes <= 2 * _DENSE * max(coded.rows, 1):
        counts = np.bincount(key, weights=coded.weight, minlength=size * classes)
        table = counts.astype(np.int64, copy=False).reshape(size, classes)
        occurring = np.flatnonzero(over_classes(table))
        return occurring, table[occurring]
    if coded.weight is not None:
        distinct, inverse = np.unique(key, return_inverse=True)
        count = np.bincount(inverse, weights=coded.weight).astype(np.int64)
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

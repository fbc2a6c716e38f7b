"""Encoded rows in memory: one type for training, scoring and explaining."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

Bag = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""A multi-valued field of some rows: tokens (T,), and the length of each row's list (B,)."""
Index = npt.NDArray[np.int64]
A = TypeVar("A", bound=npt.NDArray[Any])
_Pick = Callable[[Any], Any]


@dataclass(frozen=True)
class Encoded:
    """Rows in the order of the layout, as a model reads them.

    Attributes:
        codes: (B, Fc) uint32.
        numbers: (B, Fn) float32; NaN is missing.
        bags: Per multi-valued field, its tokens and lengths.
    """

    codes: npt.NDArray[np.uint32]
    numbers: npt.NDArray[np.float32]
    bags: tuple[Bag, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def slices(self, size: int) -> Iterator[Self]:
        """Yield the rows in order, at most ``size`` at a time and not copied; 0: all at once."""
        rows = len(self)
        if not size or rows <= size:
            yield self
            return
        ends = [np.concatenate([[0], np.cumsum(lengths)]) for _, lengths in self.bags]
        for low in range(0, rows, size):
            high = min(low + size, rows)
            bags = tuple(
                (tokens[end[low] : end[high]], lengths[low:high])
                for (tokens, lengths), end in zip(self.bags, ends, strict=True)
            )
            yield self._mapped(itemgetter(slice(low, high)), bags)

    def take(self, rows: Index) -> Self:
        """Return rows by their positions ``(n,)``; every array is a copy."""
        bags = tuple(take_bag(bag, rows) for bag in self.bags)
        return self._mapped(lambda array: np.take(array, rows, axis=0), bags)

    def _mapped(self, pick: _Pick, bags: tuple[Bag, ...]) -> Self:
        """Return the batch of other bags and of what ``pick`` makes of every other array."""
        return replace(self, codes=pick(self.codes), numbers=pick(self.numbers), bags=bags)


@dataclass(frozen=True)
class Batch(Encoded):
    """Encoded rows with their labels.

    Attributes:
        label: (B,) uint8.
        weight: (B,) float32, where rows have weights.
        group: (B,) uint64 hash, where the schema has a group.
        row: (B,) uint64 hash of the row, in validation and test.
    """

    label: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32] | None = None
    group: npt.NDArray[np.uint64] | None = None
    row: npt.NDArray[np.uint64] | None = None

    def _mapped(self, pick: _Pick, bags: tuple[Bag, ...]) -> Self:
        return replace(
            super()._mapped(pick, bags),
            label=pick(self.label),
            weight=None if self.weight is None else pick(self.weight),
            group=None if self.group is None else pick(self.group),
            row=None if self.row is None else pick(self.row),
        )


def join(batches: Sequence[Batch]) -> Batch:
    """Return the rows of one or more batches in one."""
    bags = zip(*(b.bags for b in batches), strict=True)
    return Batch(
        np.concatenate([b.codes for b in batches]),
        np.concatenate([b.numbers for b in batches]),
        tuple(
            (np.concatenate([t for t, _ in bag]), np.concatenate([n for _, n in bag]))
            for bag in bags
        ),
        np.concatenate([b.label for b in batches]),
        _joined([b.weight for b in batches]),
        _joined([b.group for b in batches]),
        _joined([b.row for b in batches]),
    )


def _joined(arrays: Sequence[A | None]) -> A | None:
    known = [a for a in arrays if a is not None]
    assert len(known) in (0, len(arrays)), "all batches must have the same columns"
    return np.concatenate(known) if known else None  # type: ignore[return-value]


def take_bag(bag: Bag, rows: Index) -> Bag:
    """Return the lists of rows by their positions ``(n,)``."""
    tokens, lengths = bag
    starts = np.cumsum(lengths) - lengths
    wanted = lengths[rows]
    ends = np.cumsum(wanted)
    total = int(ends[-1]) if len(ends) else 0
    places = np.arange(total) + np.repeat(starts[rows] - (ends - wanted), wanted)
    return tokens[places], wanted

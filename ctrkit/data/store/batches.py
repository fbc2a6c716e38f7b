"""Batches of encoded rows as numpy arrays: shuffled windows, processes, exact resume, prefetch."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ctrkit.data.hashing import splitmix64
from ctrkit.data.read.prefetch import read_ahead
from ctrkit.data.store.batch import Bag, Batch, join
from ctrkit.data.store.shards import GROUP, LABEL, ROW, WEIGHT, Shards

_QUEUE = 3
IN_ORDER_ROWS = 65_536
Part = Literal["all", "tenth", "rest"]


class Batches:
    """Epochs over one split; their order is a function of seed and epoch alone."""

    def __init__(
        self,
        shards: Shards,
        split: str,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        window: int = 1_048_576,
        process: tuple[int, int] = (0, 1),
        part: Part = "all",
    ) -> None:
        """Plan the epochs.

        Args:
            shards: The encoded rows.
            split: ``train``, ``validation`` or ``test``.
            batch_size: Rows per process and step.
            shuffle: Permute blocks, and rows within windows; else the order of the shards.
            seed: Seed of the order.
            window: Rows permuted together: whole blocks, at least one. In order, fewer are read.
            process: Index of this process and number of processes; a global batch is
                ``batch_size * number`` rows.
            part: All rows; or about 10 % of them, chosen by a hash of their place; or the rest.
        """
        assert batch_size > 0, batch_size
        self._rank, self._world = process
        assert 0 <= self._rank < self._world, process
        self.shards, self.split, self.batch_size = shards, split, batch_size
        self._shuffle, self._seed = shuffle, seed
        self._window = window if shuffle else min(window, IN_ORDER_ROWS)
        self._part = part
        self._blocks = list(shards.blocks(split))
        self._sizes = [
            n if part == "all" else int(_in_part(part, number, n).sum())
            for number, (*_, n) in enumerate(self._blocks)
        ]
        self.rows = sum(self._sizes)

    def steps(self) -> int:
        """Return the batches per epoch, equal for all processes."""
        return -(-self.rows // (self.batch_size * self._world))

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """Yield an epoch's batches from step ``start`` on; a thread reads ahead.

        Batches of the last step may be smaller (in one of many processes, even empty).
        """
        return read_ahead(self._epoch(epoch, start), _QUEUE)

    def _windows(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Return the blocks of each window as (number, rows)."""
        order = np.arange(len(self._blocks))
        if self._shuffle:
            order = np.random.default_rng((self._seed, epoch)).permutation(order)
        windows: list[list[tuple[int, int]]] = []
        filled = 0
        for number in order.tolist():
            rows = self._sizes[number]
            if not windows or filled + rows > self._window:
                windows.append([])
                filled = 0
            windows[-1].append((number, rows))
            filled += rows
        return windows

    def _epoch(self, epoch: int, start: int) -> Iterator[Batch]:
        total, size = self.rows, self.batch_size * self._world
        step, at = start, 0
        parts: list[Batch] = []
        for index, window in enumerate(self._windows(epoch)):
            begin, end = at, at + sum(rows for _, rows in window)
            at = end
            if end <= step * size:
                continue
            rows = self._read(window)
            order = np.arange(end - begin)
            if self._shuffle:
                order = np.random.default_rng((self._seed, epoch, index + 1)).permutation(order)
            while step * size < end:
                low, high = self._share(step * size, min((step + 1) * size, total))
                cut = slice(max(low, begin) - begin, max(min(high, end), begin) - begin)
                parts.append(rows.take(order[cut]))
                if min((step + 1) * size, total) > end:
                    break
                filled = [p for p in parts if len(p)] or parts[:1]
                yield filled[0] if len(filled) == 1 else join(filled)
                parts, step = [], step + 1

    def _share(self, low: int, high: int) -> tuple[int, int]:
        rows = high - low
        first = low + rows * self._rank // self._world
        return first, low + rows * (self._rank + 1) // self._world

    def _read(self, window: list[tuple[int, int]]) -> Batch:
        blocks = [self.shards.read(self._blocks[number]) for number, _ in window]
        layout = self.shards.layout
        count = sum(b.num_rows for b in blocks)
        codes = np.empty((count, len(layout.of_kind("categorical"))), np.uint32)
        numbers = np.empty((count, len(layout.of_kind("numeric"))), np.float32)
        _transpose(blocks, [f.name for f in layout.of_kind("categorical")], codes)
        _transpose(blocks, [f.name for f in layout.of_kind("numeric")], numbers)
        bags = tuple(_bag([b.column(f.name) for b in blocks]) for f in layout.of_kind("multi"))
        label, weight, group, row = (_column(blocks, n) for n in (LABEL, WEIGHT, GROUP, ROW))
        rows = Batch(codes, numbers, bags, label, weight, group, row)
        if self._part == "all":
            return rows
        parts = [_in_part(self._part, n, self._blocks[n][2]) for n, _ in window]
        return rows.take(np.flatnonzero(np.concatenate(parts)))


def _in_part(part: Part, block: int, rows: int) -> npt.NDArray[np.bool_]:
    """Return which rows of a block belong to a part: a tenth by splitmix64 of their place."""
    places = np.arange(rows, dtype=np.uint64) + np.uint64(block << 32)
    tenth: npt.NDArray[np.bool_] = splitmix64(places) % np.uint64(10) == 0
    return tenth if part == "tenth" else ~tenth


def _transpose(blocks: list[pa.RecordBatch], names: list[str], out: np.ndarray) -> None:
    """Fill rows from columns, in tiles that stay in the cache."""
    at = 0
    for block in blocks:
        columns = [block.column(name).to_numpy() for name in names]
        for low in range(0, block.num_rows, 2048):
            high = min(low + 2048, block.num_rows)
            for index, column in enumerate(columns):
                out[at + low : at + high, index] = column[low:high]
        at += block.num_rows


def _column(blocks: list[pa.RecordBatch], name: str) -> Any:
    if name not in blocks[0].schema.names:
        return None
    return np.concatenate([b.column(name).to_numpy() for b in blocks])


def _bag(lists: list[pa.ListArray]) -> Bag:
    tokens = np.concatenate([part.flatten().to_numpy() for part in lists])
    lengths = np.concatenate([np.diff(part.offsets.to_numpy()) for part in lists])
    return tokens, lengths.astype(np.int64)

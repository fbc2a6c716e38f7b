"""Encoded rows in memory: slices, rows by position, joined batches."""

import numpy as np
import pytest

from ctrkit.data.store.batch import Batch, join


def batch(rows=11, seed=0, weighted=True):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, 4, rows)
    tokens = draw.integers(0, 99, lengths.sum()).astype(np.uint32)
    return Batch(
        codes=draw.integers(0, 99, (rows, 2)).astype(np.uint32),
        numbers=draw.normal(size=(rows, 1)).astype(np.float32),
        bags=((tokens, lengths),),
        label=draw.integers(0, 2, rows).astype(np.uint8),
        weight=draw.random(rows).astype(np.float32) if weighted else None,
    )


def rows_of(batch):
    """Rows as plain tuples."""
    tokens, lengths = batch.bags[0]
    bags = np.split(tokens, np.cumsum(lengths)[:-1]) if len(lengths) else []
    weights = [None] * len(batch) if batch.weight is None else batch.weight.tolist()
    columns = (batch.codes.tolist(), batch.numbers.tolist(), batch.label.tolist(), weights)
    return [(*row, bag.tolist()) for *row, bag in zip(*columns, bags, strict=True)]


@pytest.mark.parametrize("size", [1, 4, 10, 11, 12, 0])
def test_slices_are_the_rows_in_order(size):
    whole = batch()
    parts = list(whole.slices(size))
    assert [row for part in parts for row in rows_of(part)] == rows_of(whole)
    assert max(map(len, parts)) <= (size or 11)


def test_no_rows_are_one_slice():
    empty = batch(0)
    assert [len(part) for part in empty.slices(4)] == [0]


def test_rows_are_taken_by_position():
    whole, rows = batch(), np.array([3, 3, 0, 10])
    assert rows_of(whole.take(rows)) == [rows_of(whole)[n] for n in rows]
    assert len(whole.take(rows[:0])) == 0


@pytest.mark.parametrize("weighted", [True, False])
def test_joined_batches_hold_all_rows(weighted):
    parts = [batch(rows, seed, weighted) for seed, rows in enumerate((3, 0, 5))]
    assert rows_of(join(parts)) == [row for part in parts for row in rows_of(part)]

import threading
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.rows import row_ids
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.shards import Shards, write_shards
from ctrkit.errors import DataError
from ctrkit.schema import Field, Schema

SCHEMA = Schema(
    (
        Field("i", "categorical", min_count=1),
        Field("x", "numeric", transform="raw"),
        Field("m", "multi"),
    ),
    label="y",
    weight="w",
    group="i",
)


def _frame(rows):
    r = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "i": np.arange(rows),
            "x": np.arange(rows),
            "y": r.integers(0, 2, rows),
            "m": [["u", "v"][:k] for k in r.integers(0, 3, rows)],
            "w": np.ones(rows),
        }
    )


def _shards(folder, rows, part=0):
    frame = _frame(rows)
    counts = Counts(SCHEMA)
    counts.update(frame)
    plan = SimpleNamespace(
        assign=lambda chunk: np.full(chunk.frame.height, part, np.uint8),
    )
    write_shards(frame_source(frame), Encoder.fit(SCHEMA, counts), plan, folder)
    return Shards(folder)


@pytest.fixture
def shards(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrkit.data.store.shards.BLOCK_ROWS", 100)
    return _shards(tmp_path / "shards", 1030)


def _batches(shards, size=64, split="train", **options):
    return Batches(shards, split, size, **{"shuffle": True, "window": 300, **options})


def _order(batches):
    return [int(code) for batch in batches for code in batch.codes[:, 0]]


def _workers():
    return [t for t in threading.enumerate() if t.name.startswith("ctrkit")]


def test_the_order_is_a_function_of_seed_and_epoch_alone(shards):
    one, other = _batches(shards, seed=5), _batches(shards, size=7, seed=5)
    list(one.epoch(0))  # an epoch before does not matter
    order = _order(one.epoch(3))
    assert order == _order(other.epoch(3))
    assert sorted(order) == list(range(3, 1033))
    assert order != _order(one.epoch(4))
    assert order != _order(_batches(shards, seed=6).epoch(3))


def test_unshuffled_batches_keep_the_order_of_the_rows(shards):
    batches = list(_batches(shards, shuffle=False).epoch(0))
    assert np.concatenate([b.numbers[:, 0] for b in batches]).tolist() == list(range(1030))
    assert [len(b) for b in batches] == [64] * 16 + [6]


def test_every_column_moves_with_its_row(shards):
    frame = _frame(1030)
    for batch in _batches(shards).epoch(1):
        here = frame[batch.numbers[:, 0].astype(np.int64)]
        assert here["y"].to_list() == batch.label.tolist()
        assert here["m"].list.len().to_list() == batch.bags[0][1].tolist()
        tokens = here["m"].explode(empty_as_null=False, keep_nulls=False)
        assert [{"u": 3, "v": 4}[t] for t in tokens] == batch.bags[0][0].tolist()


def test_arrays_are_ready_for_torch(shards):
    for batch in _batches(shards).epoch(0):
        assert batch.codes.flags.c_contiguous
        assert batch.codes.dtype == np.uint32
        assert batch.codes.shape == (len(batch), 1)
        assert batch.numbers.flags.c_contiguous
        assert batch.weight.dtype == np.float32
        assert batch.group.dtype == np.uint64
        assert batch.row is None


@pytest.mark.parametrize("start", [1, 4, 5, 16, 17])
def test_a_resumed_epoch_is_the_tail_of_the_whole(shards, start):
    full, rest = list(_batches(shards).epoch(2)), list(_batches(shards).epoch(2, start))
    assert len(rest) == len(full) - start
    for a, b in zip(full[start:], rest, strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)
        np.testing.assert_array_equal(a.bags[0][0], b.bags[0][0])
        np.testing.assert_array_equal(a.label, b.label)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_split_the_rows(shards, world):
    parts = [_batches(shards, 50, process=(r, world)) for r in range(world)]
    assert len({p.steps() for p in parts}) == 1
    orders = [_order(p.epoch(0)) for p in parts]
    assert sorted(row for order in orders for row in order) == list(range(3, 1033))
    assert [len(list(p.epoch(0))) for p in parts] == [parts[0].steps()] * world


def test_an_empty_split_has_no_batches(shards):
    batches = _batches(shards, split="test")
    assert batches.steps() == 0
    assert list(batches.epoch(0)) == []


def test_one_row(tmp_path):
    shards = _shards(tmp_path, 1, part=1)
    (batch,) = _batches(shards, split="validation").epoch(0)
    assert batch.codes.tolist() == [[3]]
    assert batch.row.tolist() == row_ids(next(frame_source(_frame(1)).chunks())).tolist()
    halves = [list(_batches(shards, split="validation", process=(r, 2)).epoch(0)) for r in (0, 1)]
    assert [[len(b) for b in h] for h in halves] == [[0], [1]]
    assert halves[0][0].codes.shape == (0, 1)


def test_exceptions_cross_the_thread(shards, monkeypatch):
    def fail(self, block):
        raise DataError("a broken block")

    monkeypatch.setattr(Shards, "read", fail)
    with pytest.raises(DataError, match="a broken block"):
        next(_batches(shards).epoch(0))
    assert not _workers()


def test_an_early_stop_leaves_no_thread(shards):
    epoch = _batches(shards, size=1).epoch(0)
    next(epoch)
    assert _workers()
    epoch.close()
    assert not _workers()

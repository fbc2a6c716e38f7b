import numpy as np
import polars as pl
import pytest

from ctrkit.data.batches import Batches
from ctrkit.data.dataset import prepare_dataset
from ctrkit.data.sources import frame_source
from ctrkit.errors import DataError, RunFolderError
from ctrkit.schema import Field, Schema

SCHEMA = Schema(
    (Field("i", "categorical", min_count=1), Field("x", "numeric"), Field("m", "multi")), label="y"
)


def _frame(rows=5000):
    r = np.random.default_rng(0)
    return pl.DataFrame({
        "i": np.arange(rows), "x": r.normal(size=rows), "y": r.integers(0, 2, rows),
        "m": [["u", "v"][:k] for k in r.integers(0, 3, rows)],
    })  # fmt: skip


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrkit.data.shards.BLOCK_ROWS", 1000)
    return prepare_dataset(frame_source(_frame()), SCHEMA, cache=tmp_path)


def _epoch(dataset, size=300, start=0, **options):
    batches = Batches(dataset.shards, "train", size, shuffle=True, window=2000, **options)
    return list(batches.epoch(1, start))


def test_an_epoch_holds_every_row_once_and_resumes_anywhere(dataset):
    full = _epoch(dataset)
    rows = dataset.shards.rows("train")
    codes = np.concatenate([b.codes[:, 0] for b in full])
    assert sorted(codes.tolist()) == list(range(3, 3 + rows))
    for start in (1, 7, len(full)):
        rest = _epoch(dataset, start=start)
        assert len(rest) == len(full) - start
        for a, b in zip(full[start:], rest, strict=True):
            assert (a.codes == b.codes).all()
            assert (a.bags[0][0] == b.bags[0][0]).all()


def test_ranks_part_each_global_batch(dataset):
    full = _epoch(dataset)
    parts = [_epoch(dataset, 100, rank=r, world=3) for r in range(3)]
    assert {len(p) for p in parts} == {len(full)}
    for step, batch in enumerate(full):
        joined = np.concatenate([p[step].codes for p in parts])
        assert (joined == batch.codes).all()


def test_the_cache_is_hit_and_a_failed_build_leaves_nothing(dataset, tmp_path):
    assert prepare_dataset(frame_source(_frame()), SCHEMA, cache=tmp_path).info["cache_hit"]
    one = frame_source(_frame().with_columns(y=pl.lit(1)))
    with pytest.raises(DataError, match="nothing to learn"):
        prepare_dataset(one, SCHEMA, cache=tmp_path / "other")
    assert not [p for p in (tmp_path / "other").iterdir() if p.is_dir()]


def test_out_needs_force(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="--force"):
        prepare_dataset(frame_source(_frame()), SCHEMA, out=tmp_path)

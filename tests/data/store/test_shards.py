import math
import threading
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from ctrkit.data.columns.rows import row_ids
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.shards import Shards, write_shards
from ctrkit.errors import DataError, RunFolderError
from ctrkit.schema import Field, Schema

FIELDS = (Field("a", "categorical", min_count=1), Field("x", "numeric", transform="raw"))
SCHEMA = Schema(FIELDS, label="y", weight="w")


def _frame(rows, **columns):
    every = np.arange(rows)
    return pl.DataFrame({"a": every, "x": every, "y": every % 2, "w": every / 2, **columns})


def _write(folder, frame, part=lambda rows: rows * 0):
    counts = Counts(SCHEMA)
    counts.update(frame)
    plan = SimpleNamespace(
        assign=lambda chunk: part(np.arange(chunk.frame.height)).astype(np.uint8),
    )
    write_shards(frame_source(frame), Encoder.fit(SCHEMA, counts), plan, folder)
    return Shards(folder)


def _numbers(shards, split):
    blocks = [shards.read(b) for b in shards.blocks(split)]
    return [int(x) for block in blocks for x in block.column("x").to_pylist()]


def test_blocks_fill_files_and_keep_the_order(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrkit.data.store.shards.BLOCK_ROWS", 10)
    monkeypatch.setattr("ctrkit.data.store.shards.BLOCKS_PER_FILE", 3)
    shards = _write(tmp_path, _frame(107), part=lambda rows: rows % 4)
    assert [rows for _, _, rows in shards.blocks("train")] == [10, 10, 7]
    assert _numbers(shards, "train") == list(range(0, 107, 4))
    assert _numbers(shards, "test") == list(range(2, 107, 4))  # and 3 is left out
    whole = _write(tmp_path / "whole", _frame(107))
    names = [path.name for path, _, _ in whole.blocks("train")]
    assert [names.count(n) for n in sorted(set(names))] == [3, 3, 3, 2]
    assert sorted(p.name for p in (tmp_path / "whole").glob("*.arrow")) == sorted(set(names))
    assert _numbers(whole, "train") == list(range(107))
    assert whole.rows("train") == 107
    assert whole.positives("train") == 53
    assert whole.rows("test") == 0
    assert whole.blocks("test") == []


def test_only_held_out_splits_have_row_ids(tmp_path):
    shards = _write(tmp_path, _frame(6), part=lambda rows: rows % 2)
    ids = row_ids(next(frame_source(_frame(6)).chunks()))[[1, 3, 5]].tolist()
    assert shards.read(shards.blocks("validation")[0]).column("__row__").to_pylist() == ids
    assert "__row__" not in shards.read(shards.blocks("train")[0]).schema.names


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, None])
def test_weights_are_finite_and_not_negative(tmp_path, weight):
    with pytest.raises(DataError, match="weight 'w' must be finite and not negative"):
        _write(tmp_path, _frame(3, w=[1.0, weight, 0.0]))


def test_a_label_is_0_or_1(tmp_path):
    with pytest.raises(DataError, match="'y'"):
        _write(tmp_path, _frame(3, y=[0, 1, 2]))
    assert not [t for t in threading.enumerate() if t.name.startswith("ctrkit")]


def test_a_bad_label_is_reported_with_its_row(tmp_path):
    frame = pl.concat([_frame(131_072), _frame(3, y=[0, 7, 1])])
    with pytest.raises(DataError, match="got 7 in row 131073"):
        _write(tmp_path, frame)


def test_a_folder_without_shards_is_an_error(tmp_path):
    with pytest.raises(RunFolderError, match="no encoded shards"):
        Shards(tmp_path)
    _write(tmp_path, _frame(3))
    text = (tmp_path / "shards.json").read_text().replace('"format": 1', '"format": 7')
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(RunFolderError, match="format 7"):
        Shards(tmp_path)

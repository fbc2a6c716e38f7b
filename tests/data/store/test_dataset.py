import gc

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.errors import DataError, RunFolderError, SchemaError
from ctrkit.schema import Field, Schema, Split

SCHEMA = Schema(
    (Field("i", "categorical", min_count=1), Field("x", "numeric"), Field("m", "multi")), label="y"
)


def _frame(rows=5000):
    r = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "i": np.arange(rows),
            "x": r.normal(size=rows),
            "y": r.integers(0, 2, rows),
            "m": [["u", "v"][:k] for k in r.integers(0, 3, rows)],
        }
    )


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setattr("ctrkit.data.store.shards.BLOCK_ROWS", 1000)
    return prepare_dataset(frame_source(_frame()), SCHEMA, EncodeOptions(cache=tmp_path))


def _epoch(dataset, size=300, start=0, **options):
    batches = Batches(dataset.shards, "train", size, shuffle=True, window=2000, **options)
    return list(batches.epoch(1, start))


def test_an_epoch_has_every_row_once_and_resumes_at_any_step(dataset):
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


def test_processes_split_each_global_batch(dataset):
    full = _epoch(dataset)
    parts = [_epoch(dataset, 100, process=(r, 3)) for r in range(3)]
    assert {len(p) for p in parts} == {len(full)}
    for step, batch in enumerate(full):
        joined = np.concatenate([p[step].codes for p in parts])
        assert (joined == batch.codes).all()


def test_the_cache_is_hit_and_a_failed_build_leaves_nothing(dataset, tmp_path):
    assert prepare_dataset(
        frame_source(_frame()), SCHEMA, EncodeOptions(cache=tmp_path)
    ).info.cache_hit
    one = frame_source(_frame().with_columns(y=pl.lit(1)))
    with pytest.raises(DataError, match="nothing to learn"):
        prepare_dataset(one, SCHEMA, EncodeOptions(cache=tmp_path / "other"))
    assert not [p for p in (tmp_path / "other").iterdir() if p.is_dir()]


def test_out_needs_force(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="--force"):
        prepare_dataset(frame_source(_frame()), SCHEMA, out=tmp_path)


def _warnings(schema, rows=400, **columns):
    base = {"y": [k // 3 % 2 for k in range(rows)], "i": ["u", "v"] * (rows // 2)}
    return prepare_dataset(frame_source(pl.DataFrame({**base, **columns})), schema).warnings


def test_useless_fields_are_reported():
    fields = (
        Field("i", "categorical"),
        Field("one", "categorical"),
        Field("none", "categorical"),
        Field("rare", "categorical"),
        Field("x", "numeric"),
        Field("no_x", "numeric"),
        Field("tags", "multi"),
        Field("no_tags", "multi"),
        Field("one_tag", "multi"),
        Field("hashed", "categorical", "hash"),
    )
    warnings = _warnings(
        Schema(fields, label="y"),
        one=["c"] * 400,
        none=pl.Series([None] * 400, dtype=pl.String),
        rare=list(range(400)),
        x=[5.0] * 400,
        no_x=pl.Series([None] * 400, dtype=pl.Float64),
        tags=[["u", "v"]] * 400,
        no_tags=[None] * 400,
        one_tag=[["c"]] * 400,
        hashed=pl.Series([None] * 400, dtype=pl.String),
    )
    about = {t.split("'")[1]: t for t in warnings}
    assert len(about) == len(warnings)
    assert {n for n, t in about.items() if "constant" in t} == {"one", "x", "one_tag"}
    assert {n for n, t in about.items() if "missing" in t} == {"none", "no_x", "no_tags", "hashed"}
    assert {n for n, t in about.items() if "rare" in t} == {"rare"}


def test_rare_tokens_and_half_missing_constants():
    schema = Schema((Field("i", "categorical"), Field("m", "multi")), label="y")
    warnings = _warnings(schema, m=[[str(k)] for k in range(400)])
    assert len(warnings) == 1
    assert "'m' has only rare values" in warnings[0]
    one = Schema((Field("i", "categorical"), Field("c", "categorical")), label="y")
    assert _warnings(one, c=["c", None] * 200) == []  # missing or not is worth a code


def test_an_empty_split_is_an_error():
    frame = pl.DataFrame({"i": ["u"] * 20, "y": [0, 1] * 10, "s": ["train"] * 18 + ["test"] * 2})
    schema = Schema((Field("i", "categorical"),), label="y", split=Split(by="column", column="s"))
    with pytest.raises(DataError, match="validation"):
        prepare_dataset(frame_source(frame), schema)


def test_one_class_and_an_unknown_column_are_errors():
    schema = Schema((Field("i", "categorical"),), label="y")
    for only in (0, 1):
        frame = pl.DataFrame({"i": ["u"] * 200, "y": [only] * 200})
        with pytest.raises(DataError, match=f"training rows are {only}"):
            prepare_dataset(frame_source(frame), schema)
    with pytest.raises(SchemaError, match="'i' of the schema"):
        prepare_dataset(frame_source({"j": ["u"], "y": [1]}), schema)


def test_a_cached_dataset_keeps_its_folder(tmp_path):
    held = prepare_dataset(frame_source(_frame()), SCHEMA, EncodeOptions(cache=tmp_path))
    other = prepare_dataset(
        frame_source(_frame(900)), SCHEMA, EncodeOptions(cache=tmp_path, cache_limit=0)
    )
    assert sum(b.num_rows for b in map(held.shards.read, held.shards.blocks("train"))) > 0
    folder, shards = held.shards.folder, held.shards
    del held
    gc.collect()
    prepare_dataset(frame_source(_frame(900)), SCHEMA, EncodeOptions(cache=tmp_path, cache_limit=0))
    assert folder.is_dir()  # the shards hold it still
    del shards
    gc.collect()
    again = prepare_dataset(
        frame_source(_frame(900)), SCHEMA, EncodeOptions(cache=tmp_path, cache_limit=0)
    )
    assert not folder.exists()
    assert again.info.cache_hit
    assert other.shards.folder == again.shards.folder

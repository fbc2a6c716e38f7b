"""Counts of (value, class): equal for any sharding; keys of values."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import polars as pl

from ctrkit.data.read.sources import open_source
from ctrkit.rank.counting import Counting, count
from ctrkit.rank.joint import JointCounts, keys_of, list_names, tokens_of
from ctrkit.rank.rows import row_classes
from ctrkit.schema import Field, Schema

FIELDS = (Field("a", "categorical"), Field("x", "numeric"), Field("m", "multi"))
SCHEMA = Schema(FIELDS, label="y")


def frame(rows=600, seed=0):
    r = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "a": [None if v % 7 == 0 else f"v{v}" for v in r.integers(0, 40, rows)],
            "x": [None if v < -1.5 else float(v) for v in r.normal(size=rows)],
            "m": [["u", None, "v", "u"][:k] for k in r.integers(0, 5, rows)],
            "y": r.integers(0, 2, rows),
        }
    )


def same(left, right):
    assert (left.totals == right.totals).all()
    for name in (*SCHEMA.names, tokens_of("m")):
        assert left.table(name).sort("value").equals(right.table(name).sort("value"))


def counted(data, width=2):
    counts = JointCounts(SCHEMA, width)
    counts.update(data, data["y"].to_numpy())
    return counts


def test_a_table_equals_counts_by_hand():
    data = pl.DataFrame(
        {
            "a": ["p", "q", "p", None],
            "x": [1.0, 1.0, None, 2.0],
            "m": [["u"], ["v", "u"], ["u", "v", "u"], []],
            "y": [1, 0, 0, 1],
        },
        strict=False,
    )
    counts = counted(data)
    assert counts.totals.tolist() == [2, 2]
    assert sorted(counts.table("a").rows(), key=str) == [("p", 1, 1), ("q", 1, 0), (None, 0, 1)]
    assert counts.table("m").height == 3  # {u}, {u, v} twice, {}
    assert sorted(counts.table(tokens_of("m")).rows()) == [("u", 2, 1), ("v", 2, 0)]


def test_any_sharding_and_order_gives_the_same_counts():
    data = frame()
    whole = counted(data)
    left, right = JointCounts(SCHEMA), JointCounts(SCHEMA)
    for start in range(0, 600, 7):
        part = data[start : start + 7]
        (left if start % 2 else right).update(part, part["y"].to_numpy())
    same(whole, left.merge(right))
    same(whole, right.merge(left))
    empty = JointCounts(SCHEMA)
    empty.update(data.head(0), np.zeros(0, np.uint8))
    same(whole, whole.merge(empty))


def test_a_process_pool_over_files_gives_the_same_counts(tmp_path):
    data = frame(900)
    for i in range(3):
        data[i * 300 : i * 300 + 300].write_parquet(tmp_path / f"{i}.parquet")
    source = open_source(tmp_path)
    counting = Counting(source, SCHEMA, row_classes(source, SCHEMA), controls=True)
    assert counting.rows.width == 6  # thirds by file order
    here = count(counting).counts
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        there = count(counting, pool).counts
    assert (here.totals == there.totals).all()
    for f in counting.fields.fields:
        assert here.table(f.name).sort("value").equals(there.table(f.name).sort("value"))


def test_weights_count_as_repeated_rows():
    data = frame(50)
    weight = np.arange(50) % 4
    once, weighted = JointCounts(SCHEMA), JointCounts(SCHEMA)
    repeated = data[np.repeat(np.arange(50), weight)]
    once.update(repeated, repeated["y"].to_numpy())
    weighted.update(data, data["y"].to_numpy(), weight)
    assert (once.totals == weighted.totals).all()
    for name in (*SCHEMA.names, tokens_of("m")):
        got = weighted.table(name).filter(pl.sum_horizontal("c0", "c1") > 0).sort("value")
        assert got.equals(once.table(name).sort("value"))


def test_a_set_of_tokens_is_one_key_whatever_the_tokens():
    field = Field("m", "multi")
    sets = [["a", "b"], ["b", "a", "a"], ["a\x1fb"], ["a\\ub"], [], [""], ["\\e"], None]
    keys = keys_of(pl.Series("m", sets, dtype=pl.List(pl.String)), field).to_list()
    assert keys[0] == keys[1]
    assert len(set(keys)) == len(sets) - 1
    assert keys[-1] is None
    for tokens, key in zip(sets[2:-1], keys[2:-1], strict=True):
        assert list_names(key) == tokens


def test_many_classes():
    data = frame(100)
    classes = (np.arange(100) % 5).astype(np.uint8)
    counts = JointCounts(SCHEMA, 5)
    counts.update(data, classes)
    table = counts.table("a").select(pl.exclude("value")).to_numpy()
    assert table.sum(axis=0).tolist() == [20] * 5


def test_counts_of_many_columns_equal_those_of_each_alone():
    draw = np.random.default_rng(5)
    names = [f"c{i}" for i in range(150)]  # group-bys run in groups of 64
    data = pl.DataFrame({n: draw.integers(0, 3, 40) for n in names})
    label = draw.integers(0, 2, 40)
    counts = JointCounts(Schema(tuple(Field(n, "categorical") for n in names)))
    counts.update(data, label)
    for name in names:
        values = data[name].to_numpy()
        expected = {
            str(v): tuple(int(((values == v) & (label == c)).sum()) for c in (0, 1))
            for v in np.unique(values)
        }
        assert {v: (a, b) for v, a, b in counts.table(name).rows()} == expected

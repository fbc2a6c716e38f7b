import numpy as np
import polars as pl

from ctrkit.data.counts import Counts
from ctrkit.schema import Field, Schema

SCHEMA = Schema((Field("a", "categorical"), Field("x", "numeric"), Field("m", "multi")))


def _frame(rows=500):
    r = np.random.default_rng(0)
    return pl.DataFrame({
        "a": r.integers(0, 40, rows), "x": r.normal(size=rows),
        "m": [["u", None, "v"][:k] for k in r.integers(0, 4, rows)],
    })  # fmt: skip


def _same(left, right):
    assert left.rows == right.rows
    assert left.missing == right.missing
    for name in SCHEMA.names:
        assert left.table(name).equals(right.table(name))


def test_any_sharding_and_order_counts_the_same(tmp_path):
    frame, whole = _frame(), Counts(SCHEMA)
    whole.update(frame)
    left, right = Counts(SCHEMA), Counts(SCHEMA)
    for start in range(0, 500, 7):
        (left if start % 2 else right).update(frame[start : start + 7])
    _same(whole, left.merge(right))
    _same(whole, right.merge(left))
    whole.save(tmp_path)
    _same(whole, Counts.load(tmp_path))

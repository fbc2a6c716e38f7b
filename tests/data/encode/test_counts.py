import collections
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from ctrkit.data.encode.counts import Counts
from ctrkit.schema import Field, Schema

SCHEMA = Schema((Field("a", "categorical"), Field("x", "numeric"), Field("m", "multi")))


def _frame(rows=500):
    r = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "a": r.integers(0, 40, rows),
            "x": r.normal(size=rows),
            "m": [["u", None, "v"][:k] for k in r.integers(0, 4, rows)],
        }
    )


def _same(left, right):
    assert left.rows == right.rows
    assert left.missing == right.missing
    for name in SCHEMA.names:
        assert left.table(name).equals(right.table(name))


def test_any_sharding_and_order_counts_the_same():
    frame, whole = _frame(), Counts(SCHEMA)
    whole.update(frame)
    left, right = Counts(SCHEMA), Counts(SCHEMA)
    for start in range(0, 500, 7):
        (left if start % 2 else right).update(frame[start : start + 7])
    _same(whole, left.merge(right))
    _same(whole, right.merge(left))


def test_threads_and_batch_sizes_do_not_matter():
    r = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "a": [None if v % 11 == 0 else f"v{v}" for v in r.zipf(1.3, 20_000) % 3000],
            "x": r.normal(size=20_000).astype(np.float32),
            "m": ["u|v|w"] * 20_000,
        }
    )
    script = (
        "import sys, polars as pl; from ctrkit.data.encode.counts import Counts;"
        "from ctrkit.schema import Schema; from pathlib import Path;"
        "counts = Counts(Schema.load(Path(sys.argv[1]) / 's.toml'));"
        "frame = pl.read_parquet(Path(sys.argv[1]) / 'f.parquet');"
        "[counts.update(f) for f in frame.iter_slices(int(sys.argv[2]))];"
        "out = Path(sys.argv[3]); out.mkdir();"
        "(out / 'missing').write_text(repr((counts.rows, counts.missing)));"
        "[counts.table(n).write_parquet(out / f'{n}.parquet') for n in counts.schema.names]"
    )
    with tempfile.TemporaryDirectory() as name:
        folder, whole = Path(name), Counts(SCHEMA)
        SCHEMA.save(folder / "s.toml")
        frame.write_parquet(folder / "f.parquet")
        for threads, rows in ((1, 20_000), (2, 777)):
            out = folder / f"{threads}"
            command = [sys.executable, "-c", script, name, str(rows), str(out)]
            environment = {**os.environ, "POLARS_MAX_THREADS": str(threads)}
            subprocess.run(command, check=True, env=environment)
        whole.update(frame)
        assert (folder / "1" / "missing").read_text() == repr((whole.rows, whole.missing))
        for name in SCHEMA.names:
            assert pl.read_parquet(folder / "1" / f"{name}.parquet").equals(whole.table(name))
        for path in (folder / "1").iterdir():
            assert path.read_bytes() == (folder / "2" / path.name).read_bytes()


def test_counts_are_those_of_a_dictionary():
    r = np.random.default_rng(2)
    values = [f"some longer value {v}" for v in r.zipf(1.2, 50_000) % 9000]
    counts = Counts(Schema((Field("a", "categorical"),)))
    for start in range(0, 50_000, 9_999):
        counts.update(pl.DataFrame({"a": values[start : start + 9_999]}))
        early = counts.table("a")["count"].sum()  # reading between two updates changes nothing
        assert early == min(start + 9_999, 50_000)
    expected = sorted(collections.Counter(values).items())
    assert counts.table("a").rows() == expected


def test_many_values_are_counted_without_a_lookup(monkeypatch):
    monkeypatch.setattr("ctrkit.data.encode.counts._LOOKUP_VALUES", 5)
    frame, whole = _frame(), Counts(SCHEMA)
    for start in range(0, 500, 100):
        whole.update(frame[start : start + 100])
    monkeypatch.undo()
    once = Counts(SCHEMA)
    once.update(frame)
    _same(whole, once)


def test_an_absent_column_is_all_missing():
    counts = Counts(SCHEMA)
    counts.update(_frame()[:0])
    counts.update(pl.DataFrame({"a": ["u"]}))
    assert counts.missing == {"a": 0, "x": 1, "m": 1}

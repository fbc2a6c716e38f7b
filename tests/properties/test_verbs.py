"""Every verb on any table: a finite result, or one line that names the file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
from awkward_frames import columns, names, types
from for_all import for_all, one_line
from hypothesis import strategies as st

from ctrkit import jobs
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CtrkitError
from ctrkit.schema import Schema

KINDS = ("numeric", "categorical", "multi")
EASY = st.sampled_from(
    [
        *(pl.String(), pl.Categorical(), pl.Int64(), pl.UInt8(), pl.Boolean(), pl.Float64()),
        *(pl.Date(), pl.Decimal(12, 2), pl.Datetime("us"), pl.Null()),
    ]
)
"""Types that every verb reads and csv holds."""
SUFFIXES = (".csv", ".parquet", ".arrow")


@st.composite
def tables(draw: st.DrawFn, heights: tuple[int, ...]) -> tuple[pl.DataFrame, str, dict]:
    """Return rows, the suffix of their file, and options that name columns."""
    height = draw(st.sampled_from(heights))
    chosen = draw(st.lists(names(), min_size=1, max_size=4, unique=True))
    dtypes = draw(st.sampled_from([EASY, EASY, EASY, types()]))
    rows = pl.DataFrame([draw(columns(height, dtypes)).alias(name) for name in chosen])
    if "site" not in chosen:
        sites = [f"s{row % 5}" for row in range(height)]
        rows = rows.with_columns([pl.Series("site", sites, pl.String)])
    label = draw(names())
    if label not in chosen or draw(st.integers(0, 9)):
        clicks = pl.Series([int(i % 3 == 0) for i in range(height)], dtype=pl.Int8)
        rows = rows.with_columns([clicks.alias(label)])
    options: dict = {"label": label}
    for name in chosen:
        kind = draw(st.sampled_from([None] * 9 + [*KINDS]))
        if kind and name != label:
            options.setdefault(kind, []).append(name)
    for role in ("time", "group", "weight", "key"):
        if draw(st.integers(0, 11)) == 0:
            options[role] = draw(st.sampled_from(chosen))
    return rows, draw(st.sampled_from(SUFFIXES)), options


def _write(rows: pl.DataFrame, folder: Path, suffix: str) -> Path | None:
    path = folder / f"rows{suffix}"
    write = {".csv": rows.write_csv, ".parquet": rows.write_parquet, ".arrow": rows.write_ipc}
    try:
        write[suffix](path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return path


def _call(verb, *args, **options):
    """Return what a verb returns; None where it refuses its input in one line."""
    try:
        return verb(*args, force=True, **options)
    except CtrkitError as error:
        one_line(error)
        return None


@for_all(8, 130, table=tables((0, 1, 2, 40)))
def test_a_schema_is_read_as_it_was_written(tmp_path, table):
    rows, suffix, options = table
    path = _write(rows, tmp_path, suffix)
    if path is None:
        return
    result = _call(jobs.schema, path, out=tmp_path / "schema" / "s.toml", **options)
    (tmp_path / "schema").mkdir(exist_ok=True)
    result = _call(jobs.schema, path, out=tmp_path / "schema" / "s.toml", **options)
    if result is not None:
        assert Schema.load(tmp_path / "schema" / "s.toml") == result[0]


@for_all(6, 110, table=tables((0, 1, 2, 40)))
def test_a_ranking_is_finite(tmp_path, table):
    rows, suffix, options = table
    path = _write(rows, tmp_path, suffix)
    if path is None:
        return
    ranking = _call(jobs.rank, path, out=tmp_path / "ranking", order=2, crosses=3, **options)
    if ranking is None:
        return
    for row in ranking.features:
        scores = (row.score, row.gain, row.mi, row.emi, row.adj, row.ami, row.sd, row.p, row.q)
        assert all(math.isfinite(score) for score in scores if score is not None)
    stored = pl.read_parquet(tmp_path / "ranking" / "rank.parquet")
    assert stored["name"].to_list() == [row.name for row in ranking.features]
    assert json.loads((tmp_path / "ranking" / "rank.json").read_text(encoding="utf-8"))
    schema = Schema.load(tmp_path / "ranking" / "schema.toml")
    counts = Counts(schema)
    for chunk in open_source(path).chunks():
        counts.update(chunk.frame)
    Encoder.fit(schema, counts)  # which accepts the crosses


@for_all(4, 60, table=tables((0, 1, 60, 120)))
def test_an_encoded_data_set_has_every_row(tmp_path, table):
    rows, suffix, options = table
    path = _write(rows, tmp_path, suffix)
    if path is None:
        return
    encoded = _call(jobs.encode, path, out=tmp_path / "encoded", **options)
    if encoded is not None and "time" not in options:
        assert sum(encoded.info.rows.values()) == rows.height


@for_all(1, 15, table=tables((120,)))
def test_a_training_ends_in_finite_metrics(tmp_path, table):
    rows, suffix, options = table
    path = _write(rows, tmp_path, suffix)
    if path is None:
        return
    few = ["train.epochs=1", "data.cache=false", "model.dim=4", "train.batch_size=32"]
    result = _call(jobs.train, path, out=tmp_path / "run", model="fm", set=few, **options)
    if result is None:
        return
    for split in ("validation", "test"):
        assert math.isfinite(result.record.metrics[split]["logloss"])
    _call(jobs.evaluate, tmp_path / "run", path)
    _call(jobs.predict, tmp_path / "run", path, out=tmp_path / "scores.csv")
